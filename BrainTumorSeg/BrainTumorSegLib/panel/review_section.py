"""Section Review: doubtful slices, uncertainty, verdict and note, report, four sequences."""

import shutil
from itertools import cycle
from pathlib import Path

import qt

from .. import result_views, review
from ..report_page import write_report_page
from ..result_views import Overlay
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
        self._overlay = Overlay()
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
        if node is not None and node is not self._shown:
            self._startOver(node)
        filled = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        ui.nextSliceButton.enabled = filled and bool(review.doubtful_slices(node))
        ui.uncertaintyShownCheckBox.enabled = filled and uncertainty_of(node) is not None
        ui.compareButton.enabled = ui.compareButton.checked or review.is_complete(node)
        ui.reportButton.enabled = review.is_complete(node)
        ui.verdictComboBox.enabled = ui.noteEdit.enabled = filled

    def startOver(self) -> None:
        """Show another result of the chosen segmentation."""
        self._shown = None
        self.refresh()

    def forget(self) -> None:
        """Let go of a scene that is closed or read; its views may be those of the file."""
        self._shown, self._formerLayout, self._overlay = None, None, Overlay()
        for box in (self.ui.compareButton, self.ui.uncertaintyShownCheckBox):
            wasBlocked = box.blockSignals(True)
            box.checked = False
            box.blockSignals(wasBlocked)

    def close(self) -> None:
        """Remove the reports that were shown."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _startOver(self, node: SegmentationNode) -> None:
        """Begin with a result: its first doubtful slice, its verdict, its sequences."""
        self._shown, self._slices = node, cycle(review.doubtful_slices(node) or [0])
        show_text(self.ui.sliceLabel, "")
        self.ui.uncertaintyShownCheckBox.checked = False
        verdict, note, _day = review.verdict_of(node)
        fields = (self.ui.verdictComboBox, self.ui.noteEdit)
        wereBlocked = [field.blockSignals(True) for field in fields]  # leaving one would store it
        known = verdict if verdict in review.VERDICTS else ""
        self.ui.verdictComboBox.currentIndex = review.VERDICTS.index(known)
        fill_field(self.ui.noteEdit, note)
        for field, wasBlocked in zip(fields, wereBlocked, strict=True):
            field.blockSignals(wasBlocked)
        if self.ui.compareButton.checked and review.is_complete(node):
            result_views.show_compared(review.inputs_of(node))

    def onNextSlice(self, checked: bool = False) -> None:
        """Move the slice views to the next slice of least certainty."""
        node, number = self.segmentation, next(self._slices)
        with self.messages.errorsShown(_("The slice could not be shown.")):
            result_views.jump_to(review.place_in_slice(node, number))
        show_text(self.ui.sliceLabel, _("Slice {number}").format(number=number))

    def onUncertaintyShown(self, shown: bool) -> None:
        """Lay the uncertainty over the volumes, or take it away."""
        volume = uncertainty_of(self.segmentation) if shown and self.segmentation else None
        if volume is not None:
            self._overlay.show(volume)
        else:
            self._overlay.hide()

    def onCompare(self, shown: bool) -> None:
        """Show the four sequences side by side, or the layout of before."""
        if shown and self.segmentation is not None:
            with self.messages.errorsShown(_("The sequences could not be shown.")):
                inputs = review.inputs_of(self.segmentation)
                self._formerLayout = result_views.show_compared(inputs)
                result_views.jump_to_tumor(self.segmentation)
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
            name = f"report-{self.segmentation.GetID()}.html"
            page = write_report_page(self.segmentation, self._folder / name)
            opened = qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))
            text = _("The report is {file} until Slicer ends; save it from the browser.")
            if not opened:
                text = _("No browser could be opened. The report is {file} until Slicer ends.")
            self.messages.say(text.format(file=page))
