"""Section Inputs: four slots that fill themselves, swap buttons, and the findings."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from scripted_models.images.checks import NOTE, STOP, WARNING, Finding
from scripted_models.sequences import SEQUENCES

from ..candidates import SlotGuess, detect, volume_candidates
from ..findings import finding_in_words
from ..input_check import InputCheck
from ..model_list import ModelEntry
from ..slicer_types import Parameters, Ui, VolumeNode, VtkObject
from ..translation import _
from .plain_text import show_text, show_tool_tip

REFRESH_DELAY_MS = 200
MARKS = {"sure": "\u2713", "likely": "?"}


class InputSection(VTKObservationMixin):
    """Keeps slots, marks and findings in step with the scene.

    Args:
        ui: the widgets of the panel by name.
        onFindings: called without arguments when the findings may have changed.
    """

    def __init__(self, ui: Ui, onFindings: Callable[[], None]):
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.onFindings = onFindings
        self.findings: list[Finding] = []
        self._parameters: Parameters | None = None
        self._model: ModelEntry | None = None
        self._check = InputCheck()
        self._guesses: dict[str, SlotGuess] = {}
        self._seen: list[Any] | None = None  # candidates of the last look at the scene
        self._chosen: dict[str, VolumeNode] = {}
        self._observed: list[VolumeNode] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_DELAY_MS)
        self._timer.timeout.connect(self.refresh)
        ui.detectButton.clicked.connect(self.onDetectButton)
        for upper, lower in pairwise(SEQUENCES):
            button = getattr(ui, f"{upper}SwapButton")
            button.clicked.connect(lambda checked=False, a=upper, b=lower: self.swap(a, b))

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none."""
        self.removeObservers()
        self._observed = []
        self._timer.stop()
        self._parameters = parameters
        if parameters is None:
            return
        self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.refreshLater)
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
            self.addObserver(scene, event, self.refreshLater)
        self.refresh()

    def setModel(self, entry: ModelEntry) -> None:
        """Set the chosen model, which says what the volumes must be like."""
        self._model = entry
        self.refreshLater()

    def forget(self) -> None:
        """Let go of the volumes of a scene that was closed or is read."""
        self._guesses, self._seen, self._chosen = {}, None, {}

    def refreshLater(self, caller: VtkObject = None, event: VtkObject = None) -> None:
        """Refresh once, shortly after a burst of changes."""
        if self._parameters is not None:
            self._timer.start()

    def refresh(self) -> None:
        """Fill what can be filled, mark it, and check it."""
        if self._parameters is None or slicer.mrmlScene.IsBatchProcessing():
            return
        self._timer.stop()
        emptied = self._noteEmptied()
        self._lookAtScene()
        for sequence in SEQUENCES:
            guess = self._guesses.get(sequence)
            empty = self._nodeOf(sequence) is None and sequence not in emptied
            found = guess.node if guess is not None else None
            taken = any(self._nodeOf(other) is found for other in SEQUENCES)
            if empty and found is not None and not taken:
                setattr(self._parameters, sequence, found)
        self._chosen = {sequence: self._nodeOf(sequence) for sequence in SEQUENCES}
        self._observeChosen()
        self._showMarks()
        self._showFindings()

    def onDetectButton(self, checked: bool = False) -> None:
        """Choose anew by name, description and look, whatever was chosen before."""
        if self._parameters is None:
            return
        self._seen = None
        self._lookAtScene()
        found = {m: guess.node for m, guess in self._guesses.items() if guess.node is not None}
        with slicer.util.NodeModify(self._parameters):
            self._parameters.emptied = ""
            for sequence in SEQUENCES:
                if sequence not in found and self._nodeOf(sequence) in found.values():
                    setattr(self._parameters, sequence, None)
            for sequence, node in found.items():
                setattr(self._parameters, sequence, node)
        self.refresh()

    def swap(self, first: str, second: str) -> None:
        """Exchange the volumes of two slots."""
        if self._parameters is None:
            return
        nodes = self._nodeOf(first), self._nodeOf(second)
        with slicer.util.NodeModify(self._parameters):
            setattr(self._parameters, first, nodes[1])
            setattr(self._parameters, second, nodes[0])

    def needsExtraction(self) -> bool:
        """Tell whether a run would strip skulls."""
        needs = self._check.needs
        wanted = self._parameters is not None and self._parameters.prepare
        return bool(wanted and needs is not None and needs.with_skull)

    def problems(self) -> list[str]:
        """Return the sentences that keep a run from starting, of the volumes as they are now."""
        if self._timer.isActive():
            self.refresh()
        return [finding_in_words(finding) for finding in self.findings if finding.severity == STOP]

    def _nodeOf(self, sequence: str) -> VolumeNode:
        return getattr(self._parameters, sequence)

    def _noteEmptied(self) -> set[str]:
        """Tell slots that the user emptied from slots whose volume left the scene."""
        assert self._parameters is not None
        emptied = set(self._parameters.emptied.split())
        for sequence in SEQUENCES:
            before = self._chosen.get(sequence)
            if self._nodeOf(sequence) is not None:
                emptied.discard(sequence)
            elif before is not None and slicer.mrmlScene.IsNodePresent(before):
                elsewhere = any(self._nodeOf(other) is before for other in SEQUENCES)
                if not elsewhere:
                    emptied.add(sequence)
        self._parameters.emptied = " ".join(m for m in SEQUENCES if m in emptied)
        return emptied

    def _lookAtScene(self) -> None:
        """Guess the sequences, when volumes came, went or were renamed."""
        candidates = volume_candidates(slicer.mrmlScene)
        chosen = [node for m in SEQUENCES if (node := self._nodeOf(m)) is not None]
        ids = {node.GetID() for node in chosen}
        seen = [(c.key, c.name, c.description, c.group, c.key in ids) for c in candidates]
        if seen != self._seen:
            self._seen = seen
            self._guesses = detect(slicer.mrmlScene, chosen)

    def _observeChosen(self) -> None:
        chosen = list(dict.fromkeys(node for node in self._chosen.values() if node is not None))
        events = (
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
            vtk.vtkCommand.ModifiedEvent,
        )
        for event in events:
            for node in set(self._observed) - set(chosen):
                self.removeObserver(node, event, self.refreshLater)
            for node in set(chosen) - set(self._observed):
                self.addObserver(node, event, self.refreshLater)
        self._observed = chosen

    def _showMarks(self) -> None:
        for sequence in SEQUENCES:
            node, guess = self._nodeOf(sequence), self._guesses.get(sequence)
            mark = getattr(self.ui, f"{sequence}Mark")
            sign, tip = "", _("Your choice.") if node is not None else _("No volume is chosen.")
            if guess is not None and node is guess.node:
                sign = MARKS.get(guess.confidence, "") if node is not None else ""
                tip = guess.reason or tip
            show_text(mark, sign)
            show_tool_tip(mark, tip)

    def _showFindings(self) -> None:
        description = self._model.description if self._model is not None else None
        space = description.training_space if description is not None else None
        prepare = self._parameters is not None and self._parameters.prepare
        self.findings = self._check.check(
            self._chosen, space, description=description, prepare=prepare
        )
        show_text(self.ui.findingsLabel, findings_text(self.findings))
        self.onFindings()


def findings_text(findings: list[Finding]) -> str:
    """Return the findings as a short list."""
    titles = {STOP: _("Stop:"), WARNING: _("Warning:"), NOTE: _("Note:")}
    return "\n".join(
        f"{titles[finding.severity]} {finding_in_words(finding)}" for finding in findings
    )
