"""The table of visits in section Follow-up: which are compared, and what the user says of each."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import qt

from scripted_models.follow_up.visit_dates import parse_date
from scripted_models.follow_up.visit_source import CLINICAL
from scripted_models.follow_up.visit_table import told_of

from ..scene_visits import SceneVisit
from ..slicer_types import Ui, Widget
from ..translation import _
from ..visit_words import VisitWords, keep_words, words_of
from .plain_text import fill_cell, show_tool_tip

NAME, DATE, STEROIDS, CLINICAL_STATE, CONFIRMED = range(5)
YES_NO = ("yes", "no")


class VisitsTable:
    """A row for each visit; what is typed and chosen is kept with its segmentation at once.

    Args:
        ui: the widgets of the panel by name.
        onChanged: called when something was typed or chosen.
        onRefused: called with a sentence about what was typed.
    """

    def __init__(self, ui: Ui, onChanged: Callable[[], None], onRefused: Callable[[str], None]):
        self.table = ui.visitsTable
        self.onChanged, self.onRefused = onChanged, onRefused
        self.visits: list[SceneVisit] = []
        titles = (
            _("Segmentation"),
            _("Date"),
            _("Steroids") + "\n" + _("(mg a day)"),
            _("Clinical") + "\n" + _("state"),
            _("Confirmed"),
        )
        self.table.setColumnCount(len(titles))
        self.table.setHorizontalHeaderLabels(titles)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        self.table.verticalHeader().setVisible(False)
        self.table.cellChanged.connect(self.onCell)

    def show(self, visits: list[SceneVisit], enabled: bool) -> None:
        """Show visits; they can be changed unless they are being compared."""
        self.visits = visits
        wasBlocked = self.table.blockSignals(True)
        self.table.setRowCount(len(visits))
        for row, visit in enumerate(visits):
            tip = "\n".join([text for text in (visit.problem, *visit.notes) if text])
            fill_cell(self.table, row, NAME, visit.node.GetName() or "", tip)
            fill_cell(self.table, row, DATE, visit.date, tip)
            fill_cell(self.table, row, STEROIDS, visit.words.steroids, _STEROIDS_TIP)
            self._arm(row, visit, enabled)
            clinical = [_("unknown"), _("better"), _("stable"), _("worse")]
            confirmed = [_("unknown"), _("yes"), _("no")]
            self._choose(row, CLINICAL_STATE, clinical, ("", *CLINICAL), visit, enabled)
            self._choose(row, CONFIRMED, confirmed, ("", *YES_NO), visit, enabled)
        self.table.blockSignals(wasBlocked)

    def onCell(self, row: int, column: int) -> None:
        """Keep what was ticked or typed."""
        if row >= len(self.visits):
            return
        visit, item = self.visits[row], self.table.item(row, column)
        text = str(item.text()).strip()
        if column == NAME:
            isChosen = item.checkState() == qt.Qt.Checked
            if isChosen != visit.chosen:
                self._keep(visit, chosen="yes" if isChosen else "no")
        elif column == DATE and text != visit.date:
            self._typeDate(visit, text)
        elif column == STEROIDS and text != visit.words.steroids:
            self._typeSteroids(visit, text)

    def onChoice(self, row: int, column: int, values: tuple[str, ...], index: int) -> None:
        """Keep what was chosen from a list."""
        name = "clinical" if column == CLINICAL_STATE else "confirmed"
        if row < len(self.visits) and getattr(self.visits[row].words, name) != values[index]:
            self._keep(self.visits[row], **{name: values[index]})

    def _typeDate(self, visit: SceneVisit, text: str) -> None:
        found = parse_date(text) if text else None
        if text and found is None:
            words = _("'{text}' is no date; type one such as 2024-01-31.")
            self.onRefused(words.format(text=text))
            self.onChanged()
            return
        self._keep(visit, date=found.isoformat() if found else "", chosen="")

    def _typeSteroids(self, visit: SceneVisit, text: str) -> None:
        try:
            told_of(text, "", "")
        except ValueError:
            words = _("'{text}' is no dose; type mg of dexamethasone a day, such as 4.")
            self.onRefused(words.format(text=text))
            self.onChanged()
            return
        self._keep(visit, steroids=text)

    def _keep(self, visit: SceneVisit, **said: str) -> None:
        words: VisitWords = replace(words_of(visit.node), **said)
        keep_words(visit.node, words)
        self.onChanged()

    def _arm(self, row: int, visit: SceneVisit, enabled: bool) -> None:
        """Say which cells can be ticked and typed into."""
        shown = qt.Qt.ItemIsSelectable | (qt.Qt.ItemIsEnabled if enabled else qt.Qt.NoItemFlags)
        ticked = shown if visit.problem else shown | qt.Qt.ItemIsUserCheckable
        name = self.table.item(row, NAME)
        _set_flags(name, ticked)
        name.setCheckState(qt.Qt.Checked if visit.chosen else qt.Qt.Unchecked)
        for column in (DATE, STEROIDS):
            _set_flags(self.table.item(row, column), shown | qt.Qt.ItemIsEditable)

    def _choose(
        self,
        row: int,
        column: int,
        texts: list[str],
        values: tuple[str, ...],
        visit: SceneVisit,
        enabled: bool,
    ) -> None:
        box: Widget = self.table.cellWidget(row, column)
        if box is None:
            box = qt.QComboBox()
            box.addItems(texts)
            isClinical = column == CLINICAL_STATE
            box.accessibleName = _("Clinical state") if isClinical else _("Confirmed")
            show_tool_tip(box, _CLINICAL_TIP if isClinical else _CONFIRMED_TIP)
            box.currentIndexChanged.connect(partial(self.onChoice, row, column, values))
            self.table.setCellWidget(row, column, box)
        said = visit.words.clinical if column == CLINICAL_STATE else visit.words.confirmed
        wasBlocked = box.blockSignals(True)
        box.currentIndex = values.index(said) if said in values else 0
        box.blockSignals(wasBlocked)
        box.enabled = enabled


def _set_flags(item: Widget, flags: Widget) -> None:
    """Give a cell flags that differ; Qt would put its text back into an editor that is open."""
    if item.flags() != flags:
        item.setFlags(flags)


_STEROIDS_TIP = _("Dexamethasone or its equivalent in mg a day; empty: not known.")
_CLINICAL_TIP = _("How the patient is, compared with the visit before.")
_CONFIRMED_TIP = _("Whether another scan or a biopsy confirmed what the visit shows.")
