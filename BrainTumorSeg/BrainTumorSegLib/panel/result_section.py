"""Section Result: table, surface, Segment Editor, the previous result."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from scripted_models.runtime.printable_text import printable

from ..lesion_record import read_lesions
from ..previous_result import has_previous, restore_previous
from ..result_table import SEGMENTATION_ROLE, shown_rows, update_table, write_csv
from ..slicer_types import Parameters, SegmentationNode, TableNode, Ui
from ..translation import _
from .lesion_section import LesionSection
from .messages import Messages

HEADER_LINES, MARGIN = 2, 8  # of the table, pixels


class ResultSection:
    """Buttons and table of the chosen segmentation.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says what failed.
        onRestored: called when the segmentation holds its previous result again.
    """

    def __init__(self, ui: Ui, messages: Messages, onRestored: Callable[[], None]):
        self.ui, self.messages, self.onRestored = ui, messages, onRestored
        self.lesions = LesionSection(ui, messages)
        self._parameters: Parameters | None = None
        self._shown: SegmentationNode = None
        ui.editButton.clicked.connect(self.onEdit)
        ui.restoreButton.clicked.connect(self.onRestore)
        ui.measureButton.clicked.connect(self.onMeasure)
        ui.necrosisCheckBox.toggled.connect(self.onNecrosis)
        ui.exportTableButton.clicked.connect(self.onExport)
        titles = (
            _("Structure"),
            _("Volume") + "\n(mL)",
            _("Length") + "\n(mm)",
            _("Width") + "\n(mm)",
        )
        ui.sizesTable.setColumnCount(len(titles))
        ui.sizesTable.setHorizontalHeaderLabels(titles)
        header = ui.sizesTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)

    @property
    def segmentation(self) -> SegmentationNode:
        """The chosen segmentation node, or None."""
        return self._parameters.segmentation if self._parameters is not None else None

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none."""
        self._parameters = parameters
        self.lesions.setParameterNode(parameters)
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done with the chosen segmentation."""
        node = self.segmentation
        table = self._parameters.table if self._parameters is not None else None
        if table is not None and table.GetNodeReference(SEGMENTATION_ROLE) is not node:
            table = None  # measured on another segmentation
        filled = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        if node is not self._shown:
            self._shown = node
            self.ui.show3DButton.setSegmentationNode(node)
            self.ui.segmentsTable.setSegmentationNode(node)
        self.ui.segmentsTable.visible = filled
        self.ui.show3DButton.enabled = filled
        self.ui.editButton.enabled = filled
        self.ui.measureButton.enabled = filled
        self.ui.restoreButton.enabled = has_previous(node)
        self.ui.exportTableButton.enabled = table is not None
        self.lesions.refresh()
        self._showSizes(table)

    def _showSizes(self, table: TableNode) -> None:
        """Show a table in full, numbers at the right."""
        rows, widget = shown_rows(table) if table is not None else [], self.ui.sizesTable
        widget.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(printable(text))
                side = qt.Qt.AlignRight if column else qt.Qt.AlignLeft
                item.setTextAlignment(side | qt.Qt.AlignVCenter)
                widget.setItem(row, column, item)
        widget.resizeRowsToContents()
        head = HEADER_LINES * widget.fontMetrics().lineSpacing() + MARGIN
        widget.horizontalHeader().setFixedHeight(head)
        widget.setFixedHeight(head + widget.verticalHeader().length() + MARGIN // 2)
        widget.visible = bool(rows)

    def measure(self, parameters: Parameters) -> None:
        """Fill the tables of the segmentation of the parameters."""
        node, across = parameters.segmentation, parameters.necrosis
        parameters.table = update_table(slicer.mrmlScene, node, parameters.table, across)
        self.lesions.measure(parameters)
        self.refresh()

    def forget(self) -> None:
        """Let go of a scene that is closed or read."""
        self.lesions.forget()

    def close(self) -> None:
        """Let go of the scene."""
        self.forget()

    def onMeasure(self, checked: bool = False) -> None:
        """Fill the table from the segmentation as it is now."""
        failed = _("The segmentation could not be measured.")
        with self.messages.errorsShown(failed, waitCursor=True):
            if self._parameters is not None:
                self.measure(self._parameters)

    def onNecrosis(self, across: bool) -> None:
        """Measure in the other way, unless the scene comes with the choice and its measurements."""
        measured = read_lesions(self.segmentation)
        if measured is not None and measured.across != across:
            self.onMeasure()

    def onRestore(self, checked: bool = False) -> None:
        """Exchange the present and the previous result."""
        failed = _("The previous result could not be restored.")
        with self.messages.errorsShown(failed):
            restore_previous(self.segmentation)
            self.onRestored()
        self.onMeasure()

    def onEdit(self, checked: bool = False) -> None:
        """Open the segmentation in the Segment Editor, over the volume it was made from."""
        node = self.segmentation
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        source = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
        if source is not None:
            editor.setSourceVolumeNode(source)

    def onExport(self, checked: bool = False) -> None:
        """Ask for a file and write the table as CSV."""
        table = self._parameters.table if self._parameters is not None else None
        if table is None:
            return
        title, kinds = _("Export the table"), _("Comma-separated values") + " (*.csv)"
        name = f"{table.GetName()}.csv"
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, name, kinds)
        if path:
            failed = _("The table could not be exported.")
            with self.messages.errorsShown(failed):
                write_csv(table, Path(path))
