"""The lesions in the section Result: their table, their diameters as lines of the scene."""

from pathlib import Path

import qt
import slicer.util

from ..lesion_lines import LineWatch, attach_lines, draw_lines, show_lines
from ..lesion_measurement import is_outdated, left_out_in_words, measure_lesions
from ..lesion_rows import (
    LesionRow,
    in_mm,
    lesion_rows,
    line_doubts,
    lines_in_words,
    measurable_in_words,
    place_of_lesion,
    side_in_words,
    update_lesion_table,
)
from ..result_table import write_csv
from ..result_views import show_place
from ..slicer_types import Parameters, SegmentationNode, Ui
from ..translation import _
from .messages import Messages
from .plain_text import fill_cell, show_text

ROWS_SHOWN = 8  # more are scrolled
HEADER_LINES, MARGIN = 2, 8  # of the table, pixels
NUMBERS, LINES = (0, 1, 2, 5, 6), 3  # columns


class LesionSection:
    """Follows the lesions of the chosen segmentation, also while another module is shown.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says what failed.
    """

    def __init__(self, ui: Ui, messages: Messages):
        self.ui, self.messages = ui, messages
        self._parameters: Parameters | None = None
        self._shown: SegmentationNode = None
        self._told: list[str] = []  # of the last measurement
        self._isOutdated = False
        self._watch = LineWatch(self.onLinesChanged)
        ui.diametersCheckBox.toggled.connect(self.onShown)
        ui.resetDiametersButton.clicked.connect(self.onReset)
        ui.exportLesionsButton.clicked.connect(self.onExport)
        ui.lesionsTable.cellClicked.connect(self.onRow)
        ui.lesionsTable.cellActivated.connect(self.onRow)
        titles = (
            _("No."),
            _("Volume") + "\n(mL)",
            _("Diameters") + "\n(mm)",
            _("Lines"),
            _("Measur-\nable"),
            _("Product") + "\n(mm\u00b2)",
            _("Slices"),
            _("Side"),
        )
        ui.lesionsTable.setColumnCount(len(titles))
        ui.lesionsTable.setHorizontalHeaderLabels(titles)
        header = ui.lesionsTable.horizontalHeader()
        header.setMinimumSectionSize(0)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene; without them, what was shown last."""
        self._parameters = parameters
        self._isOutdated = parameters is not None and is_outdated(parameters.segmentation)

    def refresh(self) -> None:
        """Show the lesions of the chosen segmentation."""
        if self._parameters is None:
            return
        node = self._parameters.segmentation
        if node is not self._shown:
            self._shown, self._told, self._isOutdated = node, [], is_outdated(node)
            self._showLines(self._parameters.diameters)
        self._fill()

    def measure(self, parameters: Parameters, anew: bool = False) -> None:
        """Find the lesions of the segmentation of the parameters as it is now.

        Args:
            parameters: of the scene.
            anew: forget what the user did to the lines.
        """
        node = parameters.segmentation
        self._watch.stop()
        self._told = measure_lesions(node, parameters.necrosis, anew)
        self.messages.log("\n".join(self._told))
        self._shown, self._isOutdated = node, False
        self._showLines(parameters.diameters)
        update_lesion_table(node)
        self._fill()

    def forget(self) -> None:
        """Let go of a scene that is closed or read."""
        self._watch.stop()
        self._shown, self._told, self._isOutdated = None, [], False
        self._fill()

    def onShown(self, shown: bool) -> None:
        """Show the diameters as lines, or hide them."""
        if self._parameters is not None and self._shown is not None:
            self._showLines(shown)
            self._fill()

    def onReset(self, checked: bool = False) -> None:
        """Make all lines as they are measured now."""
        failed = _("The lesions could not be measured.")
        with self.messages.errorsShown(failed, waitCursor=True):
            if self._parameters is not None:
                self.measure(self._parameters, anew=True)

    def onLinesChanged(self) -> None:
        """Let the tables follow the lines."""
        attach_lines(self._shown)
        update_lesion_table(self._shown, new=False)
        self._fill()

    def onRow(self, row: int, column: int) -> None:
        """Move the slice views to the diameters of a lesion."""
        rows = lesion_rows(self._shown)
        if row < len(rows):
            with self.messages.errorsShown(_("The lesion could not be shown.")):
                show_place(self._shown, place_of_lesion(self._shown, rows[row].number))

    def onExport(self, checked: bool = False) -> None:
        """Ask for a file and write the table as CSV."""
        table = update_lesion_table(self._shown)
        title, kinds = _("Export the lesions"), _("Comma-separated values") + " (*.csv)"
        name = f"{table.GetName()}.csv"
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, name, kinds)
        if path:
            failed = _("The table could not be exported.")
            with self.messages.errorsShown(failed):
                write_csv(table, Path(path))

    def _showLines(self, shown: bool) -> None:
        """Make and show the lines of the segmentation, or hide them; watch those that there are."""
        node = self._shown
        self._watch.stop()
        if node is not None:
            if shown:
                draw_lines(node)
            show_lines(node, shown)
        self._watch.follow(node)

    def _fill(self) -> None:
        """Show the rows; numbers at the right."""
        rows, widget = lesion_rows(self._shown), self.ui.lesionsTable
        widget.setRowCount(len(rows))
        for at, row in enumerate(rows):
            for column, text in enumerate(_texts(row)):
                fill_cell(widget, at, column, text, row.shortcoming or "")
                side = qt.Qt.AlignRight if column in NUMBERS else qt.Qt.AlignLeft
                widget.item(at, column).setTextAlignment(side | qt.Qt.AlignVCenter)
        byHand = any(row.is_edited or row.is_deleted for row in rows)
        widget.setColumnHidden(LINES, not byHand)
        self._fit(len(rows))
        self.ui.resetDiametersButton.enabled = byHand
        self.ui.exportLesionsButton.enabled = bool(rows)
        self._tell()

    def _tell(self) -> None:
        """Say what to know about the tables."""
        doubts = line_doubts(self._shown) if self._shown is not None else []
        notes = [*self._told, *doubts, left_out_in_words(self._shown)]
        if self._isOutdated:
            notes.insert(0, _("Segments were edited since they were measured: Measure again."))
        notes = list(filter(None, notes))
        show_text(self.ui.lesionsLabel, "\n".join(notes))
        self.ui.lesionsLabel.visible = bool(notes)

    def _fit(self, rows: int) -> None:
        """Make the table as high as its rows, up to a limit."""
        widget = self.ui.lesionsTable
        widget.resizeRowsToContents()
        head = HEADER_LINES * widget.fontMetrics().lineSpacing() + MARGIN
        widget.horizontalHeader().setFixedHeight(head)
        shown = sum(widget.rowHeight(at) for at in range(min(rows, ROWS_SHOWN)))
        isWide = widget.horizontalHeader().length() > widget.viewport().width
        bar = widget.style().pixelMetric(qt.QStyle.PM_ScrollBarExtent) if isWide else 0
        widget.setFixedHeight(head + shown + bar + MARGIN // 2)
        widget.visible = bool(rows)


def _texts(row: LesionRow) -> tuple[str, ...]:
    both = [in_mm(row.longest_mm) or "\u2013", in_mm(row.perpendicular_mm) or "\u2013"]
    return (
        str(row.number),
        f"{row.volume_ml:.2f}",
        " \u00d7 ".join(both),
        lines_in_words(row),
        measurable_in_words(row),
        in_mm(row.product_mm2, 0),
        str(row.slices),
        side_in_words(row),
    )
