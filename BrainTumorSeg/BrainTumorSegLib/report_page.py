"""The HTML report of a segmentation as it is now, edits and the reviewer's words included."""

from pathlib import Path
from typing import Any

from scripted_models.errors import ResourceError

from .case_data import labels_of, volumes_of
from .lesion_measurement import is_outdated
from .lesion_record import Measured, read_lesions
from .lesion_rows import lesion_rows
from .result_table import Row, measure_segments
from .review import report_of, verdict_of
from .segments import REGION_SEGMENTS, SEGMENTS
from .slicer_types import SegmentationNode
from .translation import _

OUTDATED = _("Lesions are left out: segments were edited since they were measured; Measure again.")


def write_report_page(node: SegmentationNode, file: Path) -> Path:
    """Write the page about a segmentation.

    Args:
        node: vtkMRMLSegmentationNode of this module whose volumes are in the scene.
        file: destination in an existing folder.

    Returns:
        The file.

    Raises:
        InputError: volumes or segments are gone.
        ResourceError: the file cannot be written, or PyTorch is not installed, which brings what
            makes pages.
    """
    try:
        from scripted_models.pictures.render import picture_input, render_montage, render_overlay
        from scripted_models.reporting.case_report import CaseReport
        from scripted_models.reporting.html_report import write_html_report
    except ModuleNotFoundError as error:  # jinja2, which comes with PyTorch
        raise ResourceError(
            found=_("no package {name} in Slicer's Python").format(name=error.name),
            action=_("press Segment once, it asks whether to install what is missing"),
        ) from error

    measured, outdated = read_lesions(node), is_outdated(node)
    across = measured is not None and measured.across
    rows = {row.name: row for row in measure_segments(node, across)}
    labels, grid = labels_of(node)
    turned, turned_labels, spacing, _none = picture_input(volumes_of(node, grid), labels, grid)
    montage_of = "flair" if "flair" in turned else next(iter(turned))
    named = {entry.segment_id.removeprefix("region-"): entry.name for entry in SEGMENTS}
    named |= {e.segment_id.removeprefix("region-"): e.name for e in REGION_SEGMENTS}
    lengths = rows.get(named["ET"])
    report = report_of(node)
    page = CaseReport(
        name=node.GetName(),
        picture=render_overlay(turned, turned_labels, spacing),
        montage=render_montage(turned[montage_of], turned_labels, spacing),
        volumes_ml={key: rows[name].volume_ml for key, name in named.items() if name in rows},
        measurements=_diameters(lengths),
        lesions={} if outdated else _lesions(node, measured),
        warnings=[*map(str, report.get("warnings", [])), *([OUTDATED] if outdated else [])],
        facts=_facts(node, report),
    )
    return write_html_report(file, [page], node.GetName())


def _diameters(row: Row | None) -> dict[str, dict[str, float]]:
    """Return length and width of the enhancing tumor as a report has them."""
    if row is None or not row.length_mm:
        return {}
    return {"ET": {"longest_mm": float(row.length_mm), "perpendicular_mm": float(row.width_mm)}}


def _lesions(node: SegmentationNode, measured: Measured | None) -> dict[str, Any]:
    """Return the lesions as report.json has them, with the lines as they lie now."""
    rows = lesion_rows(node)
    if measured is None or not rows:
        return {}
    items = [
        {
            "number": row.number,
            "volume_ml": row.volume_ml,
            "slices": row.slices,
            "side": row.side,
            "measurable": bool(row.is_measurable),
            "shortcoming": row.shortcoming
            if row.shortcoming is not None
            else _("A line is deleted."),
            "diameters": {
                "longest_mm": row.longest_mm,
                "perpendicular_mm": row.perpendicular_mm,
            },
        }
        for row in rows
    ]
    return {
        "region": rows[0].region,
        "necrosis": "included" if measured.across else "excluded",
        "left_out": measured.left_out,
        "left_out_ml": measured.left_out_ml,
        "items": items,
    }


def _facts(node: SegmentationNode, report: dict[str, Any]) -> dict[str, object]:
    """Return what was run, and what a reviewer said."""
    verdict, note, day = verdict_of(node)
    model = report.get("model")
    edited = [str(row.number) for row in lesion_rows(node) if row.is_edited]
    facts = {
        "lesions with diameters edited by hand": ", ".join(edited),
        "model": model.get("name", "") if isinstance(model, dict) else "",
        "device": report.get("device", ""),
        "review": f"{verdict or 'not accepted or rejected'} on {day}" if day else "none",
        "reviewer's note": note,
    }
    return {name: fact for name, fact in facts.items() if fact}
