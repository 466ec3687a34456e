"""The button that starts and cancels, the progress bar, the status line and the log."""

import qt
import slicer
from slicer.i18n import tr as _

from scripted_models.errors import Cancelled

from ..diagnostics import diagnostics
from ..protocol import LOG

POLL_INTERVAL_MS = 100
SAID = ("message", "warning", LOG)  # errors and results are told when the run has ended


class RunSection:
    """Drives one segmentation at a time.

    Args:
        ui: the widgets of the panel by name.
        logic: `BrainTumorSegLogic`.
        problems: called for the sentences that keep a run from starting.
        onDone: called with the segmentation node of a run that ended well.
    """

    def __init__(self, ui, logic, problems, onDone):
        self.ui, self.logic, self.problems, self.onDone = ui, logic, problems, onDone
        self.job = None
        self._parameters = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.onTimer)
        ui.segmentButton.clicked.connect(self.onSegmentButton)
        ui.copyLogButton.clicked.connect(self.onCopyLog)
        self._showProgress(0.0)

    def setParameterNode(self, parameters) -> None:
        """Follow the parameters of the scene, or none; a run goes on."""
        self._parameters = parameters
        self.updateButton()

    def close(self) -> None:
        """End a run at once and leave nothing of it behind."""
        self._timer.stop()
        if self.job is not None:
            self.job.close()
            self.job = None
            self._showProgress(0.0)
        self.updateButton()

    def updateButton(self) -> None:
        """Say on the button what a click does, or what is missing for it."""
        button = self.ui.segmentButton
        if self.job is not None:
            button.text, button.toolTip = _("Cancel"), _("End the running segmentation.")
            button.enabled = not self.job.cancelling
            return
        problems = self.problems()
        button.text = _("Segment")
        button.toolTip = "\n".join(problems) or _("Segment the tumor in the four volumes.")
        button.enabled = self._parameters is not None and not problems

    def onSegmentButton(self, checked=False) -> None:
        """Start, or cancel what runs."""
        if self.job is not None:
            self.job.cancel()
            self.ui.progressBar.format = _("Cancelling")
            self.updateButton()
            return
        self.ui.logText.clear()
        self.ui.statusLabel.text = ""
        try:
            with slicer.util.tryWithErrorDisplay(_("The segmentation could not be started.")):
                self._start()
        finally:
            self.updateButton()

    def onTimer(self) -> None:
        """Show what the run said since the last call; finish when it has ended."""
        for event in self.job.poll() if self.job else ():
            if event.kind in SAID:
                self._say(event.text, isStatus=event.kind != LOG)
            elif event.fraction is not None and not self.job.cancelling:
                self._showProgress(event.fraction, event.stage, event.remaining_s)
        if self.job is not None and self.job.outcome is not None:
            self._finish()

    def onCopyLog(self, checked=False) -> None:
        """Put the log and the versions of everything on the clipboard."""
        slicer.app.clipboard().setText(f"{diagnostics()}\n\n{self.ui.logText.plainText}\n")

    def _start(self) -> None:
        try:
            self.logic.ensureDependencies()
        except Cancelled as declined:
            self._say(str(declined), isStatus=True)
            return
        self.job = self.logic.startJob(self._parameters)
        self._showProgress(0.0, _("starting"))
        self._timer.start()

    def _finish(self) -> None:
        job, self.job = self.job, None
        self._timer.stop()
        self._showProgress(0.0)
        try:
            node = job.finish()
            self._say(_("Done: {name}").format(name=node.GetName()), isStatus=True)
            self.onDone(node)
        except Exception as error:
            self._tell(error, job.outcome.state == "cancelled")
        finally:
            self.updateButton()

    def _tell(self, error: Exception, cancelled: bool) -> None:
        """Say in one sentence what went wrong; the last lines of the program are the details."""
        details = "\n".join(getattr(error, "log", ()))
        self._say(str(error), isStatus=True)
        if not cancelled:
            self._say(details)
            slicer.util.errorDisplay(str(error), detailedText=details)

    def _showProgress(self, fraction: float, stage: str = "", remaining_s=None) -> None:
        """Show percent, stage and remaining seconds; without a stage nothing runs."""
        bar = self.ui.progressBar
        bar.visible = bool(stage)
        bar.value = round(100 * fraction)
        bar.format = f"%p% {stage}"
        if remaining_s is not None:
            left = _("{seconds} s left").format(seconds=round(remaining_s))
            bar.format = f"%p% {stage}, {left}"

    def _say(self, text: str, isStatus: bool = False) -> None:
        if text:
            self.ui.logText.appendPlainText(text)
        if isStatus:
            self.ui.statusLabel.text = text
