"""A follow-up in the scene: a table node with the sizes, and all that was calculated behind it."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import slicer.util
import vtk

from scripted_models.errors import InputError

from .follow_job import FollowResult
from .segments import segment_name
from .slicer_types import Scene, SegmentationNode, TableNode
from .translation import _

FACTS, PAGE, PRINTS = (f"BrainTumorSeg.FollowUp{part}" for part in ("", "Page", "Prints"))
VISIT_ROLE = "BrainTumorSeg.visit"  # of references, with the number of the visit behind it
DAY, VISIT = _("Day"), _("Visit")
MINUS = "\N{MINUS SIGN}"
_GUARD = (  # before a page that may come with the scene of a stranger: it loads and runs nothing
    '<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
)


def store_follow_up(
    scene: Scene,
    result: FollowResult,
    prints: Sequence[Mapping[str, Any]],
    table: TableNode = None,
) -> TableNode:
    """Put a follow-up into the scene; it is saved with it.

    Args:
        scene: vtkMRMLScene.
        result: of a `FollowJob`.
        prints: of its visits, by which they are known later (see `visit_print`).
        table: vtkMRMLTableNode of a former follow-up, filled anew if it shares a visit with this
            one; else a new one is made, and that of other visits stays.

    Returns:
        vtkMRMLTableNode, with a row for each visit.
    """
    nodes = [exported.visit.node for exported in result.visits]
    if not scene.IsNodePresent(table) or not set(visits_of(table)) & set(nodes):
        table = scene.AddNewNodeByClass(
            "vtkMRMLTableNode", scene.GenerateUniqueName(_("Follow-up"))
        )
    table.SetLocked(True)
    table.SetUseColumnTitleAsColumnHeader(True)
    table.SetUseFirstColumnAsRowHeader(True)
    with slicer.util.NodeModify(table):
        _fill(table, result.facts)
        table.SetAttribute(FACTS, json.dumps(result.facts))
        table.SetAttribute(PAGE, _packed(result.page))
        table.SetAttribute(PRINTS, json.dumps(list(prints)))
        _refer(table, nodes, scene)
    return table


def facts_of(table: TableNode) -> dict[str, Any]:
    """Return what was calculated; empty where a table node (or None) has no follow-up to be read.

    It has the structure of follow.json, without paths.
    """
    try:
        facts = json.loads(table.GetAttribute(FACTS) or "{}") if table is not None else {}
        named = [visit["name"] and visit["date"] for visit in facts["visits"]]
        return facts if all(named) and facts["regions"] else {}
    except (KeyError, TypeError, ValueError):
        return {}


def page_of(table: TableNode) -> str:
    """Return the HTML page.

    Raises:
        InputError: the table node does not hold it.
    """
    try:
        packed = base64.b64decode(table.GetAttribute(PAGE) or "")
        return _GUARD + zlib.decompress(packed).decode("utf-8")
    except (ValueError, zlib.error) as error:
        raise InputError(
            found=_("a follow-up without its page"), action=_("compare the visits again")
        ) from error


def visits_of(table: TableNode) -> list[SegmentationNode]:
    """Return the segmentation of each visit; None where it is not in the scene any more."""
    count = len(facts_of(table).get("visits", ()))
    return [table.GetNodeReference(f"{VISIT_ROLE}{number}") for number in range(count)]


def prints_of(table: TableNode) -> list[dict[str, Any]]:
    """Return the prints of the visits as they were compared; empty where they cannot be read."""
    try:
        prints = json.loads(table.GetAttribute(PRINTS) or "[]")
    except ValueError:
        return []
    return prints if isinstance(prints, list) else []


def size_titles(facts: Mapping[str, Any]) -> list[str]:
    """Return the names of the sizes in mL: regions, then lesions."""
    regions = [segment_name(f"region-{region}") for region in facts["regions"]]
    return [*regions, *(lesion_title(lesion) for lesion in facts["lesions"])]


def lesion_title(lesion: Mapping[str, Any]) -> str:
    """Return what the user reads for a lesion."""
    return _("Lesion {name}").format(name=lesion["name"])


def percent_text(change: Mapping[str, Any] | None) -> str:
    """Return a change in percent as text, in parentheses where the error of the method explains it.

    Empty where it is not known.
    """
    if change is None or change["percent"] is None:
        return ""
    percent = round(change["percent"])
    sign = MINUS if percent < 0 else "+" if percent else ""
    text = f"{sign}{abs(percent)} %"
    return f"({text})" if change["within_error"] else text


def category_at(facts: Mapping[str, Any], measure: str, visit: str) -> dict[str, Any]:
    """Return the calculated category of a measure at a visit; empty without one."""
    found = facts["responses"].get(measure, ())
    return next((dict(item) for item in found if item["visit"] == visit), {})


def _refer(table: TableNode, nodes: Sequence[SegmentationNode], scene: Scene) -> None:
    roles = [table.GetNthNodeReferenceRole(n) for n in range(table.GetNumberOfNodeReferenceRoles())]
    for role in roles:
        if role.startswith(VISIT_ROLE):
            table.SetNodeReferenceID(role, None)
    for number, node in enumerate(nodes):
        present = node if scene.IsNodePresent(node) else None
        table.SetNodeReferenceID(f"{VISIT_ROLE}{number}", present.GetID() if present else None)


def _fill(table: TableNode, facts: Mapping[str, Any]) -> None:
    visits = facts["visits"]
    names = [str(visit["name"]) for visit in visits]
    sizes = [series["values_ml"] for series in (*facts["regions"].values(), *facts["lesions"])]
    table.RemoveAllColumns()
    _add(table, VISIT, names)
    _add(table, _("Date"), [str(visit["date"]) for visit in visits])
    _add(table, DAY, [float(visit["days_since_baseline"]) for visit in visits])
    for title, values in zip(size_titles(facts), sizes, strict=True):
        _add(table, _("{size} (mL)").format(size=title), [float(value) for value in values])
    for region, series in facts["regions"].items():
        _add_changes(table, segment_name(f"region-{region}"), series)
    if (products := facts["products"]) is not None:
        title = _("Product of diameters")
        values = [float(value) for value in products["values_mm2"]]
        _add(table, _("{size} (mm²)").format(size=title), values)
        _add_changes(table, title, products)
    for measure, title in (
        ("volume", _("Calculated by volume")),
        ("product", _("Calculated by product")),
    ):
        if measure in facts["responses"]:
            found = [category_at(facts, measure, name) for name in names]
            _add(table, title, [str(category.get("category", "")) for category in found])


def _add_changes(table: TableNode, title: str, series: Mapping[str, Any]) -> None:
    for name, words in (
        ("since_baseline", _("{size} since baseline")),
        ("since_nadir", _("{size} since nadir")),
    ):
        _add(table, words.format(size=title), [percent_text(change) for change in series[name]])


def _add(table: TableNode, name: str, cells: Sequence[str] | Sequence[float]) -> None:
    column = vtk.vtkStringArray() if isinstance(cells[0], str) else vtk.vtkDoubleArray()
    column.SetName(name)
    for cell in cells:
        column.InsertNextValue(cell)
    table.AddColumn(column)


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 6)).decode("ascii")
