"""Postprocessing steps: what they remove, and what they leave alone."""

import itertools
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.bundle.weights import load_model
from scripted_models.errors import ModelError
from scripted_models.geometry import Grid
from scripted_models.labels import REGIONS, region_mask
from scripted_models.segmentation.volume_steps import decide
from scripted_models.transforms.postprocessing import build_postprocessing
from scripted_models.transforms.steps import RemoveFlatComponents


def run(step, labels, brain=None, spacing_zyx_mm=(1.0, 1.0, 1.0), enhancing=None):
    data = {
        "labels": labels,
        "enhancing": np.zeros(labels.shape, np.float32) if enhancing is None else enhancing,
        "brain": np.ones(labels.shape, bool) if brain is None else brain,
        "voxel_volume_ml": float(np.prod(spacing_zyx_mm)) / 1000,
        "spacing_zyx_mm": spacing_zyx_mm,
    }
    return build_postprocessing([step])(data)["labels"]


def test_labels_outside_the_brain_go():
    brain = np.zeros((2, 2, 2), bool)
    brain[0] = True
    cleaned = run({"step": "inside_brain"}, np.ones((2, 2, 2), np.uint8), brain)
    assert cleaned.sum() == 4
    assert cleaned[0].all()


class TestSmallComponents:
    def clean(self, labels, **rule):
        return run({"step": "remove_small_components", **rule}, labels)

    def test_small_components_go_and_large_ones_keep_their_labels(self):
        labels = np.zeros((10, 20, 20), np.uint8)
        labels[2:8, 2:10, 2:10] = 2
        labels[4, 5, 5] = 4
        labels[1, 18, 18] = 4
        cleaned = self.clean(labels, min_volume_ml=0.01, min_share=0.05)
        assert cleaned[1, 18, 18] == 0
        assert np.array_equal(cleaned[2:8], labels[2:8])

    def test_the_only_component_may_fall_below_the_volume(self):
        labels = np.zeros((5, 5, 5), np.uint8)
        labels[2, 2, 2] = 1
        assert not self.clean(labels, min_volume_ml=0.5, min_share=0.0).any()

    def test_empty_label_map_stays_empty(self):
        assert not self.clean(np.zeros((4, 4, 4), np.uint8), min_volume_ml=1, min_share=0.1).any()


class TestSmallEnhancing:
    STEP: ClassVar = {"step": "replace_small_enhancing", "min_volume_ml": 0.01}

    @pytest.mark.parametrize(("voxels", "stay"), [(9, False), (10, True), (0, True)])
    def test_little_of_it_is_replaced_as_a_whole(self, voxels, stay):
        labels = np.full((5, 5, 5), 2, np.uint8)
        labels.ravel()[:voxels] = 4
        cleaned = run(self.STEP, labels)
        assert cleaned.dtype == np.uint8
        assert np.array_equal(cleaned, labels if stay else np.where(labels == 4, 3, labels))

    @pytest.mark.parametrize(("inside", "outside", "stay"), [(0.9, 0, True), (0.9, 0.3, False)])
    def test_what_is_nowhere_likely_is_replaced_as_a_whole(self, inside, outside, stay):
        """0.95 = 2 * 9 / (10 + 9) or 0.34 = 2 * 9 / (10 + 9 + 0.3 * 115) are expected."""
        labels = np.full((5, 5, 5), 2, np.uint8)
        labels.ravel()[:10] = 4
        p = np.where(labels == 4, inside, outside).astype(np.float32)
        cleaned = run({**self.STEP, "min_estimated_dice": 0.6}, labels, enhancing=p)
        assert np.array_equal(cleaned, labels if stay else np.where(labels == 4, 3, labels))

    def test_the_volume_counts_and_not_the_voxels(self):
        labels = np.full((5, 5, 5), 4, np.uint8)
        assert (run(self.STEP, labels, spacing_zyx_mm=(0.4, 0.4, 0.4)) == 3).all()

    @pytest.mark.parametrize("label", [4, 5, -1])
    def test_its_place_is_taken_by_a_label(self, label):
        with pytest.raises(ModelError, match="expected a whole number from 0 to 3"):
            build_postprocessing([{**self.STEP, "label": label}])


def core_lesions(labels):
    """Number the 26-connected components of the tumor core, by flooding voxel after voxel."""
    core, numbers = {tuple(voxel) for voxel in np.argwhere(region_mask(labels, "TC"))}, {}
    for number, start in enumerate(sorted(core)):
        reached = [] if start in numbers else [start]
        while reached:
            voxel = reached.pop()
            numbers[voxel] = number
            around = itertools.product(*[(v - 1, v, v + 1) for v in voxel])
            reached += [v for v in around if v in core and v not in numbers]
    return numbers


