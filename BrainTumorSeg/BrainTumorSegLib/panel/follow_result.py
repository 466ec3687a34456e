"""What a comparison of visits gave, in section Follow-up: tables, curves, sentences."""

from collections.abc import Mapping
from typing import Any

import qt

from ..follow_record import category_at, facts_of, lesion_title, percent_text, visits_of
from ..follow_views import show_curves, show_visit
from ..result_views import show_layout
from ..slicer_types import TableNode, Ui, Widget
from ..translation import _
from ..words import listed
from .messages import Messages
from .plain_text import fill_cell, show_text

MARGIN, SCROLL_BAR = 8, 14  # of tables, pixels
NONE = "\N{EN DASH}"


class FollowResultView:
    """Shows the follow-up that a table node holds.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says what failed.
    """

    def __init__(self, ui: Ui, messages: Messages):
        self.ui, self.messages = ui, messages
        self._node: TableNode = None
        self._formerLayout: int | None = None
        for table in (ui.followTable, ui.followLesionsTable):
            table.verticalHeader().setVisible(False)
        ui.followTable.cellClicked.connect(self.onShow)
        ui.curvesButton.toggled.connect(self.onCurves)

    def show(self, node: TableNode, changed: list[str]) -> None:
        """Show a follow-up, or none.

        Args:
            node: vtkMRMLTableNode or None.
            changed: visits that are not what was compared.
        """
        facts, ui = facts_of(node), self.ui
        lines = []
        try:
            if facts:
                self._showVisits(facts, changed)
                self._showLesions(facts)
                limits = [*facts["warnings"], *_events(facts), facts["limits"]]
                lines = [_changed_words(changed), *limits]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            facts = {}  # of another version, or of a stranger
        if node is not None and not facts:
            lines = [_("The comparison in this scene cannot be read; compare the visits again.")]
        self._node = node if facts else None
        ui.followTable.visible = bool(facts)
        ui.followLesionsTable.visible = bool(facts) and ui.followLesionsTable.rowCount > 0
        ui.followLabel.visible = bool(lines)
        ui.followPageButton.enabled = bool(facts)
        ui.curvesButton.enabled = bool(facts) or ui.curvesButton.checked
        show_text(ui.followLabel, "\n".join(str(line) for line in lines if line))

    def onShow(self, row: int, column: int = 0) -> None:
        """Show a visit in the slice views."""
        if self._node is None:
            return
        if visits_of(self._node)[row] is None:
            self.messages.setStatus(_("This visit is not in the scene any more."))
            return
        with self.messages.errorsShown(_("The visit could not be shown.")):
            show_visit(self._node, row)

    def onCurves(self, shown: bool) -> None:
        """Show the curves in a plot view, or the layout of before."""
        if shown and self._node is not None:
            with self.messages.errorsShown(_("The curves could not be shown.")):
                self._formerLayout = show_curves(self._node)
        elif not shown and self._formerLayout is not None:
            show_layout(self._formerLayout)
            self._formerLayout = None

    def _showVisits(self, facts: Mapping[str, Any], changed: list[str]) -> None:
        """Show a row for each visit: volumes, changes of the followed region, categories."""
        region, regions = str(facts["lesion_region"]), facts["regions"]
        cavities = [visit.get("resection_cavity_ml") for visit in facts["visits"]]
        told = any(ml is not None for ml in cavities)
        titles = [
            _("Visit"),
            *(f"{name}\n(mL)" for name in regions),
            *([_two_lines(_("Cavity (mL)"))] if told else []),
            _two_lines(_("{region} since baseline").format(region=region)),
            _two_lines(_("{region} since nadir").format(region=region)),
            _two_lines(_("Product (mm²)")),
            _("Calculated") + "\n" + _("vol. / prod."),
        ]
        rows, tips = [], []
        for index, visit in enumerate(facts["visits"]):
            name, series = str(visit["name"]), regions[region]
            products = facts["products"]
            found = [category_at(facts, measure, name) for measure in ("volume", "product")]
            edited = "*" if name in changed else ""
            rows.append(
                [
                    f"{name}{edited}\n{visit['date']}",
                    *(f"{sizes['values_ml'][index]:.2f}" for sizes in regions.values()),
                    *([_volume_text(cavities[index])] if told else []),
                    percent_text(series["since_baseline"][index]),
                    percent_text(series["since_nadir"][index]),
                    f"{products['values_mm2'][index]:.0f}" if products else "",
                    " / ".join(str(c.get("category", NONE)) for c in found) if any(found) else "",
                ]
            )
            tips.append(_tip(found))
        _fill(self.ui.followTable, titles, rows, tips)

    def _showLesions(self, facts: Mapping[str, Any]) -> None:
        """Show a row for each lesion: its volume at each visit."""
        lesions = facts["lesions"]
        titles = [_("Lesion (mL)"), *(str(visit["date"]) for visit in facts["visits"])]
        rows = [
            [
                lesion_title(lesion) + (" " + _("(target)") if lesion["is_target"] else ""),
                *(f"{value:.2f}" if value else "" for value in lesion["values_ml"]),
            ]
            for lesion in lesions
        ]
        tip = _("Volume of the lesion at each visit; empty: not there.")
        _fill(self.ui.followLesionsTable, titles, rows, [tip] * len(rows))


