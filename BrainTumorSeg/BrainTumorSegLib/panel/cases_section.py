"""Section My cases: corrected results are kept, and a model learns from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from scripted_models.errors import Cancelled, NotBetterError

from ..child_errors import written_lines
from ..model_import import import_model
from ..model_list import list_models
from ..own_cases import CaseJob, TrainingJob, case_count
from ..review import is_complete
from ..slicer_types import Parameters, Ui
from ..translation import _
from ..words import error_in_words
from .messages import Messages
from .plain_text import confirmed, fill_field, show_text, show_tool_tip
from .run_section import Logic

POLL_INTERVAL_MS = 200
SETTING = "BrainTumorSeg/CasesFolder"
LEAST_CASES = 3


class CasesSection:
    """Stores the chosen segmentation as a case, and drives one training at a time.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says how it goes.
        logic: `BrainTumorSegLogic`, which installs what is missing.
        onModel: called when a new model is in the list.
    """

    def __init__(self, ui: Ui, messages: Messages, logic: Logic, onModel: Callable[[], None]):
        self.ui, self.messages, self.logic, self.onModel = ui, messages, logic, onModel
        self.job: CaseJob | TrainingJob | None = None
        self._parameters: Parameters | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.onTimer)
        ui.casesFolderButton.clicked.connect(self.onFolder)
        ui.addCaseButton.clicked.connect(self.onAdd)
        ui.trainButton.clicked.connect(self.onTrain)
        fill_field(ui.casesFolderEdit, str(slicer.app.userSettings().value(SETTING) or ""))
        ui.casesProgressBar.visible = False
        self._count = 0
        self._recount()

    @property
    def folder(self) -> str:
        """The folder of the user's cases; empty before one was chosen."""
        return str(self.ui.casesFolderEdit.text)

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none; a training goes on."""
        self._parameters = parameters
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done."""
        node = self._parameters.segmentation if self._parameters is not None else None
        count = self._count
        idle, ui = self.job is None, self.ui
        show_text(ui.casesLabel, _("{count} cases").format(count=count) if self.folder else "")
        ui.casesFolderButton.enabled = idle
        ui.addCaseButton.enabled = idle and is_complete(node)
        ui.trainButton.enabled = count >= LEAST_CASES or not idle
        ui.trainButton.text = _("Train on my cases")
        if not idle:
            ui.trainButton.text = _("Cancel")
        tip = _("Train the chosen model further on your cases. A fifth of them is held out.")
        least = _("At least {count} cases are needed.").format(count=LEAST_CASES)
        show_tool_tip(ui.trainButton, tip if count >= LEAST_CASES else f"{tip}\n{least}")

    def close(self) -> None:
        """End what runs; a training goes on another time where it was."""
        self._timer.stop()
        if self.job is not None:
            self.job.close()
            self.job = None

    def onFolder(self, checked: bool = False) -> None:
        """Ask for the folder of the user's cases."""
        title = _("Folder of my cases")
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, self.folder)
        if path:
            fill_field(self.ui.casesFolderEdit, path)
            slicer.app.userSettings().setValue(SETTING, path)
            self._recount()
        self.refresh()

    def onAdd(self, checked: bool = False) -> None:
        """Store the segmentation as it is now."""
        if not self.folder:
            self.onFolder()
        if self.folder and self._parameters is not None:
            node = self._parameters.segmentation
            failed = _("The case could not be stored.")
            self._start(lambda: CaseJob(node, Path(self.folder)), failed)

    def onTrain(self, checked: bool = False) -> None:
        """Start a training, or cancel what runs."""
        if self.job is not None:
            self.job.cancel()
            self.ui.casesProgressBar.format = _("Cancelling")
            return
        if self._parameters is not None:
            model, folder = self._parameters.model, Path(self.folder)
            failed = _("The training could not be started.")
            self._start(lambda: TrainingJob(folder, model, _free_name(model)), failed)

    def onTimer(self) -> None:
        """Show what the job said since the last call; finish when it has ended."""
        job = self.job
        if job is None:
            return
        for event in job.poll():
            self.messages.tell(event)
            if event.fraction is not None:
                self._showProgress(event.fraction, event.remaining_s)
        if job.outcome is not None:
            self._finish(job)

    def _start(self, make: Callable[[], CaseJob | TrainingJob], failed: str) -> None:
        try:
            with self.messages.errorsShown(failed, waitCursor=True):
                job = make()
                if job.needs_packages:
                    self.logic.ensureDependencies(job.strips_skulls)
                job.start()
                self.job = job
                self._showProgress(0.0, None)
                self._timer.start()
        except Cancelled as declined:
            self.messages.say(error_in_words(declined))
        finally:
            self.refresh()

    def _finish(self, job: CaseJob | TrainingJob) -> None:
        self.job = None
        self._timer.stop()
        self.ui.casesProgressBar.visible = False
        self.ui.trainButton.enabled = False  # the import of a new model lets events through
        try:
            if isinstance(job, CaseJob):
                self._tellStored(job)
            else:
                self._offer(job, job.finish())
        except Cancelled as cancelled:
            self.messages.say(error_in_words(cancelled))
        except NotBetterError as answer:
            self.messages.say(error_in_words(answer))
        except Exception as error:
            self.messages.sayFailure(error_in_words(error), "\n".join(written_lines(error)))
        finally:
            self._recount()
            self.refresh()

    def _recount(self) -> None:
        """Look into the folder, which may be on a network, only when it may have changed."""
        self._count = case_count(Path(self.folder)) if self.folder else 0

    def _tellStored(self, job: CaseJob) -> None:
        stored = job.finish()
        for note in stored.notes:
            self.messages.log(note)
        text = _("Stored as {name}, without anything that tells whose it is.")
        self.messages.say(" ".join([text.format(name=stored.name), *stored.notes]))

    def _offer(self, job: TrainingJob, scores: dict[str, Any]) -> None:
        """Show the scores and put the new model into the list if the user wants it."""
        self.messages.log(str(scores.get("table", "")))
        question = _(
            "Mean Dice on the held-out case(s) {cases}: {before} before, {after} after training. "
            "Add the new model {name} to the list?"
        ).format(
            cases=", ".join(scores["held_out"]),
            before=_mean(scores["before"]),
            after=_mean(scores["after"]),
            name=job.model_folder.name,
        )
        if confirmed(question):
            entry = import_model(job.model_folder, on_wait=slicer.app.processEvents)
            if self._parameters is not None:
                self._parameters.model = entry.name
            self.onModel()
            self.messages.say(_("{name} is in the list of models.").format(name=entry.name))
        else:
            self.messages.say(_("The new model was not taken."))
        job.remove_model()

    def _showProgress(self, fraction: float, remaining_s: float | None) -> None:
        bar = self.ui.casesProgressBar
        bar.visible, bar.value = True, round(100 * fraction)
        bar.resetFormat()
        if remaining_s is not None:
            left = _("{minutes} min left").format(minutes=max(1, round(remaining_s / 60)))
            bar.format = f"%p% {left}"


def _mean(dice: dict[str, float]) -> str:
    return f"{sum(dice.values()) / len(dice):.3f}"


def _free_name(model: str) -> str:
    """Return a name for a model that was made from another one."""
    taken, base = {entry.name for entry in list_models()}, Path(model).name
    base = base if "-personal" in base else f"{base}-personal"
    names = (f"{base}{number or ''}" for number in range(len(taken) + 1))
    return next(name for name in names if name not in taken)
