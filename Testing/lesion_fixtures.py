"""Segmentations with lesions in a scene, and what users do to them and their lines."""

import numpy as np
import pytest
import slicer_fixtures  # noqa: F401 - puts the module's library on the path
from slicer_fixtures import add_volume, oblique_matrix

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import lesion_lines, lesion_measurement, lesion_rows, resampling  # noqa: E402
from BrainTumorSegLib.result_import import import_segmentation  # noqa: E402

SHAPE = (12, 40, 48)
LINES = "vtkMRMLMarkupsLineNode"


@pytest.fixture(name="reference")
def make_reference(slicer_scene):
    """An oblique, anisotropic T1c volume of a head."""
    return add_volume(slicer_scene, "T1c", head(), oblique_matrix())


def head():
    values = np.zeros(SHAPE, np.float32)
    values[:, 2:-2, 2:-2] = 100
    return values


def blocks(*boxes):
    """Enhancing blocks as (z, y, x) slices in edema."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 2
    for box in boxes:
        labels[box] = 4
    return labels


LARGE = np.s_[2:8, 4:22, 4:24]
SMALL = np.s_[3:6, 26:38, 28:44]
THIN = np.s_[9, 26:38, 28:44]  # one slice
SPECK = np.s_[9, 2:5, 40:44]  # 0.03 mL


def imported(mrml, reference, *boxes, target=None):
    """A segmentation that is not measured yet."""
    grid = resampling.world_grid(reference)
    return import_segmentation(mrml, blocks(*boxes), grid, "Tumor", reference, target=target)


def segmented(mrml, reference, *boxes, target=None):
    """A measured segmentation with lines."""
    node = imported(mrml, reference, *boxes, target=target)
    lesion_measurement.measure_lesions(node)
    lesion_lines.draw_lines(node)
    return node


def paint(node, reference, *boxes):
    """Edit the enhancing tumor as the Segment Editor does."""
    mask = (blocks(*boxes) == 4).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", reference)


def reset(node):
    """Press Reset diameters."""
    lesion_measurement.measure_lesions(node, anew=True)
    lesion_lines.draw_lines(node)


def lines(node):
    return lesion_lines.lines_of(node)


def ends_lps(line):
    return slicer.util.arrayFromMarkupsControlPoints(line, world=True) * (-1, -1, 1)


def drag(line, share):
    """Move the second end of a line along it, to a share of its length."""
    first, last = (np.array(line.GetNthControlPointPositionWorld(end)) for end in range(2))
    line.SetNthControlPointPositionWorld(1, *(first + share * (last - first)))


def unit(ends):
    return (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])


def rows_of(node):
    return lesion_rows.lesion_rows(node)


def row(node, number=1):
    return rows_of(node)[number - 1]


def cells(node):
    table = lesion_rows.lesion_table_of(node)
    columns = range(table.GetNumberOfColumns())
    return [
        {table.GetColumnName(c): table.GetCellText(at, c) for c in columns}
        for at in range(table.GetNumberOfRows())
    ]


def labels_of(node):
    """Return the enhancing tumor as a label map, and its grid in the world."""
    masks, grid = lesion_measurement.segment_masks(node)
    return (masks[4] * 4).astype(np.uint8), grid


def approximately(rows):
    """Return rows that compare equal within what a file keeps."""
    return [
        lesion_rows.LesionRow(
            *(pytest.approx(cell) if isinstance(cell, float) else cell for cell in found)
        )
        for found in rows
    ]
