"""What volumes need before a network may see them: told by their voxels and grids."""

import numpy as np
import pytest
import SimpleITK as sitk
from head_fixtures import (
    make_small_head,  # noqa: F401 - the fixture phantom
    motion,
    moved,
    with_skull,
)

from scripted_models.geometry import Grid
from scripted_models.images.checks import MAX_BRAIN_ML
from scripted_models.preparation.needs import is_stripped, needs_of


class TestNeeds:
    def test_stripped_volumes_on_one_grid_need_nothing(self, phantom):
        assert needs_of(phantom).nothing
        assert not needs_of(phantom, always=True).nothing

    def test_a_raw_volume_among_stripped_ones(self, phantom):
        images = {**phantom, "t2": with_skull(phantom["t2"])}
        assert needs_of(images).with_skull == ("t2",)
        assert not is_stripped(images["t2"])

    def test_another_grid(self, phantom):
        away = sitk.Image(phantom["flair"])
        away.SetOrigin([v + 5 for v in away.GetOrigin()])
        needs = needs_of({**phantom, "flair": away})
        assert (needs.with_skull, needs.on_other_grids) == ((), ("flair",))

    def test_brains_that_lie_elsewhere_on_one_grid(self, phantom):
        images = {**phantom, "t2": moved(phantom["t2"], motion(phantom["t2"], shift=(4, 0, 3)))}
        needs = needs_of(images)
        assert (needs.misplaced, needs.unaligned, needs.nothing) == (("t2",), ("t2",), False)
        assert set(needs_of(images, always=True).unaligned) == set(images) - {"t1c"}

    def test_a_cut_field_of_view_is_not_elsewhere(self, phantom):
        array = sitk.GetArrayFromImage(phantom["t1"])
        array[-20:] = 0
        images = {**phantom, "t1": Grid.of(phantom["t1"]).image_from(array)}
        assert needs_of(images).nothing

    def test_a_head_before_zeros_is_no_brain_though_it_is_small(self, phantom):
        head = sitk.GetArrayFromImage(with_skull(phantom["t2"]))
        head[head < 0.02 * head.max()] = 0
        first = int(np.flatnonzero(head.any(axis=(1, 2)))[0])
        own = Grid.of(phantom["t2"])
        x, y, z = (1.3 * step for step in own.spacing_xyz_mm)
        shown = head[first + 10 :]  # the field of view ends in the head
        grid = Grid((*own.size_xyz[:2], len(shown)), (x, y, z))
        assert np.count_nonzero(shown) * grid.voxel_volume_ml < MAX_BRAIN_ML
        image = grid.image_from(shown)
        assert not is_stripped(image)
        needs = needs_of({"t1c": image})
        assert needs.perhaps == ("t1c",)
        assert needs.with_brains(["t1c"]).nothing

    @pytest.mark.parametrize(
        ("given", "reference"),
        [(("t1", "t1c", "t2"), "t1c"), (("t1", "t2", "flair"), "t1"), (("t2", "flair"), "flair")],
    )
    def test_reference(self, phantom, given, reference):
        assert needs_of({m: phantom[m] for m in given}).reference == reference
