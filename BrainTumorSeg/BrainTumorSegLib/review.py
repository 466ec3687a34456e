"""What a reviewer is shown and says of a segmentation: doubtful slices, a verdict and a note."""

import json
from datetime import date
from typing import Any

import numpy as np

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.sequences import SEQUENCES

from .resampling import LPS_RAS
from .segment_masks import tumor_center_lps
from .slicer_types import SegmentationNode, VolumeNode
from .translation import _

ACCEPTED, REJECTED = "accepted", "rejected"
VERDICTS = ("", ACCEPTED, REJECTED)  # '': not reviewed
REPORT = "BrainTumorSeg.Report"
_VERDICT, _NOTE, _DATE = (f"BrainTumorSeg.Review{part}" for part in ("", "Note", "Date"))
INPUT_ROLES = {sequence: f"BrainTumorSeg.{sequence}" for sequence in SEQUENCES}  # of references


def remember_inputs(node: SegmentationNode, volumes: dict[str, VolumeNode]) -> None:
    """Keep which volumes a segmentation was made from, sequence -> volume node."""
    scene = node.GetScene()
    for sequence, role in INPUT_ROLES.items():
        volume = volumes.get(sequence)
        present = volume if volume is not None and scene.IsNodePresent(volume) else None
        node.SetNodeReferenceID(role, present.GetID() if present is not None else None)


def inputs_of(node: SegmentationNode) -> dict[str, VolumeNode]:
    """Return the volumes that a segmentation was made from, as far as they are in the scene."""
    found = {sequence: node.GetNodeReference(role) for sequence, role in INPUT_ROLES.items()}
    return {sequence: volume for sequence, volume in found.items() if volume is not None}


def is_complete(node: SegmentationNode) -> bool:
    """Tell whether a segmentation is there, filled by a run, with its volumes in the scene."""
    if node is None or not node.GetSegmentation().GetNumberOfSegments():
        return False
    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    return reference is not None and bool(inputs_of(node)) and bool(report_of(node))


def report_of(node: SegmentationNode) -> dict[str, Any]:
    """Return the report of the run that filled a segmentation; empty where there is none."""
    try:
        report = json.loads(node.GetAttribute(REPORT) or "{}") if node is not None else {}
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def doubtful_slices(node: SegmentationNode) -> list[int]:
    """Return the numbers, from 1, of the slices of least certainty in the grid of the result."""
    numbers = report_of(node).get("doubtful_slices", [])
    return [number for number in numbers if isinstance(number, int)]


def grid_of_result(node: SegmentationNode) -> Grid | None:
    """Return the grid in the world that the result was made on; None where it is not known."""
    try:
        return Grid(**{name: tuple(values) for name, values in report_of(node)["grid"].items()})
    except (AttributeError, KeyError, TypeError):
        return None


def place_in_slice(node: SegmentationNode, number: int) -> tuple[float, float, float]:
    """Return the RAS point of a slice, counted from 1, that is nearest to the tumor's center.

    Raises:
        InputError: the segmentation does not know its grid.
    """
    grid = grid_of_result(node)
    if grid is None:
        action = _("segment again")
        raise InputError(found=_("a segmentation without its report"), action=action)
    axes = np.reshape(grid.direction, (3, 3))
    middle = axes @ ((np.array(grid.size_xyz) - 1) / 2 * grid.spacing_xyz_mm) + grid.origin_lps_mm
    center = tumor_center_lps(node)
    center = middle if center is None else center
    depth = (number - 1) * grid.spacing_xyz_mm[2] - (center - grid.origin_lps_mm) @ axes[:, 2]
    x, y, z = LPS_RAS[:3, :3] @ (center + depth * axes[:, 2])
    return float(x), float(y), float(z)


def set_verdict(node: SegmentationNode, verdict: str, note: str) -> None:
    """Store a reviewer's verdict and note with a segmentation, and the day; '' takes it away."""
    day = date.today().isoformat() if verdict or note else ""
    for name, value in ((_VERDICT, verdict), (_NOTE, note), (_DATE, day)):
        node.SetAttribute(name, value or None)


def verdict_of(node: SegmentationNode) -> tuple[str, str, str]:
    """Return verdict, note and day; empty where there is none."""
    verdict, note, day = (node.GetAttribute(name) or "" for name in (_VERDICT, _NOTE, _DATE))
    return verdict, note, day


def forget_verdict(node: SegmentationNode) -> None:
    """Take the verdict of a former result away."""
    set_verdict(node, "", "")
