"""Section Review: doubtful slices, uncertainty, verdict and note, report, four sequences."""

import shutil
from itertools import cycle
from pathlib import Path

import qt
import slicer

from .. import result_views, review
from ..report_page import write_report_page
from ..run_folder import make_run_folder
from ..slicer_types import Parameters, SegmentationNode, Ui
from ..translation import _
from ..uncertainty_volume import uncertainty_of
from .messages import Messages
from .plain_text import fill_field, show_text


class ReviewSection:
    """Shows where to look first in the chosen segmentation, and keeps what the reviewer says.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says what failed.
    """

    def __init__(self, ui: Ui, messages: Messages):
        self.ui, self.messages = ui, messages
        self._parameters: Parameters | None = None
        self._shown: SegmentationNode = None
        self._slices = cycle([0])
        self._formerLayout: int | None = None
        self._folder: Path | None = None  # of the reports; they show a patient
        ui.nextSliceButton.clicked.connect(self.onNextSlice)
        ui.uncertaintyShownCheckBox.toggled.connect(self.onUncertaintyShown)
        ui.compareButton.toggled.connect(self.onCompare)
        ui.reportButton.clicked.connect(self.onReport)
        ui.verdictComboBox.addItems([_("Not reviewed"), _("Accepted"), _("Rejected")])
        ui.verdictComboBox.currentIndexChanged.connect(self.onVerdict)
        ui.noteEdit.editingFinished.connect(self.onVerdict)

    @property
    def segmentation(self) -> SegmentationNode:
        """The chosen segmentation node, or None."""
        return self._parameters.segmentation if self._parameters is not None else None

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none."""
        self._parameters = parameters
        self.refresh()

    def refresh(self) -> None:
        """Show what there is to review in the chosen segmentation."""
        node, ui = self.segmentation, self.ui
        filled = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        slices = review.doubtful_slices(node) if filled else []
        if node is not self._shown:
            self._startOver(node, slices)
        ui.nextSliceButton.enabled = bool(slices)
        ui.uncertaintyShownCheckBox.enabled = filled and uncertainty_of(node) is not None
        ui.compareButton.enabled = (
            bool(filled and review.inputs_of(node)) or ui.compareButton.checked
        )
        ui.reportButton.enabled = filled
        ui.verdictComboBox.enabled = ui.noteEdit.enabled = filled
        verdict, note, _day = review.verdict_of(node) if filled else ("", "", "")
        wasBlocked = ui.verdictComboBox.blockSignals(True)
        known = verdict if verdict in review.VERDICTS else ""
        ui.verdictComboBox.currentIndex = review.VERDICTS.index(known)
        ui.verdictComboBox.blockSignals(wasBlocked)
        if not ui.noteEdit.hasFocus():
            fill_field(ui.noteEdit, note)

    def startOver(self) -> None:
        """Show another result of the chosen segmentation."""
        self._shown = None
        self.refresh()

    def close(self) -> None:
        """Remove the reports that were shown."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _startOver(self, node: SegmentationNode, slices: list[int]) -> None:
        self._shown, self._slices = node, cycle(slices or [0])
        show_text(self.ui.sliceLabel, "")
        self.ui.uncertaintyShownCheckBox.checked = False

    def onNextSlice(self, checked: bool = False) -> None:
        """Move the slice views to the next slice of least certainty."""
        node, number = self.segmentation, next(self._slices)
        with self.messages.errorsShown(_("The slice could not be shown.")):
            result_views.jump_to(slicer.mrmlScene, review.place_in_slice(node, number))
        show_text(self.ui.sliceLabel, _("Slice {number}").format(number=number))

    def onUncertaintyShown(self, shown: bool) -> None:
        """Lay the uncertainty over the volumes, or take it away."""
        volume = uncertainty_of(self.segmentation) if shown and self.segmentation else None
        result_views.show_overlay(volume)

    def onCompare(self, shown: bool) -> None:
        """Show the four sequences side by side, or the layout of before."""
        if shown and self.segmentation is not None:
            self._formerLayout = result_views.show_compared(review.inputs_of(self.segmentation))
        elif self._formerLayout is not None:
            result_views.show_layout(self._formerLayout)
            self._formerLayout = None

    def onVerdict(self, index: int = -1) -> None:
        """Store verdict and note with the segmentation."""
        node, ui = self.segmentation, self.ui
        if node is None:
            return
        verdict, note = review.VERDICTS[ui.verdictComboBox.currentIndex], ui.noteEdit.text
        if (verdict, note) != review.verdict_of(node)[:2]:
            review.set_verdict(node, verdict, note)

    def onReport(self, checked: bool = False) -> None:
        """Write the report of the segmentation as it is now and open it."""
        failed = _("The report could not be made.")
        with self.messages.errorsShown(failed, waitCursor=True):
            self._folder = self._folder or make_run_folder()
            page = write_report_page(self.segmentation, self._folder / "report.html")
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))
