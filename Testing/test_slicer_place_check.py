"""What the input check says about the place of volumes, and what the export then does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slicer_fixtures import (
    SEQUENCES,
    export_volumes,
    make_nodes,  # noqa: F401 - the fixture nodes
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    moved,
    rigid_matrix,
    shifted,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib.findings import merged  # noqa: E402
from BrainTumorSegLib.input_check import InputCheck  # noqa: E402
from BrainTumorSegLib.place_check import covered_share  # noqa: E402
from BrainTumorSegLib.resampling import ras_matrix, world_grid  # noqa: E402

from scripted_models.geometry import Grid  # noqa: E402
from scripted_models.images.training_space import TrainingSpace  # noqa: E402

pytestmark = pytest.mark.slicer


def check(nodes, **options):
    return InputCheck().check(nodes, **options)


def rigid_for_all(mrml, nodes):
    for node in nodes.values():
        moved(mrml, node, rigid_matrix())


def sheared_reference(mrml, nodes):
    shear = np.eye(4)
    shear[0, 1] = 0.2
    moved(mrml, nodes["t1c"], shear)


def bent_flair(mrml, nodes):
    nodes["flair"].SetAndObserveTransformNodeID(thin_plate_transform(mrml).GetID())


def skewed_axes(mrml, nodes):
    matrix = ras_matrix(world_grid(nodes["t2"]))
    matrix[0, 1] += 0.2
    nodes["t2"].SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


@pytest.mark.parametrize(
    ("place", "count", "words"),
    [
        (
            rigid_for_all,
            1,
            "T2 'my t2' and FLAIR 'my flair': found the transform 'linear'; the place",
        ),
        (sheared_reference, 2, "onto a regular grid"),
        (bent_flair, 1, "transform 'bend', which bends or shears it; resampled"),
        (skewed_axes, 1, "T2 'my t2': found axes that are not perpendicular; resampled"),
        (lambda m, n: moved(m, n["t1"], shifted(2)), 1, "'linear' and another grid (origins"),
    ],
)
def test_what_the_export_does_is_announced_in_its_own_words(
    slicer_scene, nodes, tmp_path, place, count, words
):
    place(slicer_scene, nodes)
    findings = check(nodes)
    assert {f.severity for f in findings} == {"note"}
    findings = [f for f in findings if "Prepare raw volumes" not in f.action]
    assert findings == merged(export_volumes(nodes, tmp_path).notes)
    assert len(findings) == count
    assert any(words in finding.sentence for finding in findings)


def test_spacing_is_compared_with_the_training_space(nodes):
    warning, note = check(nodes, training_space=TrainingSpace())
    assert (warning.severity, warning.slots) == ("warning", SEQUENCES)
    assert "voxels of 5 x 5 x 3.88 mm" in warning.found
    assert (note.severity, note.slots) == ("note", ("t1c",))
    assert "resampled for the network" in note.action


def test_scaling_transform_counts_for_spacing(slicer_scene, nodes):
    for node in nodes.values():
        moved(slicer_scene, node, np.diag([0.25, 0.25, 0.25, 1]))
    findings = check(nodes, training_space=TrainingSpace())
    assert not any("choose thin slices" in f.action for f in findings)


@given(st.floats(-1.5, 1.5), st.integers(0, 2), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_covered_share_of_a_shifted_grid(part, axis, size):
    sizes = [30, 30, 30]
    sizes[axis] = size
    grid = Grid(tuple(sizes), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0))
    origin = list(grid.origin_lps_mm)
    origin[axis] += part * size * grid.spacing_xyz_mm[axis]
    other = Grid(grid.size_xyz, grid.spacing_xyz_mm, tuple(origin))
    assert covered_share(grid, grid) == 1
    share = covered_share(grid, other)
    assert abs(share - max(0, 1 - abs(part))) <= 1.0 / min(size, 17)
    assert share == pytest.approx(covered_share(other, grid), abs=1e-9)
