"""Discovery of cases: the folder layouts of every BraTS year, and folders as people leave them."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from case_trees import (
    GRAY,
    LAYOUTS,
    SHAPE,
    YEAR_2021,
    Layout,
    plant,
    plant_msd,
    suffixed,
    values_of,
    write,
    write_images,
)
from test_labels import MEANINGS, digits

from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError
from scripted_models.labels import CODINGS
from scripted_models.sequences import SEQUENCES


def check(case, root: Path, layout: Layout) -> None:
    """Check name, the four paths and what lies there, the ground truth and its internal labels."""
    assert case.name == layout.name
    assert case.problems == ()
    case.require_images()
    for sequence in SEQUENCES:
        assert case.images[sequence].path == root / layout.image(sequence)
        assert (sitk.GetArrayFromImage(case.images[sequence].read()) == GRAY[sequence]).all()
    assert case.truth == (root / layout.truth if layout.truth else None)
    assert (case.coding and case.coding.name) == (layout.coding if layout.truth else None)
    if layout.truth and layout.coding:
        labels, grid = case.read_truth()
        assert np.array_equal(labels, np.resize(digits(MEANINGS[layout.coding][1]), SHAPE))
        assert grid.shape_zyx == SHAPE


@pytest.fixture
def root(tmp_path):
    """Return a folder whose own name tells nothing."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("key", LAYOUTS)
def test_layout(key, root):
    (case,) = find_cases(plant(root, LAYOUTS[key]))
    check(case, root, LAYOUTS[key])


@pytest.mark.parametrize(
    "key",
    ["2012-one-folder", "2013", "2015", "2020-case-355", "2020-folders-like-files", "2024-PED"],
)
def test_the_folder_of_one_case_given_directly(key, root):
    layout = LAYOUTS[key]
    plant(root, layout)
    above = os.path.commonpath([layout.image(m) for m in SEQUENCES])
    (case,) = find_cases(root / above)
    check(case, root, layout)


def test_all_years_in_one_tree(root):
    chosen = (
        "2012",
        "2013",
        "2013-low-grade",
        "2015",
        "2018",
        "2020-case-355",
        "2021",
        "2023-GLI",
        "2024-GLI",
    )
    for key in chosen:
        plant(root, LAYOUTS[key])
    cases = {case.name: case for case in find_cases(root)}
    assert list(cases) == sorted(LAYOUTS[key].name for key in chosen)
    for key in chosen:
        check(cases[LAYOUTS[key].name], root, LAYOUTS[key])


def test_a_path_relative_to_the_working_folder(root, monkeypatch):
    plant(root, LAYOUTS["loose"])
    monkeypatch.chdir(root / "patient")
    assert [case.name for case in find_cases(Path("."))] == ["patient"]


def test_complete_truth_gives_way_to_the_two_labels(root):
    layout = LAYOUTS["2012-simulated"]
    write(plant(root, layout) / LAYOUTS["2012-simulated-tissue"].truth, values_of("brats2012sim"))
    (case,) = find_cases(root)
    check(case, root, layout)


def test_five_classes_win_over_four(root):
    layout = suffixed("a", "Brats18_2013_2_1", YEAR_2021, "brats2021")
    five = write(
        plant(root, layout) / "a/Brats18_2013_2_1/Brats18_2013_2_1_seg5.nii.gz",
        values_of("brats2013"),
    )
    (case,) = find_cases(root)
    assert (case.truth, case.coding, case.problems) == (five, CODINGS["brats2013"], ())
    assert 3 in case.read_truth()[0]


def test_flat_folder_with_all_cases_files(root):
    for name in ("BraTS2021_00001", "BraTS2021_00010", "BraTS2021_00100"):
        write_images(root, name + "_{}.nii.gz", YEAR_2021)
    write(root / "BraTS2021_00010_seg.nii.gz", values_of("brats2021"))
    first, second, third = find_cases(root)
    assert [c.name for c in (first, second, third)] == [
        "BraTS2021_00001",
        "BraTS2021_00010",
        "BraTS2021_00100",
    ]
    assert first.truth is None
    assert third.truth is None
    assert second.truth.name == "BraTS2021_00010_seg.nii.gz"
    assert {s.path.name[:15] for s in second.images.values()} == {"BraTS2021_00010"}


def test_a_strange_truth_beside_several_cases_goes_to_none(root):
    for name in ("BraTS2021_00001", "BraTS2021_00002"):
        write_images(root, name + "_{}.nii.gz", YEAR_2021)
    write(root / "W39_Segm.nii.gz", values_of("brats2021"))
    assert all(case.truth is None for case in find_cases(root) if case.images)


