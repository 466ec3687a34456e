"""Where the chosen volumes lie in the world, beside the reference and on its grid."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from scripted_models.geometry import Grid
from scripted_models.images.checks import NOTE, STOP, WARNING, Examined, Finding
from scripted_models.sequences import TITLES

from .findings import label, volume_finding
from .resampling import world_grid
from .slicer_types import VolumeNode
from .translation import _

MIN_COVERED = 0.9  # of the box around what the reference shows
MIN_TOGETHER = 0.75  # of the smaller of two such boxes; a head 35 mm aside has less
POINTS_PER_AXIS = 17


def lies_on(node: VolumeNode, grid: Grid) -> bool:
    """True when the node's voxels lie on a grid in the world, transforms applied."""
    own = world_grid(node)
    return own is not None and own.matches(grid)


def placement(node: VolumeNode, sequence: str, grid: Grid, reference: str) -> Finding | None:
    """Say what brings a volume onto the grid in the world that all volumes get.

    Args:
        node: vtkMRMLScalarVolumeNode.
        sequence: its sequence.
        grid: that of the reference in the world.
        reference: sequence of the reference.

    Returns:
        A note; None for a volume without transform whose voxels lie there already.
    """
    own, parent, name = world_grid(node), node.GetParentTransformNode(), label(node, sequence)
    transform = _("the transform '{name}'").format(name=parent.GetName()) if parent else ""
    if lies_on(node, grid):
        action = _("the place there is used and voxels stay unchanged")
        return volume_finding(NOTE, sequence, name, transform, "", action) if parent else None
    if own is not None:
        found = _("another grid ({difference})").format(difference=own.difference(grid))
        if parent:
            found = _("{transform} and {grid}").format(transform=transform, grid=found)
    elif parent:
        found = _("{transform}, which bends or shears it").format(transform=transform)
    else:
        found = _("axes that are not perpendicular")
    onto = _("the grid of {sequence}").format(sequence=TITLES[reference])
    onto = _("a regular grid") if sequence == reference else onto
    action = _("resampled (linear, in physical space) onto {grid}").format(grid=onto)
    return volume_finding(NOTE, sequence, name, found, "", action)


def covered_share(grid: Grid, other: Grid) -> float:
    """Share of a grid that lies inside another one, from up to 17 points along each axis."""
    axes = [np.linspace(0, n - 1, min(n, POINTS_PER_AXIS)) for n in grid.size_xyz]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) * grid.spacing_xyz_mm
    points = steps @ np.reshape(grid.direction, (3, 3)).T + grid.origin_lps_mm
    along = (points - other.origin_lps_mm) @ np.reshape(other.direction, (3, 3))
    index = along / other.spacing_xyz_mm
    inside = (index >= -0.5) & (index <= np.array(other.size_xyz) - 0.5)
    return float(inside.all(axis=1).mean())


def place_findings(volumes: Mapping[str, Examined], reference: str) -> Iterator[Finding]:
    """Yield volumes that lie away from the reference, cover part of it or show a head elsewhere."""
    if reference not in volumes:
        return
    base, title = volumes[reference], TITLES[reference]
    for sequence, volume in volumes.items():
        shown, base_shown = _shown(volume), _shown(base)
        if _together(volume.grid, base.grid) == 0:
            found = _("no overlap with {sequence}").format(sequence=title)
            action = _("register the volumes or choose another one")
            yield volume_finding(STOP, sequence, volume.name, found, "", action)
        elif base_shown and (covered := covered_share(base_shown, volume.grid)) < MIN_COVERED:
            part = _("only {part} of what {sequence} shows")
            found = part.format(part=f"{covered:.0%}", sequence=title)
            action = _("choose a volume of the whole head, or it counts as 0 in the rest")
            yield volume_finding(WARNING, sequence, volume.name, found, "", action)
        elif base_shown and shown and _together(shown, base_shown) < MIN_TOGETHER:
            found = _("a head at another place than in {sequence}").format(sequence=title)
            action = _("check the patient and register the volumes, it is used where it lies")
            yield volume_finding(WARNING, sequence, volume.name, found, "", action)


def _together(first: Grid, second: Grid) -> float:
    return max(covered_share(first, second), covered_share(second, first))


def _shown(volume: Examined) -> Grid | None:
    """The part of a volume's grid that is not background; None where a transform warps it."""
    box, grid = volume.facts.box, volume.grid
    if box is None:
        return None
    first, last = np.array(box)[::-1].T
    shift = np.reshape(grid.direction, (3, 3)) @ (first * grid.spacing_xyz_mm)
    origin = tuple((shift + grid.origin_lps_mm).tolist())
    return replace(grid, size_xyz=tuple((last - first + 1).tolist()), origin_lps_mm=origin)
