"""Raw volumes: brain extraction, registration, one brain mask, one resampling, and the way back."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from head_fixtures import (
    make_small_head,  # noqa: F401 - the fixture phantom
    motion,
    moved,
)

from scripted_models.errors import Cancelled, InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.images.checks import WARNING
from scripted_models.preparation import deepbet_weights, deepbet_wheel, rigid_registration
from scripted_models.preparation.brain_extraction import brain_of, shown_part, volume_ml
from scripted_models.preparation.doubts import refuse_no_brain, registration_doubts
from scripted_models.preparation.image_preparation import prepare_images
from scripted_models.preparation.mask_file import read_mask
from scripted_models.preparation.needs import needs_of
from scripted_models.preparation.rigid_registration import Head, register
from scripted_models.preparation.working_grids import moved_onto, probabilities_on, working_grid
from scripted_models.runtime.progress import Progress


def has_deepbet():
    try:
        return bool(distribution("deepbet")) and deepbet_wheel.is_installed()
    except PackageNotFoundError:
        return False


needs_deepbet = pytest.mark.skipif(not has_deepbet(), reason="deepbet 1.0.2 is not installed")


def stripped(image):
    return Head(sitk.Cast(image, sitk.sitkFloat32), brain_of(shown_part(image)), True)


class TestDeepbet:
    def test_without_the_wheel_the_error_says_how_to_get_it(self, monkeypatch):
        def absent(name):
            raise PackageNotFoundError(name)

        monkeypatch.setattr(deepbet_wheel, "files", absent)
        assert not deepbet_wheel.is_installed()
        with pytest.raises(ResourceError, match=r"pip install --no-deps deepbet==1\.0\.2"):
            deepbet_weights.load_network(deepbet_wheel.BRAIN)

    def test_another_file_is_refused(self, monkeypatch, tmp_path):
        wrong = tmp_path / deepbet_wheel.BRAIN
        wrong.write_bytes(b"PK something else")
        monkeypatch.setattr(deepbet_weights, "weight_files", lambda: {deepbet_wheel.BRAIN: wrong})
        with pytest.raises(ResourceError, match="another file"):
            deepbet_weights.load_network(deepbet_wheel.BRAIN)

    @needs_deepbet
    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("name", [deepbet_wheel.BOX, deepbet_wheel.BRAIN])
    def test_our_network_is_that_of_the_archive(self, name):
        import torch

        theirs = torch.jit.load(str(deepbet_wheel.weight_files()[name]), map_location="cpu")
        ours = deepbet_weights.load_network(name)
        state = theirs.state_dict()
        assert all(torch.equal(state[key], value) for key, value in ours.state_dict().items())
        volume = torch.rand(1, 1, 64, 64, 64, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            assert torch.equal(theirs.eval()(volume), ours(volume))

    @needs_deepbet
    @pytest.mark.real_data
    @pytest.mark.slow
    def test_brain_of_a_raw_head(self, real_data):
        from scripted_models.preparation.deepbet_extractor import DeepbetExtractor

        folder = real_data / "raw" / "TCGA-FG-6692"
        if not folder.is_dir():
            pytest.skip("no raw case at hand")
        head = sitk.ReadImage(str(folder / "FG6692_flair.nii.gz"))
        known = sitk.GetArrayFromImage(
            sitk.ReadImage(str(folder / "FG6692_hdbet_flair_mask.nii.gz"))
        )
        probability = DeepbetExtractor().probability(head)
        assert Grid.of(probability) == Grid.of(head)
        found = sitk.GetArrayFromImage(brain_of(probability)) > 0
        assert 2 * (found & (known > 0)).sum() / (found.sum() + (known > 0).sum()) > 0.95
        with pytest.raises(Cancelled):
            DeepbetExtractor().probability(head, lambda: True)

    def test_nothing_of_the_package_is_run(self):
        text = Path(deepbet_weights.__file__).read_text(encoding="utf-8")
        assert "import deepbet" not in text
        assert "torch.jit" not in text


class TestRegistration:
    @pytest.mark.parametrize("sequence", ["t1", "t2", "flair"])
    def test_finds_a_known_motion(self, phantom, sequence):
        true = motion(phantom["t1c"])
        fixed, moving = stripped(phantom["t1c"]), stripped(moved(phantom[sequence], true))
        found = register(fixed, moving)
        inside = np.argwhere(sitk.GetArrayViewFromImage(fixed.brain) > 0)[::1000, ::-1]
        points = [phantom["t1c"].TransformIndexToPhysicalPoint(p) for p in inside.tolist()]
        back = true.GetInverse()
        away = [
            np.subtract(found.transform.TransformPoint(p), back.TransformPoint(p)) for p in points
        ]
        assert np.linalg.norm(away, axis=1).max() < 2.0
        assert found.overlap > 0.93 > found.start_overlap  # voxels of 3 mm
        assert found.information > found.start_information
        assert not list(registration_doubts(sequence, found))

    def test_same_input_same_bits(self, phantom):
        heads = stripped(phantom["t1c"]), stripped(moved(phantom["t2"], motion(phantom["t2"])))
        first, again = register(*heads), register(*heads)
        assert first.transform.GetParameters() == again.transform.GetParameters()

    def test_what_lies_well_stays_untouched(self, phantom):
        found = register(stripped(phantom["t1c"]), stripped(phantom["t1"]))
        assert found.stays
        assert set(found.transform.GetParameters()) == {0.0}

    def test_cancel(self, phantom):
        asked = []

        def cancelled():
            asked.append(1)
            return len(asked) > 3

        with pytest.raises(Cancelled):
            register(stripped(phantom["t1c"]), stripped(phantom["t2"]), cancelled=cancelled)
        assert len(asked) == 4

    def test_another_brain_is_doubted(self, phantom):
        squeezed = sitk.Image(phantom["t2"])
        squeezed.SetSpacing(np.multiply(squeezed.GetSpacing(), (1.1, 1.4, 0.8)).tolist())
        found = register(stripped(phantom["t1c"]), stripped(squeezed))
        assert [f.severity for f in registration_doubts("t2", found)][:1] == [WARNING]

    def test_a_last_stage_that_runs_away_is_undone_and_told(self, phantom, monkeypatch):
        monkeypatch.setattr(rigid_registration, "_MOST_REFINED_MM", 0.0)
        heads = stripped(phantom["t1c"]), stripped(moved(phantom["t1"], motion(phantom["t1"])))
        found = register(*heads)
        assert not found.is_steady
        assert found.overlap > 0.93  # where the stage before had ended
        (doubt,) = registration_doubts("t1", found)
        assert "no clear position" in doubt.found

    def test_volumes_that_never_meet_do_not_fail(self, phantom):
        far = sitk.Image(phantom["t2"])
        far.SetOrigin([1000.0, 1000.0, 1000.0])
        found = register(stripped(phantom["t1c"]), stripped(far))
        assert found.overlap > 0.95
        assert list(registration_doubts("t2", found))


class TestResampling:
    def test_a_grid_that_fits_is_its_own(self):
        grid = Grid((50, 60, 70), (1.0, 0.95, 1.1), (3, 4, 5))
        assert working_grid(grid) == grid

    @pytest.mark.parametrize("spacing", [(0.9, 0.9, 5.5), (0.4, 0.4, 1.0), (2.0, 3.0, 1.05)])
    def test_working_grid_covers_the_reference(self, spacing):
        direction = sitk.Euler3DTransform((0, 0, 0), 0.1, 0.2, 0.3).GetMatrix()
        grid = Grid((50, 60, 26), spacing, (-3, 4, 5), direction)
        working = working_grid(grid)
        assert working.direction == direction
        blank = sitk.Image(grid.size_xyz, sitk.sitkUInt8) + 1
        grid.put_on(blank)
        extent = np.multiply(grid.size_xyz, grid.spacing_xyz_mm)
        covered = np.multiply(working.size_xyz, working.spacing_xyz_mm)
        assert (covered >= extent - 0.01).all()
        assert (covered < extent + 1.01).all()
        centers = [np.mean(g.corners_lps_mm(), axis=0) for g in (grid, working)]
        assert np.allclose(*centers, atol=1e-3)

    def test_outer_halves_of_thick_slices_are_kept(self):
        thick = Grid((8, 8, 4), (1.0, 1.0, 6.0)).image_from(np.full((4, 8, 8), 7, np.float32))
        there, inside = moved_onto(thick, working_grid(Grid.of(thick)))
        assert inside.all()
        assert (sitk.GetArrayViewFromImage(there) == 7).all()

    def test_the_same_grid_changes_nothing(self, phantom):
        there, inside = moved_onto(phantom["t1"], Grid.of(phantom["t1"]))
        assert inside.all()
        assert np.array_equal(*map(sitk.GetArrayViewFromImage, (there, phantom["t1"])))

    def test_probabilities_come_back_and_stay_probabilities(self):
        native = Grid((20, 22, 5), (1.5, 1.5, 5.0), (4, 5, 6))
        working = working_grid(native)
        random = np.random.default_rng(3)
        values = random.uniform(size=(3, *working.shape_zyx)).astype(np.float32)
        values /= values.sum(axis=0)
        back = probabilities_on(values, working, native, sitk.Euler3DTransform())
        assert back.shape == (3, *native.shape_zyx)
        assert np.allclose(back.sum(axis=0), 1, atol=1e-5)
        outside = Grid(native.size_xyz, native.spacing_xyz_mm, (500, 500, 500))
        assert (probabilities_on(values, working, outside)[0] == 1).all()


class TestMaskFile:
    def write(self, path, grid, values):
        sitk.WriteImage(grid.image_from(values.astype(np.uint8)), str(path))
        return path

    def test_belongs_to_the_volume_on_whose_grid_it_lies(self, phantom, tmp_path):
        thick = Grid((40, 40, 20), (4.0, 4.0, 6.0))
        images = {**phantom, "t2": thick.image_from(np.zeros(thick.shape_zyx, np.float32))}
        values = np.zeros(thick.shape_zyx)
        values[5:15, 10:30, 10:30] = 255
        mask = read_mask(self.write(tmp_path / "m.nii.gz", thick, values), images, "t1c")
        assert (mask.sequence, mask.is_on_its_grid) == ("t2", True)
        assert set(np.unique(sitk.GetArrayViewFromImage(mask.brain))) == {0.0, 1.0}

    @pytest.mark.parametrize("values", [np.zeros(1), np.ones(1), np.arange(5)])
    def test_no_mask_is_refused(self, phantom, tmp_path, values):
        grid = Grid.of(phantom["t1"])
        array = np.resize(values, grid.shape_zyx)
        with pytest.raises(InputError, match="brain mask"):
            read_mask(self.write(tmp_path / "m.nii.gz", grid, array), phantom, "t1c")


class TestPreparation:
    def prepare(self, images, mask=None, cancelled=lambda: False):
        needs = needs_of(images)
        return prepare_images(images, needs, lambda: None, mask, Progress(), cancelled)

    def test_moved_sequences_come_onto_the_reference(self, phantom):
        true = motion(phantom["t2"])
        images = {**phantom, "t2": moved(phantom["t2"], true)}
        prepared = self.prepare(images)
        assert {Grid.of(i) for i in prepared.images.values()} == {prepared.working}
        brain = sitk.GetArrayFromImage(prepared.brain) > 0
        for image in prepared.images.values():
            assert not sitk.GetArrayViewFromImage(image)[~brain].any()
        best = moved_onto(images["t2"], prepared.working, true.GetInverse())[0]
        a, b = (sitk.GetArrayFromImage(i)[brain] for i in (best, prepared.images["t2"]))
        assert np.corrcoef(a, b)[0, 1] > 0.97
        told = " ".join(f.sentence for f in prepared.findings)
        assert "registered and moved (t2 by" in told

    @pytest.mark.parametrize("found", [1.0, 0.5])
    def test_an_extractor_tells_a_small_head_from_a_brain(self, phantom, found):
        class Part:
            name = "part"

            def probability(self, image, cancelled):
                size = found * image.GetSize()[0]
                part = sitk.GetArrayFromImage(shown_part(image))
                middle = np.flatnonzero(part.any(axis=(0, 1))).mean()
                part[..., np.abs(np.arange(part.shape[2]) - middle) > size / 4] = 0
                return Grid.of(image).image_from(part)

        array = sitk.GetArrayFromImage(phantom["t1c"])
        own = Grid.of(phantom["t1c"])
        first = int(np.flatnonzero(array.any(axis=(1, 2)))[0]) + 12
        cut = Grid((*own.size_xyz[:2], len(array) - first), (3.0, 3.0, 3.0))
        images = {"t1c": cut.image_from(array[first:])}
        needs = needs_of(images)
        assert needs.perhaps == ("t1c",)
        prepared = prepare_images(images, needs, Part, None, Progress())
        whole = volume_ml(brain_of(shown_part(images["t1c"])))
        kept = volume_ml(prepared.brain) / whole
        assert (kept > 0.97) == (found == 1.0)
        assert any("skull" in f.found for f in prepared.findings) == (found < 1)

    def test_cancel_ends_it(self, phantom):
        images = {**phantom, "t2": moved(phantom["t2"], motion(phantom["t2"]))}
        with pytest.raises(Cancelled):
            self.prepare(images, cancelled=lambda: True)

    def test_no_brain_is_refused(self):
        tiny = Grid((20, 20, 20)).image_from(np.ones((20, 20, 20), np.uint8))
        with pytest.raises(InputError, match="a brain of 8 mL"):
            refuse_no_brain({"t1": tiny})


def test_files_of_a_preparation(phantom, tmp_path):
    from scripted_models.preparation.prepared_files import write_prepared

    images = {m: phantom[m] for m in ("t1c", "t2")}
    images["t2"] = moved(images["t2"], motion(images["t2"]))
    needs = needs_of(images, always=True)
    prepared = prepare_images(images, needs, lambda: None, None, Progress())
    write_prepared(tmp_path, prepared, {"inputs": {}})
    assert {path.name for path in tmp_path.iterdir()} == {
        *("t1c.nii.gz", "t2.nii.gz", "brain_mask.nii.gz"),
        *("t2_to_t1c.tfm", "preparation.json", "preparation.png"),
    }
    read = sitk.ReadTransform(str(tmp_path / "t2_to_t1c.tfm"))
    point = (10.0, 20.0, 30.0)
    assert np.allclose(
        read.TransformPoint(point), prepared.transform_of("t2").TransformPoint(point), atol=1e-3
    )
    facts = json.loads((tmp_path / "preparation.json").read_text())
    assert facts["registrations"]["t2"]["moved_mm"] > 10
    assert volume_ml(prepared.brain) == pytest.approx(facts["brain_ml"], abs=0.1)