class TestNecrosisWithoutEnhancing:
    STEP: ClassVar = {"step": "replace_necrosis_without_enhancing"}

    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), tumor=st.floats(0, 0.5), enhancing=st.floats(0, 0.3))
    def test_random_label_maps(self, seed, tumor, enhancing):
        rng = np.random.default_rng(seed)
        rest = (1 - enhancing) / 3
        labels = rng.choice(5, (5, 6, 7), p=[0, rest, rest, rest, enhancing]).astype(np.uint8)
        labels[rng.random(labels.shape) > tumor] = 0
        before = labels.copy()
        cleaned = run(self.STEP, labels)
        assert np.array_equal(labels, before)
        assert cleaned.dtype == np.uint8
        for region in REGIONS:
            assert np.array_equal(region_mask(cleaned, region), region_mask(labels, region))
        lesions = core_lesions(labels)
        enhance = {number for voxel, number in lesions.items() if labels[voxel] == 4}
        expected = labels.copy()
        for voxel, number in lesions.items():
            if labels[voxel] == 1 and number not in enhance:
                expected[voxel] = 3
        assert np.array_equal(cleaned, expected)
        assert np.array_equal(run(self.STEP, cleaned), cleaned)

    def test_edema_does_not_join_lesions(self):
        labels = np.full((5, 5, 12), 2, np.uint8)
        labels[1:4, 1:4, 1:4] = labels[1:4, 1:4, 8:11] = 1
        labels[2, 2, 4] = 4
        cleaned = run(self.STEP, labels)
        assert (cleaned[1:4, 1:4, 1:4] == 1).all()
        assert (cleaned[1:4, 1:4, 8:11] == 3).all()

    def test_a_corner_joins_necrosis_and_enhancing_tumor(self):
        labels = np.zeros((4, 4, 4), np.uint8)
        labels[1, 1, 1], labels[2, 2, 2] = 1, 4
        assert np.array_equal(run(self.STEP, labels), labels)

    def test_the_volume_is_counted(self):
        labels = np.ones((5, 4, 3), np.uint8)
        data = {"labels": labels, "voxel_volume_ml": 0.002}
        done = build_postprocessing([self.STEP])(data)
        assert done["replaced_necrosis_ml"] == pytest.approx(0.12)

    def test_little_enhancing_tumor_goes_before(self):
        labels = np.ones((5, 5, 5), np.uint8)
        labels[2, 2, 2] = 4
        data = {"labels": labels, "enhancing": np.zeros(labels.shape), "voxel_volume_ml": 0.001}
        steps = [{"step": "replace_small_enhancing", "min_volume_ml": 0.01}, self.STEP]
        assert (build_postprocessing(steps)(data)["labels"] == 3).all()
        with pytest.raises(ModelError, match="'replace_necrosis_without_enhancing' last"):
            build_postprocessing(steps[::-1])


SHAPE = (40, 48, 44)


@pytest.fixture
def brain():
    """A block of brain with 4 voxels of background around it."""
    mask = np.zeros(SHAPE, bool)
    mask[4:-4, 4:-4, 4:-4] = True
    return mask


