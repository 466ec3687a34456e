"""Choice of the model, its card, import and removal."""

from collections.abc import Callable, Mapping
from pathlib import Path

import qt
import slicer

from scripted_models.errors import InputError
from scripted_models.runtime.printable_text import on_one_line, printable

from ..model_import import QUESTIONS, import_model, question_of
from ..model_list import ModelEntry, list_models, remove_model
from ..slicer_types import Parameters, Ui
from ..translation import _
from ..words import in_words
from .messages import Messages
from .plain_text import asked, confirmed, show_text


class ModelSection:
    """Shows the shipped models and those of the user.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says what failed.
        onModel: called with the chosen `ModelEntry`.
    """

    def __init__(self, ui: Ui, messages: Messages, onModel: Callable[[ModelEntry], None]):
        self.ui, self.messages, self.onModel = ui, messages, onModel
        self.entries: list[ModelEntry] = []
        self._parameters: Parameters | None = None
        ui.modelComboBox.currentIndexChanged.connect(self.onIndexChanged)
        ui.importZipButton.clicked.connect(self.onImportZip)
        ui.importFolderButton.clicked.connect(self.onImportFolder)
        ui.removeModelButton.clicked.connect(self.onRemove)

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model."""
        index = self.ui.modelComboBox.currentIndex
        return self.entries[index] if 0 <= index < len(self.entries) else None

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none."""
        self._parameters = parameters
        if parameters is None:
            return
        if self.entries:  # reading them takes a while: every checksum is verified
            self._showChosen()
        else:
            self.refresh()

    def refresh(self) -> None:
        """Read the list of models anew and show the one that the parameters name."""
        self.entries = list_models()
        combo = self.ui.modelComboBox
        wasBlocked = combo.blockSignals(True)
        combo.clear()
        for entry in self.entries:
            damaged = _("{name} (damaged)").format(name=entry.name)
            combo.addItem(on_one_line(damaged if entry.problem else entry.name))
        combo.blockSignals(wasBlocked)
        self._showChosen()

    def onIndexChanged(self, index: int = -1) -> None:
        """Keep the choice in the parameters and show the model's card."""
        entry = self.entry
        if entry is None:
            return
        if self._parameters is not None and self._parameters.model != entry.name:
            self._parameters.model = entry.name
        problem = in_words(entry.problem) if entry.problem else ""
        show_text(self.ui.modelSummaryLabel, problem or "\n".join(entry.lines))
        self.ui.cardText.setPlainText(printable(entry.card))
        self.ui.removeModelButton.enabled = entry.user
        self.onModel(entry)

    def onImportZip(self, checked: bool = False) -> None:
        """Ask for a zip file and import it."""
        title, kinds = _("Import a model"), _("Model as zip file") + " (*.zip *.pt)"
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds)
        self._import(path)

    def onImportFolder(self, checked: bool = False) -> None:
        """Ask for a model folder and import it."""
        title = _("Import a model folder")
        self._import(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title))

    def onRemove(self, checked: bool = False) -> None:
        """Delete the chosen model of the user, after a question."""
        entry = self.entry
        if entry is None:
            return
        question = _("Delete the model {name} from your user folder?").format(name=entry.name)
        if not confirmed(question):
            return
        failed = _("The model could not be removed.")
        with self.messages.errorsShown(failed):
            remove_model(entry)
        self.refresh()

    def _showChosen(self) -> None:
        wanted = self._parameters.model if self._parameters is not None else ""
        names = [entry.name for entry in self.entries]
        combo = self.ui.modelComboBox
        wasBlocked = combo.blockSignals(True)
        combo.currentIndex = names.index(wanted) if wanted in names else 0
        combo.blockSignals(wasBlocked)
        self.onIndexChanged()

    def _import(self, path: str) -> None:
        """Import a model; what its file does not say is asked."""
        answers: dict[str, str] = {}
        while path:
            question = self._imported(Path(path), answers)
            if question is None:
                break
            option = question_of(question)
            answers[option] = self._answer(question, QUESTIONS[option])
            if not answers[option].strip():
                self.messages.say(_("The model was not imported."))
                return
        if path:
            self.refresh()

    def _imported(self, path: Path, answers: Mapping[str, str]) -> InputError | None:
        """Import a model and choose it, or return the question that is open."""
        failed = _("The model was not imported.")
        with self.messages.errorsShown(failed, waitCursor=True):
            try:
                entry = import_model(path, on_wait=slicer.app.processEvents, answers=answers)
            except InputError as error:
                if not question_of(error):
                    raise
                return error
            if self._parameters is not None:
                self._parameters.model = entry.name
        return None

    def _answer(self, question: InputError, example: str) -> str:
        hint = _("Type the answer, such as: {example}").format(example=example)
        return asked(_("Import a model"), f"{in_words(question.problem)}\n\n{hint}")
