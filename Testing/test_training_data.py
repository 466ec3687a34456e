"""Splits by patient, and preprocessed cases that are made once and are never stale."""

import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from training_fixtures import make_case, write_small_case

from scripted_models.errors import InputError, ResourceError
from scripted_models.runtime.file_identity import content_digest
from scripted_models.tasks.brains import case_preparation
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.tasks.brains.case_preparation import space_of
from scripted_models.tasks.brains.case_split import split_cases
from scripted_models.training.cache import CaseCache, digest, open_cases
from scripted_models.training.experiment_config import DataConfig, Experiment
from scripted_models.training.training_case import MERGED_CORE, TrainingCase
from scripted_models.transforms.steps import MarkBrain, Standardize

NAMES = [f"BraTS-GLI-{patient:05d}-{point:03d}" for patient in range(9) for point in (100, 101)]


class TestSplit:
    def test_no_patient_stands_in_two_parts(self):
        split = split_cases(DataConfig(test_every=3, validation_every=3), NAMES)
        parts = [
            {name[:15] for name in part} for part in (split.train, split.validation, split.test)
        ]
        assert [len(part) for part in parts] == [4, 2, 3]
        assert not (parts[0] & parts[1])
        assert not (parts[0] & parts[2])
        assert not (parts[1] & parts[2])
        assert sorted([*split.train, *split.validation, *split.test]) == sorted(NAMES)

    def test_the_seed_decides_and_the_order_of_names_does_not(self):
        config = DataConfig(test_every=3)
        assert split_cases(config, NAMES) == split_cases(config, NAMES[::-1])
        other = DataConfig(test_every=3, split_seed=1)
        assert split_cases(config, NAMES).test != split_cases(other, NAMES).test

    def test_lists_are_taken_as_they_are_and_their_patients_do_not_train(self):
        split = split_cases(DataConfig(test=tuple(NAMES[:2]), validation=(NAMES[4],)), NAMES)
        assert split.test == tuple(NAMES[:2])
        assert split.validation == (NAMES[4],)
        assert set(split.train) == set(NAMES) - {*NAMES[:2], *NAMES[4:6]}

    def test_lists_that_divide_a_patient_are_refused(self):
        with pytest.raises(InputError, match=r"patient BraTS-GLI-00000 .*data.train.*data.test"):
            split_cases(DataConfig(train=(NAMES[0],), test=(NAMES[1],)), NAMES)

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_few_patients_leave_one_to_train(self, count):
        split = split_cases(DataConfig(validation_every=5, test_every=5), NAMES[: 2 * count])
        assert split.train

    @pytest.mark.parametrize(
        ("lists", "words"),
        [
            ({"train": ("A",), "validation": ("A",)}, "twice"),
            ({"train": ("A",), "test": ("A",)}, "twice"),
            ({"test": ("Z",)}, r"names the cases \['Z'\]"),
            ({"validation": ("A", "B")}, "none is left for training"),
        ],
    )
    def test_lists_that_cannot_be_are_refused(self, lists, words):
        with pytest.raises(InputError, match=words):
            split_cases(DataConfig(**lists), ["A", "B"])


class TestCache:
    def test_a_case_comes_back_as_it_was(self, tmp_path):
        case = make_case(merged=True)
        back = CaseCache(tmp_path / "cache").get("key", lambda: case)
        assert isinstance(back.image, np.memmap)
        for key in ("image", "target", "voxels"):
            assert np.array_equal(getattr(back, key), getattr(case, key))
        assert (back.name, back.sizes, back.counts) == (case.name, case.sizes, case.counts)

    def test_an_entry_is_made_once(self, tmp_path):
        made = []
        cache = CaseCache(tmp_path)
        for _ in range(3):
            cache.get("key", lambda: made.append(1) or make_case())
        assert made == [1]

    @pytest.mark.parametrize("damage", ["image.npy", "voxels.npy", "case.json"])
    def test_a_damaged_entry_is_made_again(self, tmp_path, damage):
        cache = CaseCache(tmp_path)
        cache.get("key", make_case)
        path = tmp_path / "key" / damage
        path.write_bytes(path.read_bytes()[:40])
        assert cache.get("key", make_case).image.shape == (4, 6, 40, 44)

    def test_a_folder_that_cannot_be_written_is_said(self, tmp_path):
        def full(self, folder):
            raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingCase, "save", full)
            with pytest.raises(ResourceError, match="No space left on device"):
                CaseCache(tmp_path).get("key", make_case)
        assert not list(tmp_path.iterdir())

    def test_what_a_killed_run_began_goes_a_day_later(self, tmp_path):
        for hours in (1, 25):
            begun = tmp_path / f".writing-{hours}" / "case"
            begun.mkdir(parents=True)
            (begun / "image.npy").write_bytes(b"half")
            then = time.time() - 3600 * hours
            os.utime(begun.parent, (then, then))
        CaseCache(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".writing-1"]

    def test_changed_content_is_another_entry_even_with_the_old_date_and_size(self, tmp_path):
        path = tmp_path / "a.nii"
        path.write_bytes(b"one")
        before, date = digest([content_digest(path)], {}), path.stat().st_mtime_ns
        path.write_bytes(b"two")
        os.utime(path, ns=(date, date))
        assert digest([content_digest(path)], {}) != before

    def test_facts_and_versions_are_part_of_the_key(self):
        keys = [
            digest([], {}),
            digest([], {"step": 1}),
            digest([], {"step": 2}),
            digest([], {"step": 1}, coding="a"),
            digest([], {"step": 1}, coding="b"),
        ]
        assert len(set(keys)) == 5
        assert digest([], {"step": 1}, coding="a") == keys[3]