def test_same_name_in_two_folders_stays_two_cases(root):
    for part in ("HGG", "LGG"):
        write_images(root, part + "/p1/{}.nii.gz")
    assert [case.name for case in find_cases(root)] == ["HGG_p1", "LGG_p1"]
    write_images(root, "more/HGG/p1/{}.nii.gz")
    names = [case.name for case in find_cases(root)]
    assert len(set(names)) == 3


def test_missing_sequences(root):
    for word in ("t1", "t2"):
        write(root / f"p/p_{word}.nii.gz", np.ones(SHAPE, np.int16))
    (case,) = find_cases(root)
    assert case.missing == ("t1c", "flair")
    with pytest.raises(
        InputError, match=r"found t1 \(p_t1.nii.gz\).* and no t1c, flair, expected"
    ) as caught:
        case.require_images()
    assert "--flair" in str(caught.value)


@pytest.mark.parametrize(
    "second", ["p_t1c.nii.gz", "p_T1gd.nii.gz", "p_t1_post_contrast.nii.gz", "p_t1ce.mha"]
)
def test_a_sequence_twice(root, second):
    write_images(root, "p/p_{}.nii.gz", YEAR_2021)
    write(root / "p" / second, np.ones(SHAPE, np.int16))
    (case,) = find_cases(root)
    assert len(case.problems) == 1
    with pytest.raises(InputError, match="Case p: found 2 files for t1c") as caught:
        case.require_images()
    assert second in str(caught.value)
    assert "p_t1ce.nii.gz" in str(caught.value)


def test_a_truth_twice_is_refused_only_where_it_is_read(root):
    write_images(root, "BraTS2021_1/BraTS2021_1_{}.nii.gz", YEAR_2021)
    for word in ("seg", "truth"):
        write(root / f"BraTS2021_1/BraTS2021_1_{word}.nii.gz", values_of("brats2021"))
    (case,) = find_cases(root)
    case.require_images()
    with pytest.raises(InputError, match="found 2 files for the ground truth"):
        case.read_truth()


def test_truths_that_cannot_be_read(root):
    (case,) = find_cases(plant(root, LAYOUTS["loose"]))
    with pytest.raises(InputError, match=r"does not tell the label coding.*--coding"):
        case.read_truth()
    assert np.array_equal(case.read_truth(CODINGS["brats2013"])[0], values_of("brats2013"))
    with pytest.raises(InputError, match=r"found the label\(s\) 3, .*'brats2021'"):
        case.read_truth(CODINGS["brats2021"])
    (root / "patient/seg.nii.gz").unlink()
    with pytest.raises(InputError, match="Case patient: found no ground truth"):
        find_cases(root)[0].read_truth()


class TestMsd:
    @pytest.mark.parametrize("given", [".", "Task01_BrainTumour"])
    def test_cases(self, root, given):
        folder = plant_msd(root)
        cases = find_cases(root / given)
        assert [case.name for case in cases] == ["BRATS_001", "BRATS_002", "BRATS_485"]
        for case, part in zip(cases, ("imagesTr", "imagesTr", "imagesTs"), strict=True):
            case.require_images()
            path = folder / part / f"{case.name}.nii.gz"
            assert {source.path for source in case.images.values()} == {path}
            for sequence, source in case.images.items():
                assert (sitk.GetArrayFromImage(source.read()) == GRAY[sequence]).all()
        assert [case.truth is not None for case in cases] == [True, False, False]
        labels, _ = cases[0].read_truth()
        assert cases[0].coding.name == "msd"
        assert np.array_equal(labels, np.resize(digits(MEANINGS["msd"][1]), SHAPE))

    def test_the_channel_order_is_that_of_the_description(self, root):
        plant_msd(root, {"0": "T2w", "1": "t1gd", "2": "T1w", "3": "FLAIR"})
        case = find_cases(root)[0]
        assert {m: s.channel for m, s in case.images.items()} == {
            "t2": 0,
            "t1c": 1,
            "t1": 2,
            "flair": 3,
        }
        assert (sitk.GetArrayFromImage(case.images["t2"].read()) == GRAY["flair"]).all()

    def test_a_channel_that_the_file_lacks(self, root):
        plant_msd(root, {"0": "FLAIR", "1": "T1w", "2": "t1gd", "4": "T2w"})
        with pytest.raises(InputError, match="at least 5 volumes"):
            find_cases(root)[0].images["t2"].read()

    @pytest.mark.parametrize(
        "text", ["{", "[]", "{}", '{"modality": 3}', '{"modality": {"x": "T2"}}']
    )
    def test_a_description_without_channels(self, root, text):
        (plant_msd(root) / "dataset.json").write_text(text)
        with pytest.raises(InputError, match=r"dataset\.json: found no table of channels"):
            find_cases(root)

    def test_beside_plain_cases(self, root):
        plant_msd(root)
        plant(root, LAYOUTS["2021"])
        assert len(find_cases(root)) == 4


