"""The button that starts and cancels, the progress bar, the status line and the log."""

from collections.abc import Callable
from typing import Protocol

import qt
import slicer

from scripted_models.errors import Cancelled

from ..child_errors import written_lines
from ..diagnostics import diagnostics
from ..logic import SegmentationJob
from ..slicer_types import Parameters, SegmentationNode, Ui
from ..translation import _
from ..words import error_in_words, stage_in_words
from .messages import Messages
from .plain_text import show_tool_tip

POLL_INTERVAL_MS = 100


class Logic(Protocol):
    """What is asked of `BrainTumorSegLogic`."""

    def ensureDependencies(self, brainExtraction: bool = False) -> None:
        """Install what the segmentation program needs, after a question."""

    def getParameterNode(self) -> Parameters:
        """Return the parameters of the scene."""

    def startJob(self, parameters: Parameters) -> SegmentationJob:
        """Start a run of the panel's parameters."""


class RunSection:
    """Drives one segmentation at a time.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says how the run goes.
        logic: `BrainTumorSegLogic`.
        problems: called for the sentences that keep a run from starting.
        needsExtraction: called to know whether a run would strip skulls.
        onDone: called with the segmentation node of a run that ended well.
    """

    def __init__(
        self,
        ui: Ui,
        messages: Messages,
        logic: Logic,
        problems: Callable[[], list[str]],
        needsExtraction: Callable[[], bool],
        onDone: Callable[[SegmentationNode], None],
    ):
        self.ui, self.messages, self.logic = ui, messages, logic
        self.problems, self.needsExtraction, self.onDone = problems, needsExtraction, onDone
        self.job: SegmentationJob | None = None
        self.onBusy: Callable[[], None] = lambda: None  # called when a run began or ended
        self._blocked = ""
        self._parameters: Parameters | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.onTimer)
        ui.segmentButton.clicked.connect(self.onSegmentButton)
        ui.copyLogButton.clicked.connect(self.onCopyLog)
        self._hideProgress()

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none; a run goes on."""
        self._parameters = parameters
        self.updateButton()

    def close(self) -> None:
        """End a run at once and leave nothing of it behind."""
        self._timer.stop()
        if self.job is not None:
            self.job.close()
            self.job = None
            self._hideProgress()
        self.updateButton()

    def block(self, reason: str) -> None:
        """Let no run start for a reason, or let them start again with an empty one."""
        self._blocked = reason
        self.updateButton()

    def onSceneClosed(self) -> None:
        """End a run whose volumes are about to vanish, and say so; what was said is of the past."""
        ended = self.job is not None
        self.close()
        self.messages.setStatus("")
        if ended:
            self.messages.say(_("The scene was closed, so the running segmentation was ended."))

    def updateButton(self) -> None:
        """Say on the button what a click does, or what is missing for it."""
        self.onBusy()
        button = self.ui.segmentButton
        if self.job is not None:
            button.text = _("Cancel")
            show_tool_tip(button, _("End the running segmentation."))
            button.enabled = not self.job.cancelling
            return
        problems = self._problems()
        button.text = _("Segment")
        show_tool_tip(button, "\n".join(problems) or _("Segment the tumor in the four volumes."))
        button.enabled = self._parameters is not None and not problems

    def onSegmentButton(self, checked: bool = False) -> None:
        """Start, or cancel what runs."""
        if self.job is not None:
            self.job.cancel()
            self.ui.progressBar.format = _("Cancelling")
            self.updateButton()
            return
        self.messages.setStatus("")
        failed = _("The segmentation could not be started.")
        try:
            with self.messages.errorsShown(failed):
                self._start()
        finally:
            self.updateButton()

    def onTimer(self) -> None:
        """Show what the run said since the last call; finish when it has ended."""
        job = self.job
        if job is None:
            return
        for event in job.poll():
            self.messages.tell(event)
            if event.fraction is not None and not job.cancelling:
                self._showProgress(event.fraction, event.stage, event.remaining_s)
        if job.outcome is not None:
            self._finish(job)

    def onCopyLog(self, checked: bool = False) -> None:
        """Put the log and the versions of everything on the clipboard."""
        slicer.app.clipboard().setText(f"{diagnostics()}\n\n{self.ui.logText.plainText}\n")

    def _problems(self) -> list[str]:
        return [self._blocked] if self._blocked else self.problems()

    def _start(self) -> None:
        if self._parameters is None or self._problems():  # which the button did not know yet
            return
        try:
            self.logic.ensureDependencies(self.needsExtraction())
        except Cancelled as declined:
            self.messages.say(error_in_words(declined))
            return
        self.job = self.logic.startJob(self._parameters)
        self._showProgress(0.0, "start")
        self._timer.start()

    def _finish(self, job: SegmentationJob) -> None:
        self.job = None
        self._timer.stop()
        self._hideProgress()
        try:
            node = job.finish()
            self.messages.say(_("Done: {name}").format(name=node.GetName()))
            self.onDone(node)
        except Cancelled:
            self.messages.say(_("Cancelled."))
        except Exception as error:
            self.messages.sayFailure(error_in_words(error), "\n".join(written_lines(error)))
        finally:
            self.updateButton()

    def _hideProgress(self) -> None:
        self.ui.progressBar.visible = False
        self.ui.progressBar.value = 0

    def _showProgress(self, fraction: float, stage: str, remaining_s: float | None = None) -> None:
        """Show percent, stage and remaining seconds."""
        bar, title = self.ui.progressBar, stage_in_words(stage)
        bar.visible = True
        bar.value = round(100 * fraction)
        bar.format = f"%p% {title}"
        if remaining_s is not None:
            left = _("{seconds} s left").format(seconds=round(remaining_s))
            bar.format = f"%p% {title}, {left}"
