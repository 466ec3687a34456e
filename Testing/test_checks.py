"""What is found in volumes before they are segmented, on real and made-up heads."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.geometry import Grid
from scripted_models.images import checks
from scripted_models.images.checks import Examined, grid_findings, voxel_findings
from scripted_models.images.training_space import TrainingSpace
from scripted_models.images.voxel_facts import look_at
from scripted_models.sequences import SEQUENCES, TITLES
from scripted_models.transforms import preprocessing

COARSE = Grid((60, 60, 52), (4.0, 4.0, 3.0))  # the field of view of BraTS
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(1, COARSE.size_xyz)


def examined(arrays, grid=COARSE):
    return {m: Examined(m, look_at(array), grid) for m, array in arrays.items()}


def about(findings, severity=None):
    return [f.sentence for f in findings if severity in (None, f.severity)]


def with_skull(volume, grid, thickness_mm=12.0):
    """A bright shell around what is not 0."""
    inside = sitk.Cast(grid.image_from((volume != 0).astype(np.uint8)), sitk.sitkUInt8)
    distance = sitk.SignedMaurerDistanceMap(inside, squaredDistance=False, useImageSpacing=True)
    shell = (sitk.GetArrayFromImage(distance) <= thickness_mm) & (volume == 0)
    return np.where(shell, 0.8 * volume.max(), volume)


def cut(volume, axis, upper, share):
    """A field of view that ends inside the brain."""
    moved = np.moveaxis(volume.copy(), axis, 0)
    found = np.flatnonzero(moved.any(axis=(1, 2)))
    lost = int(len(found) * share)
    moved[found[-1] - lost + 1 :] *= not upper
    moved[: found[0] + lost] *= upper
    return np.moveaxis(moved, 0, axis)


def with_noise(volume):
    """Rician noise where nothing is, as a scanner delivers it."""
    noise = np.hypot(*RNG.normal(0, 0.02 * volume.max(), (2, *volume.shape)))
    return np.where(volume == 0, noise, volume)


class TestVoxels:
    def test_a_skull_stripped_head_gives_no_finding(self, phantom):
        assert voxel_findings(examined(phantom.volumes, phantom.grid)) == []

    @pytest.mark.parametrize("spoil", [with_noise, lambda v: with_skull(v, COARSE)])
    def test_a_head_with_skull_or_noise_is_named(self, phantom, spoil):
        volumes = {**phantom.volumes, "t2": spoil(phantom.volumes["t2"])}
        (finding,) = voxel_findings(examined(volumes))
        assert finding.severity == "warning"
        assert finding.slots == ("t2",)
        assert "skull or noise" in finding.found
        assert "nothing is removed" in finding.action

    def test_four_heads_with_skull_are_one_finding(self, phantom):
        volumes = {m: with_skull(v, COARSE) for m, v in phantom.volumes.items()}
        (finding,) = voxel_findings(examined(volumes))
        assert finding.slots == SEQUENCES
        assert finding.sentence.startswith("t1, t1c, t2 and flair: found ")

    def test_a_field_of_view_smaller_than_a_brain_says_nothing_about_the_skull(self):
        grid = Grid((100, 100, 100))
        noise = {m: RNG.normal(100, 9, grid.shape_zyx) for m in SEQUENCES}
        assert voxel_findings(examined(noise, grid)) == []

    @pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
    def test_a_constant_background_other_than_0_is_named(self, phantom, dtype):
        volumes = {**phantom.volumes, "flair": (phantom.volumes["flair"] - 7).astype(dtype)}
        (finding,) = voxel_findings(examined(volumes))
        assert finding.sentence.startswith("flair: found a background of -7, expected 0; ")

    @pytest.mark.parametrize(
        ("voxels", "words"),
        [
            (np.nan, "NaN or infinite voxels"),
            (-np.inf, "NaN or infinite voxels"),
            (3.0, "1 voxels other than 0"),
        ],
    )
    def test_single_voxels_stop(self, phantom, voxels, words):
        array = np.zeros(COARSE.shape_zyx) if voxels > 0 else phantom.volumes["t1"].copy()
        array[30, 30, 30] = voxels
        (finding,) = voxel_findings(examined({**phantom.volumes, "t1": array}))
        assert finding.severity == "stop"
        assert finding.slots == ("t1",)
        assert finding.found == words

    def test_constant_volumes_stop_and_are_not_called_doubles(self):
        zeros = {m: np.zeros(COARSE.shape_zyx) for m in SEQUENCES}
        found = voxel_findings(examined(zeros))
        assert [f.severity for f in found] == ["stop"] * 4
        assert found[0].fields == {
            "found": "the same value (0) in all voxels",
            "expected": "an MRI sequence",
            "action": "choose another volume",
            "path": "t1",
        }
        assert found[0].sentence == (
            "t1: found the same value (0) in all voxels, expected an MRI sequence; "
            "choose another volume."
        )

    def test_a_label_map_among_images_is_named(self, phantom):
        volumes = {**phantom.volumes, "t1": phantom.labels}
        (text,) = about(voxel_findings(examined(volumes)), "warning")
        assert "t1: found only 5 different values, as in a label map" in text

    def test_a_nearly_empty_volume_is_named(self, phantom):
        array = np.zeros(COARSE.shape_zyx)
        array[20:30, 20:30, 20:30] = RNG.normal(100, 9, (10, 10, 10))
        (text,) = about(voxel_findings(examined({**phantom.volumes, "t1c": array})))
        assert "t1c: found only 0.53% of the voxels outside the background" in text

    def test_equal_voxels_are_found_whatever_their_type(self, phantom):
        volumes = {m: np.rint(v).astype(np.int16) for m, v in phantom.volumes.items()}
        volumes["t2"] = volumes["flair"].astype(np.float64)
        (finding,) = voxel_findings(examined(volumes))
        assert finding.slots == ("t2", "flair")
        assert finding.sentence.startswith("t2 and flair: found the same voxels in both")

    @given(
        place=st.tuples(*(st.integers(0, n - 1) for n in (4, 5, 6))),
        shape=st.permutations([4, 5, 6]),
    )
    @settings(max_examples=30, deadline=None)
    def test_one_voxel_or_another_shape_makes_another_volume(self, place, shape):
        array = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
        other = array.copy()
        other[place] += 1
        assert look_at(other).digest != look_at(array).digest
        same = look_at(array.reshape(shape)).digest == look_at(array).digest
        assert same == (shape == [4, 5, 6])

    @given(st.tuples(*(st.tuples(st.integers(1, 6), st.integers(1, 6)) for _ in range(3))))
    @settings(max_examples=30, deadline=None)
    def test_box_and_count_of_the_foreground(self, ends):
        box = tuple(tuple(sorted(pair)) for pair in ends)
        array = np.full((8, 8, 8), -3, np.int16)
        array[tuple(slice(low, high + 1) for low, high in box)] = 5
        facts = look_at(array)
        assert facts.box == box
        assert facts.background == -3
        assert facts.foreground == (array == 5).sum()

    def test_preprocessing_asks_for_as_many_voxels(self):
        assert checks.MIN_FOREGROUND_VOXELS == preprocessing.MIN_BRAIN_VOXELS


class TestGrids:
    def found(self, grid, space=TrainingSpace()):  # noqa: B008 - immutable
        volume = Examined("T1c", look_at(np.zeros((2, 2, 2))), grid)
        return grid_findings({"t1c": volume}, space, "t1c")

    @pytest.mark.parametrize(
        ("grid", "severities"),
        [
            (Grid((240, 240, 155)), []),
            (Grid((240, 240, 155), (1.05, 0.95, 2.9)), []),
            (Grid((240, 240, 155), (1.3, 1.3, 1.0)), ["note"]),
            (Grid((512, 512, 155), (0.4, 0.4, 1.0)), ["note"]),
            (Grid((240, 240, 30), (1.0, 1.0, 5.0)), ["warning"]),
            (Grid((100, 100, 155), (2.0, 2.0, 1.0)), ["warning", "note"]),
            (Grid((240, 240, 1)), ["warning"]),
        ],
    )
    def test_spacing_and_thickness(self, grid, severities):
        assert [f.severity for f in self.found(grid)] == severities

    def test_thick_sagittal_slices_count_along_the_axis_of_the_network(self):
        sagittal = Grid((240, 155, 30), (1.0, 1.0, 4.0), direction=(0, 0, 1, 1, 0, 0, 0, 1, 0))
        (warning, note) = self.found(sagittal)
        assert warning.found == "voxels of 4 x 1 x 1 mm (LPS)"
        assert note.expected == "1 x 1 x any mm"
        assert "back onto this grid" in note.action

    def test_nothing_is_said_about_spacing_without_a_training_space(self):
        assert self.found(Grid((100, 100, 60), (9, 9, 9)), None) == []

    def test_a_third_spacing_of_the_model_is_the_measure(self):
        space = TrainingSpace(spacing_xyz_mm=(1.0, 1.0, 2.0))
        assert about(self.found(Grid((240, 240, 30), (1, 1, 5)), space), "warning") == []
        assert about(self.found(Grid((240, 240, 30), (1, 1, 7)), space), "warning")


class TestFieldsOfView:
    @settings(max_examples=40, deadline=None)
    @given(
        sequence=st.sampled_from(SEQUENCES),
        axis=st.integers(0, 2),
        upper=st.booleans(),
        share=st.floats(0.2, 0.5),
    )
    def test_a_field_of_view_that_ends_inside_the_brain_is_told(
        self, phantom, sequence, axis, upper, share
    ):
        volume = cut(phantom.volumes[sequence], axis, upper, share)
        lost = np.mean(volume[phantom.volumes[sequence] != 0] == 0)
        spoilt = {**phantom.volumes, sequence: volume}
        (finding,) = voxel_findings(examined(spoilt, phantom.grid))
        assert (finding.severity, finding.slots) == ("warning", (sequence,))
        assert abs(float(finding.found.split()[2].rstrip("%")) / 100 - lost) < 0.03
        assert "of the brain that the other sequences show" in finding.found

    def test_two_fields_of_view_may_end_at_one_place(self, phantom):
        spoilt = {m: cut(phantom.volumes[m], 0, True, 0.3) for m in ("t1", "t1c")}
        found = voxel_findings(examined({**phantom.volumes, **spoilt}, phantom.grid))
        assert [finding.slots for finding in found] == [("t1",), ("t1c",)]

    def test_rims_of_masks_made_one_by_one_are_no_fields_of_view(self, phantom):
        mask = sitk.GetImageFromArray((phantom.volumes["t1"] != 0).astype(np.uint8))
        inside = sitk.GetArrayFromImage(sitk.BinaryErode(mask, [1, 1, 1]))
        spoilt = {**phantom.volumes, "t1": phantom.volumes["t1"] * inside}
        found = voxel_findings(examined(spoilt, phantom.grid))
        assert not any("that the other sequences show" in finding.found for finding in found)


@pytest.fixture(scope="module")
def patients(real_data):
    found = []
    for case in find_cases(real_data / "brats")[:2]:
        images = {m: sitk.Shrink(case.images[m].read(), [2, 2, 2]) for m in SEQUENCES}
        arrays = {m: sitk.GetArrayFromImage(image) for m, image in images.items()}
        found.append(examined(arrays, Grid.of(images["t1"])))
    return found


@pytest.mark.real_data
class TestRealCases:
    def test_a_skull_stripped_case_gives_no_finding_and_shows_its_skull(self, patients):
        assert voxel_findings(patients[0]) == []
        small = patients[0]["t1"].facts.look.values
        grid = Grid(small.shape[::-1], (6.0, 6.0, 4.0))
        spoilt = {**patients[0], "t1": Examined("t1", look_at(with_skull(small, grid)), grid)}
        assert any("skull" in text for text in about(voxel_findings(spoilt)))

    @pytest.mark.parametrize("pair", list(combinations(SEQUENCES, 2)))
    def test_exchanged_sequences_are_told(self, patients, pair):
        a, b = pair
        spoilt = {**patients[0], a: patients[0][b], b: patients[0][a]}
        (finding,) = voxel_findings(spoilt)
        assert (finding.severity, set(finding.slots)) == ("warning", {a, b})
        assert f"{TITLES[b]} looks like {TITLES[a]}" in finding.found

    def test_a_volume_of_another_patient_is_told(self, patients):
        (finding,) = voxel_findings({**patients[0], "t2": patients[1]["t2"]})
        assert finding.severity == "warning"
        assert finding.slots == ("t2",)
        assert "a Dice of only 0.8" in finding.found


def test_slicer_needs_no_torch_for_it():
    code = (
        "import sys, scripted_models.images.checks; "
        "print([m for m in ('torch', 'monai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