class TestFolders:
    def test_loops_and_second_ways_by_links(self, root):
        layout = LAYOUTS["2021"]
        plant(root, layout)
        plant(root.parent, LAYOUTS["flat"])  # above the folder: a link back up does not add it
        for link, target in (
            ("a/up", root),
            ("a/self", root / "a/self"),
            ("b", root / "a"),
            ("c", root.parent),
        ):
            (root / link).symlink_to(target, target_is_directory=True)
        (case,) = find_cases(root)
        check(case, root, layout)

    def test_a_case_elsewhere_that_a_link_leads_to(self, root, tmp_path):
        plant(tmp_path / "store", LAYOUTS["2021"])
        (root / "a").symlink_to(tmp_path / "store" / "a", target_is_directory=True)
        (case,) = find_cases(root)
        check(case, root, LAYOUTS["2021"])

    def test_broken_links_are_no_files(self, root):
        plant(root, LAYOUTS["2021"])
        (root / "a/BraTS2021_00000/BraTS2021_00000_t1n.nii.gz").symlink_to(root / "gone.nii.gz")
        check(find_cases(root)[0], root, LAYOUTS["2021"])

    @pytest.mark.parametrize(
        "files", [(), ("a.txt",), ("scan.nii.gz",), ("sub/segmentation.nii.gz",)]
    )
    def test_nothing_to_find(self, root, files):
        for path in files:
            write(root / path, np.ones(SHAPE, np.uint8))
        with pytest.raises(InputError, match=r"found no volumes named by sequence.*--flair"):
            find_cases(root)

    def test_no_folder(self, root):
        for path in (root / "none", write(root / "a_t1.nii.gz", np.ones(SHAPE, np.uint8))):
            with pytest.raises(
                InputError, match=r"found no such folder, expected one.*check the path"
            ):
                find_cases(path)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
    def test_a_folder_that_may_not_be_read(self, root):
        root.chmod(0)
        try:
            with pytest.raises(InputError, match=r"may not be read.*check its permissions"):
                find_cases(root)
        finally:
            root.chmod(0o700)

    def test_the_refusal_to_read_a_folder(self, root, monkeypatch):
        plant(root, LAYOUTS["2021"])
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != root)
        with pytest.raises(InputError, match=r"may not be read.*check its permissions"):
            find_cases(root)

    def test_damaged_files_are_listed_and_refused_on_reading(self, root):
        plant(root, LAYOUTS["2021"])
        path = root / LAYOUTS["2021"].image("t2")
        path.write_bytes(path.read_bytes()[:40])
        (case,) = find_cases(root)
        with pytest.raises(InputError, match=r"_t2\.nii\.gz: found"):
            case.images["t2"].read()


@pytest.mark.real_data
def test_real_cases(real_data):
    cases = {case.name: case for case in find_cases(real_data / "brats")}
    assert cases
    for case in cases.values():
        case.require_images()
        assert all(case.name in source.path.name for source in case.images.values())
        assert case.coding.name == ("brats2013" if "seg5" in case.truth.name else "brats2021")
    case = min(cases.values(), key=lambda case: case.name)
    labels, grid = case.read_truth()
    assert grid.size_xyz == (240, 240, 155)
    assert {0, 2} <= set(np.unique(labels).tolist()) <= {0, 1, 2, 4}


@pytest.mark.real_data
def test_real_slices_of_2013(real_data):
    folder = real_data / "brats2013-2d"
    if not folder.is_dir():
        pytest.skip(f"no slices in {folder}")
    cases = [case for case in find_cases(folder) if case.truth]
    assert cases
    for case in cases:
        case.require_images()
        labels, grid = case.read_truth()
        assert case.coding.name == "atropos"
        assert set(np.unique(labels).tolist()) <= {0, 1, 2, 3, 4}
        assert 0 < (labels > 0).mean() < 0.2
        assert grid.matches(grid.of(case.images["t1"].read()))