def load_cases(experiment, folder, cache):
    sources = BrainsTask().sources(experiment, folder, None)
    return [open_cases(part, CaseCache(cache)) for part in sources]


class TestLoading:
    def load(self, folder, cache, **changes):
        return load_cases(Experiment(**changes), folder, cache)

    def test_preprocessing_is_done_once_for_several_runs(
        self, tmp_path, phantom_folder, monkeypatch
    ):
        first = self.load(phantom_folder, tmp_path)
        monkeypatch.setattr(case_preparation, "preprocess", None)  # would fail when called
        again = self.load(phantom_folder, tmp_path)
        assert [c.name for part in again for c in part] == [c.name for part in first for c in part]

    def test_other_preprocessing_makes_other_entries(self, tmp_path, phantom_folder):
        (case, *_), _ = self.load(phantom_folder, tmp_path)
        steps = (MarkBrain(), Standardize())
        (other, *_), _ = self.load(phantom_folder, tmp_path, preprocessing=steps)
        assert case.image.shape != other.image.shape

    def test_a_changed_volume_is_read_again(self, tmp_path, phantom_folder):
        folder = tmp_path / "data"
        shutil.copytree(phantom_folder, folder)
        before = self.load(folder, tmp_path / "cache")
        name = before[0][0].name
        flair = next(folder.glob(f"{name}/*flair*"))
        t2 = next(folder.glob(f"{name}/*t2*"))
        flair.write_bytes(t2.read_bytes())
        after = self.load(folder, tmp_path / "cache")
        assert np.array_equal(after[0][0].image[3], after[0][0].image[2])
        assert not np.array_equal(before[0][0].image[3], after[0][0].image[3])

    def test_phantoms_join_the_training_cases(self, tmp_path, phantom_folder, monkeypatch):
        from scripted_models.cases.phantom import phantom_case

        small = phantom_case.make_phantom
        monkeypatch.setattr(
            phantom_case, "make_phantom", lambda seed, **grade: small(seed, (40, 40, 14), **grade)
        )
        data = DataConfig(phantoms=1, low_grade_phantoms=1)
        train, _ = self.load(phantom_folder, tmp_path, data=data)
        assert [case.name for case in train[-2:]] == ["phantom_100000", "phantom_200000"]
        low_grade = small(200_000, (40, 40, 14), low_grade=True)
        assert train[-1].counts[4] == (low_grade.labels == 4).sum()
        merged = replace(data, phantoms_merged=True)
        joined, _ = self.load(phantom_folder, tmp_path, data=merged)
        core = np.isin(low_grade.labels, (1, 3)).sum()
        assert joined[-1].counts[1] == joined[-1].counts[3] == 0
        assert joined[-1].counts[-1] == core == train[-1].counts[1] + train[-1].counts[3] > 0

    def test_copies_without_enhancement_join_the_training_cases(self, tmp_path, phantom_folder):
        plain, validation = self.load(phantom_folder, tmp_path)
        data = DataConfig(contrast_suppressed=1)
        train, also_validation = self.load(phantom_folder, tmp_path, data=data)
        assert [c.name for c in also_validation] == [c.name for c in validation]
        assert [c.name for c in train[: len(plain)]] == [c.name for c in plain]
        (copy,) = train[len(plain) :]
        (original,) = [case for case in plain if case.name == copy.name]
        assert original.counts[4] > 0 == copy.counts[4]
        assert sum(original.counts[1:]) == sum(copy.counts[1:])
        enhancing = original.target == 4
        assert set(np.unique(copy.target[enhancing])) <= {3, MERGED_CORE}
        changed = [(a != b).mean() for a, b in zip(original.image, copy.image, strict=True)]
        assert changed[0] == changed[2] == changed[3] == 0 < changed[1]
        assert (copy.image[1] < original.image[1])[enhancing].mean() > 0.9

    def test_degraded_and_transplanted_copies_join_them(self, tmp_path, phantom_folder):
        plain, _ = self.load(phantom_folder, tmp_path)
        data = DataConfig(degraded=3, transplanted=1)
        train, _ = self.load(phantom_folder, tmp_path, data=data)
        copies = train[len(plain) :]
        assert len(copies) == 4
        assert {copy.name for copy in copies} <= {case.name for case in plain}
        (original,) = [case for case in plain if case.name == copies[-1].name]
        assert sum(copies[-1].counts[1:]) > sum(original.counts[1:])

    def test_there_are_no_more_copies_than_cases(self, tmp_path, phantom_folder):
        plain, _ = self.load(phantom_folder, tmp_path)
        every, _ = self.load(phantom_folder, tmp_path, data=DataConfig(contrast_suppressed=99))
        assert len(every) == 2 * len(plain)


@pytest.mark.parametrize(("slice_spacing_mm", "slices"), [(0.0, 6), (1.0, 16), (2.5, 6)])
def test_slices_are_resampled_where_the_experiment_says(slice_spacing_mm, slices, tmp_path):
    folder = tmp_path / "Brats18_A_1_1"
    write_small_case(tmp_path, folder.name, 1)
    for path in folder.iterdir():
        image = sitk.ReadImage(str(path))
        image.SetSpacing((1.0, 1.0, 2.6))
        sitk.WriteImage(image, str(path))
    data = DataConfig(slice_spacing_mm=slice_spacing_mm, validation_every=0)
    experiment = Experiment(data=data, preprocessing=(MarkBrain(),))
    ((case,), _) = load_cases(experiment, tmp_path, tmp_path / "cache")
    assert case.image.shape[:2] == (4, slices)
    assert space_of(data).spacing_xyz_mm == (1.0, 1.0, slice_spacing_mm or None)