@pytest.fixture
def tumor():
    """A tumor of 16 x 16 x 16 voxels in the middle."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[12:28, 14:30, 12:28] = 2
    return labels


def clean(labels, brain, spacing_zyx_mm=(1.0, 1.0, 1.0), **rule):
    return run({"step": "remove_flat_components", **rule}, labels, brain, spacing_zyx_mm)


class TestFlatComponents:
    def test_a_sheet_at_the_surface_goes_and_the_same_in_the_middle_stays(self, tumor, brain):
        labels = tumor.copy()
        labels[10:30, 5:7, 10:30] = 4  # 2 mm thick, just below the surface
        labels[10:30, 33:35, 10:30] = 4  # 8 mm below the other side
        cleaned = clean(labels, brain)
        assert not cleaned[:, 5:7].any()
        assert np.array_equal(cleaned[:, 7:], labels[:, 7:])

    def test_a_thick_blob_at_the_surface_stays(self, tumor, brain):
        tumor[4:14, 4:14, 32:40] = 1
        assert np.array_equal(clean(tumor, brain), tumor)

    def test_a_thick_but_small_blob_goes_at_the_surface_only(self, tumor, brain):
        tumor[14:20, 4:10, 33:39] = 1
        tumor[14:20, 33:39, 14:20] = 1
        cleaned = clean(tumor, brain, min_share=0.06, surface_share=0.4)
        assert not cleaned[14:20, 4:10, 33:39].any()
        assert cleaned[14:20, 33:39, 14:20].all()

    def test_an_oblique_sheet_is_as_flat_as_a_straight_one(self):
        z, y, x = np.mgrid[:60, :60, :60]
        depth = (z + y) / np.sqrt(2)
        brain = depth > 20
        labels = ((depth > 21) & (depth < 24) & (abs(x - 30) < 20) & (abs(z - y) < 20)).astype(
            np.uint8
        )
        labels[40:58, 40:58, 20:50] = 2
        assert np.array_equal(clean(labels, brain) > 0, labels == 2)

    def test_distances_and_thickness_are_in_millimeters(self, tumor, brain):
        tumor[5:7, 8:36, 8:36] = 4  # two slices
        thin = clean(tumor, brain, (1.0, 1.0, 1.0))
        assert not thin[5:7].any()
        thick = clean(tumor, brain, (4.0, 1.0, 1.0))  # 8 mm
        assert np.array_equal(thick, tumor)
        beyond = clean(tumor, brain, (4.0, 1.0, 1.0), max_thickness_mm=8.1, surface_distance_mm=3)
        assert np.array_equal(beyond, tumor)
        both = clean(tumor, brain, (4.0, 1.0, 1.0), max_thickness_mm=8.1, surface_distance_mm=8)
        assert not both[5:7].any()

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_sheet_one_voxel_thick_is_as_thick_as_its_spacing(self, axis, tumor, brain):
        sheet = [slice(8, 34)] * 3
        sheet[axis] = slice(4, 5)
        tumor[tuple(sheet)] = 4
        spacing = tuple(2.5 if a == axis else 1.0 for a in range(3))
        assert np.array_equal(clean(tumor, brain, spacing, max_thickness_mm=2.4), tumor)
        assert not clean(tumor, brain, spacing, max_thickness_mm=2.6)[tuple(sheet)].any()

    def test_a_hole_in_the_mask_and_the_edge_of_the_volume_are_no_surface(self, tumor, brain):
        tumor[15:25, 33:35, 15:29] = 4
        brain[15:25, 35, 15:29] = False
        assert np.array_equal(clean(tumor, brain), tumor)
        everywhere = np.ones_like(brain)
        tumor[0:2, 10:20, 10:20] = 4
        assert np.array_equal(clean(tumor, everywhere), tumor)

    def test_labels_outside_the_brain_count_as_at_the_surface(self, tumor, brain):
        tumor[0:2, 10:30, 10:30] = 3
        assert not clean(tumor, brain)[0:2].any()

    def test_a_segmentation_gives_its_spacing_in_the_order_of_the_array(self, tumor, brain):
        tumor[4:6, 8:36, 8:36] = 4
        grid = Grid(SHAPE[::-1], spacing_xyz_mm=(1.0, 2.0, 4.0))
        probabilities = np.eye(5, dtype=np.float32)[:, tumor]

        def finished(thickness):
            steps = build_postprocessing([RemoveFlatComponents(max_thickness_mm=thickness)])
            model = replace(load_model("TwoPathCNN"), postprocessing=steps)
            return decide(probabilities, brain, grid, model).labels

        assert np.array_equal(finished(7.9), tumor)  # 8 mm
        assert not finished(8.1)[4:6].any()

    def test_a_flat_tumor_alone_stays(self, brain):
        labels = np.zeros(SHAPE, np.uint8)
        labels[5:6, 10:30, 10:30] = 4
        assert np.array_equal(clean(labels, brain), labels)

    def test_empty_label_map_stays_empty(self, brain):
        assert not clean(np.zeros(SHAPE, np.uint8), brain).any()

    def test_an_unknown_parameter_is_refused(self):
        with pytest.raises(ModelError, match=r"unknown key 'postprocessing\[0\].thickness'"):
            build_postprocessing([{"step": "remove_flat_components", "thickness": 3}])

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        share=st.floats(0, 1),
        thickness=st.floats(0, 10),
        distance=st.floats(0, 10),
        spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    )
    def test_random_blobs(self, seed, share, thickness, distance, spacing):
        rng = np.random.default_rng(seed)
        brain = np.zeros((14, 16, 15), bool)
        brain[1:-2, 2:-1, 1:-1] = True
        labels = np.zeros(brain.shape, np.uint8)
        for _ in range(rng.integers(1, 9)):
            low = rng.integers(0, 12, 3)
            labels[
                tuple(slice(a, a + n) for a, n in zip(low, rng.integers(1, 6, 3), strict=True))
            ] = rng.integers(1, 5)
        rule = {
            "min_share": share,
            "max_thickness_mm": thickness,
            "surface_distance_mm": distance,
            "surface_share": 0.5,
        }
        before = labels.copy()
        cleaned = clean(labels, brain, spacing, **rule)
        assert np.array_equal(labels, before)
        assert np.isin(cleaned[cleaned != labels], 0).all()
        assert np.array_equal(clean(cleaned, brain, spacing, **rule), cleaned)
        parts = sitk.GetArrayFromImage(
            sitk.ConnectedComponent(sitk.GetImageFromArray((labels > 0).astype(np.uint8)), True)
        )
        largest = np.bincount(parts[parts > 0]).argmax()
        assert np.array_equal(cleaned[parts == largest], labels[parts == largest])
        for part in range(1, parts.max() + 1):
            assert len(np.unique(cleaned[parts == part] > 0)) == 1  # whole components