def _fill(table: Widget, titles: list[str], rows: list[list[str]], tips: list[str]) -> None:
    """Show rows in full, numbers at the right."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(titles)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    table.setRowCount(len(rows))
    for row, (cells, tip) in enumerate(zip(rows, tips, strict=True)):
        for column, text in enumerate(cells):
            fill_cell(table, row, column, text, tip)
            side = qt.Qt.AlignRight if column else qt.Qt.AlignLeft
            table.item(row, column).setTextAlignment(side | qt.Qt.AlignVCenter)
    table.resizeRowsToContents()
    lines = max((title.count("\n") for title in titles), default=0) + 1
    head = lines * table.fontMetrics().lineSpacing() + MARGIN
    table.horizontalHeader().setFixedHeight(head)
    table.setFixedHeight(head + table.verticalHeader().length() + SCROLL_BAR + MARGIN // 2)


def _volume_text(ml: float | None) -> str:
    return "" if ml is None else f"{ml:.2f}"


def _two_lines(title: str) -> str:
    first, _space, last = title.rpartition(" ")
    return f"{first}\n{last}" if first else last


def _tip(found: list[dict[str, Any]]) -> str:
    """Return why a visit has its calculated categories."""
    lines = [
        _("Click to see this visit. Categories are calculated by imaging rules of RANO 2.0."),
        _("Changes in parentheses are within the error of the method."),
    ]
    for title, category in zip((_("By volume"), _("By product")), found, strict=True):
        if category:
            lines.append(f"{title}: {category['category']}")
            lines += [f"- {reason}" for reason in category["reasons"]]
            if category["confirmation"]:
                lines.append(
                    "- " + _("confirmation: {state}").format(state=category["confirmation"])
                )
    return "\n".join(lines)


def _changed_words(names: list[str]) -> str:
    """Return the sentence about visits that are not what was compared; empty without any."""
    words = _("Edited or deleted since: {visits}. Compare again to count what is there now.")
    return words.format(visits=listed(names)) if names else ""


def _events(facts: Mapping[str, Any]) -> list[str]:
    """Return what happened to lesions, as sentences."""
    kinds = {
        "new": _("{visit}: lesion {after} is new."),
        "vanished": _("{visit}: lesion {before} is gone."),
        "returned": _("{visit}: lesion {after} is there again."),
        "split": _("{visit}: lesion {before} is split into {after}."),
        "merged": _("{visit}: lesions {before} are merged into {after}."),
    }
    return [
        kinds.get(event["kind"], "{visit}: {before} \N{RIGHTWARDS ARROW} {after}").format(
            visit=event["visit"],
            before=", ".join(map(str, event["before"])),
            after=", ".join(map(str, event["after"])),
        )
        for event in facts["events"]
    ]
