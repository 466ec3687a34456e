"""Section Several patients: the studies of the scene, segmented one after the other."""

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from scripted_models.sequences import SEQUENCES

from ..model_list import ModelEntry
from ..parameters import run_settings
from ..scene_studies import SceneStudy, StudyFinder
from ..slicer_types import Parameters, SegmentationNode, SubjectHierarchy, Ui, VtkObject
from ..study_batch import (
    CANCELLED,
    CHECKING,
    DONE,
    FAILED,
    GOES_ON,
    RUNNING,
    WAITING,
    StudyBatch,
    StudyRun,
)
from ..translation import _
from .messages import Messages
from .plain_text import fill_cell, show_text, show_tool_tip
from .run_section import RunSection

POLL_INTERVAL_MS = 100
REFRESH_DELAY_MS = 200


class BatchSection(VTKObservationMixin):
    """Lists studies and drives one batch at a time.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says how it goes; by the numbers of rows, names of patients stay out.
        run: the section for one study; only one of the two runs.
        onShown: called with the segmentation node of a study that the user wants to see.
    """

    def __init__(
        self,
        ui: Ui,
        messages: Messages,
        run: RunSection,
        onShown: Callable[[SegmentationNode], None],
    ):
        VTKObservationMixin.__init__(self)
        self.ui, self.messages, self.run, self.onShown = ui, messages, run, onShown
        self.batch: StudyBatch | None = None
        self.studies: list[SceneStudy] = []
        self._runs: dict[str, StudyRun] = {}  # the last of each study
        self._finder = StudyFinder()
        self._model: ModelEntry | None = None
        self._parameters: Parameters | None = None
        self._hierarchy: SubjectHierarchy = None
        self._timer, self._refreshTimer = qt.QTimer(), qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.onTimer)
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(REFRESH_DELAY_MS)
        self._refreshTimer.timeout.connect(self.refresh)
        run.onBusy = self.updateButton
        ui.segmentAllButton.clicked.connect(self.onSegmentAll)
        ui.batchCollapsibleButton.contentsCollapsed.connect(self.refreshLater)
        ui.studiesTable.cellDoubleClicked.connect(self.onShow)
        ui.studiesTable.setColumnCount(2)
        ui.studiesTable.setHorizontalHeaderLabels((_("Patient and study"), _("State")))
        header = ui.studiesTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none; a batch goes on."""
        self.removeObservers()
        self._hierarchy = None
        self._refreshTimer.stop()
        self._parameters = parameters
        if parameters is not None:
            scene = slicer.mrmlScene
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.refreshLater)
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
                self.addObserver(scene, event, self.refreshLater)
            self.refresh()
        self.updateButton()

    def setModel(self, entry: ModelEntry) -> None:
        """Set the chosen model, which says what may be missing."""
        self._model = entry
        self.refreshLater()

    def refreshLater(self, caller: VtkObject = None, event: VtkObject = None) -> None:
        """Refresh once, shortly after a burst of changes."""
        if self._parameters is not None:
            self._refreshTimer.start()

    def refresh(self) -> None:
        """List the studies of the scene; a collapsed section looks at no volume."""
        parameters, scene = self._parameters, slicer.mrmlScene
        if parameters is None or self.ui.batchCollapsibleButton.collapsed:
            return
        if scene.IsBatchProcessing():
            return
        self._observeHierarchy(scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode"))
        description = self._model.description if self._model is not None else None
        chosen = [(m, getattr(parameters, m)) for m in SEQUENCES]
        found = {s.key: s for s in self._finder.studies(scene, description, chosen)}
        gone = _("It is not in the scene any more.")
        kept = [
            found.pop(study.key) if study.key in found else replace(study, problem=gone)
            for study in self.studies
            if study.key in found or self.batch is not None
        ]
        self.studies = [*kept, *found.values()]
        self._show()
        self.updateButton()

    def updateButton(self) -> None:
        """Say on the button what a click does, or why it can do nothing."""
        button = self.ui.segmentAllButton
        if self.batch is not None:
            button.text = _("Cancel")
            show_tool_tip(button, _("End what runs. Segmentations that are done stay."))
            button.enabled = not self.batch.cancelling
            return
        button.text = _("Segment all")
        tip, ready = _("Segment every study that is ready, each into a new segmentation."), True
        if self.run.job is not None:
            tip, ready = _("A segmentation is running; wait for its end."), False
        elif not self._ready():
            tip, ready = _("No study is ready, or all are done."), False
        show_tool_tip(button, tip)
        button.enabled = ready and self._parameters is not None

    def close(self) -> None:
        """End a batch at once and leave nothing of it behind."""
        self._refreshTimer.stop()
        self._timer.stop()
        if self.batch is not None:
            self.batch.close()
            self.batch = None
            self.run.block("")

    def onSceneClosed(self) -> None:
        """End a batch whose volumes are about to vanish, and say so."""
        batch = self.batch
        self.close()
        if batch is not None:
            words = _("The scene was closed; of {count} studies {done} had been segmented.")
            done = sum(run.state == DONE for run in batch.runs)
            self.messages.say(words.format(count=len(batch.runs), done=done))
        self.studies, self._runs, self._finder = [], {}, StudyFinder()
        self._show()

    def onSegmentAll(self, checked: bool = False) -> None:
        """Start with what is ready, or cancel what runs."""
        if self.batch is not None:
            self.batch.cancel()
        else:
            self.refresh()
            ready = self._ready()
            if self._parameters is not None and self.run.job is None and ready:
                self._start(ready, self._parameters)
        self._show()
        self.updateButton()

    def onTimer(self) -> None:
        """Do the next piece of work and show what is new."""
        batch = self.batch
        if batch is None:
            return
        self._timer.stop()  # questions about packages let the window live
        for run, line in batch.poll():
            number = _("Study {number}").format(number=self._number(run))
            self.messages.log(f"{number}: {line}")
        if self.batch is not batch:  # the scene was closed meanwhile
            return
        if batch.over:
            self._finish(batch)
        else:
            self._timer.start()
        self._show()
        self.updateButton()

    def onShow(self, row: int, column: int = 0) -> None:
        """Put a study into the slots above, and its segmentation, if it was just made."""
        parameters, study = self._parameters, self.studies[row]
        if parameters is None:
            return
        run, scene = self._runOf(study), slicer.mrmlScene
        with slicer.util.NodeModify(parameters):
            parameters.emptied = ""
            parameters.segmentation = None  # no result goes into that of another patient
            for sequence in SEQUENCES:
                node = study.nodes.get(sequence)
                isThere = node is not None and scene.IsNodePresent(node)
                setattr(parameters, sequence, node if isThere else None)
        if run is not None and run.state == DONE:
            self.onShown(run.segmentation)

    def _start(self, ready: list[SceneStudy], parameters: Parameters) -> None:
        self.messages.setStatus("")
        settings, ensure = run_settings(parameters), self.run.logic.ensureDependencies
        self.batch = StudyBatch(ready, slicer.mrmlScene, settings, ensure)
        self._runs |= {run.study.key: run for run in self.batch.runs}
        self.run.block(_("Several patients are being segmented; wait for the end, or cancel it."))
        self._timer.start()

    def _finish(self, batch: StudyBatch) -> None:
        self.batch = None
        states = [run.state for run in batch.runs]
        for run in batch.runs:
            number = _("Study {number}").format(number=self._number(run))
            self.messages.log(f"{number}: {_stateText(run)}")
        words = _("Studies done: {done}, failed: {failed}, cancelled: {cancelled}.")
        counts = {state: states.count(state) for state in (DONE, FAILED, CANCELLED)}
        self.messages.say(words.format(**counts))
        self.run.block("")
        self.refresh()

    def _ready(self) -> list[SceneStudy]:
        """Return the studies that Segment all would take: a failed one again, a done one not."""
        runs = ((study, self._runOf(study)) for study in self.studies if not study.problem)
        return [study for study, run in runs if run is None or run.state in (FAILED, CANCELLED)]

    def _runOf(self, study: SceneStudy) -> StudyRun | None:
        """Return the last run of a study, if it was about the same volumes and settings."""
        run = self._runs.get(study.key)
        if run is None or (self.batch is not None and run in self.batch.runs):
            return run
        settings = run_settings(self._parameters) if self._parameters is not None else run.settings
        isThere = run.segmentation is None or slicer.mrmlScene.IsNodePresent(run.segmentation)
        isSame = run.study.nodes == study.nodes and run.settings == settings
        return run if isSame and isThere else None

    def _number(self, run: StudyRun) -> int:
        return [study.key for study in self.studies].index(run.study.key) + 1

    def _observeHierarchy(self, hierarchy: SubjectHierarchy) -> None:
        kind = slicer.vtkMRMLSubjectHierarchyNode
        events = (
            kind.SubjectHierarchyItemModifiedEvent,
            kind.SubjectHierarchyItemReparentedEvent,
            kind.SubjectHierarchyItemUIDAddedEvent,
        )
        if hierarchy is self._hierarchy:
            return
        for event in events:
            if self._hierarchy is not None:
                self.removeObserver(self._hierarchy, event, self.refreshLater)
            if hierarchy is not None:
                self.addObserver(hierarchy, event, self.refreshLater)
        self._hierarchy = hierarchy

    def _show(self) -> None:
        table = self.ui.studiesTable
        table.setRowCount(len(self.studies))
        for row, study in enumerate(self.studies):
            run = self._runOf(study)
            nameless = _("Study {number}").format(number=row + 1)
            state = _stateText(run) if run is not None else _readiness(study)
            tip = _tip(study, run, self._runs.get(study.key))
            fill_cell(table, row, 0, study.name or nameless, tip)
            fill_cell(table, row, 1, state, tip)
        count = self._finder.homeless
        words = _(
            "Volumes without patient and study: {count}. Put them into a study in the module Data "
            "to list them here."
        )
        show_text(self.ui.studiesLabel, words.format(count=count) if count else "")


def _readiness(study: SceneStudy) -> str:
    if study.problem:
        return _("Not ready")
    return _("Ready, please check") if study.doubtful else _("Ready")


def _stateText(run: StudyRun) -> str:
    if run.state == RUNNING:
        return _("Running, {percent} %").format(percent=round(100 * run.fraction))
    if run.state == DONE and run.warnings:
        return _("Done, with warnings")
    return {
        WAITING: _("Waiting"),
        CHECKING: _("Checking"),
        DONE: _("Done"),
        FAILED: _("Failed"),
        CANCELLED: _("Cancelled"),
    }[run.state]


def _tip(study: SceneStudy, run: StudyRun | None, last: StudyRun | None) -> str:
    """Return why it is as it is, what there is to say, and which volume is which sequence."""
    if run is not None:
        sentence = "" if run.state in GOES_ON else run.sentence
        lines = (sentence, *run.warnings, *run.study.reasons)
    else:
        failed = last is not None and last.state == FAILED
        before = _("The last run failed: {sentence}")
        told = before.format(sentence=last.sentence) if last is not None and failed else ""
        lines = (study.problem, told, *study.warnings, *study.reasons)
    return "\n".join(line for line in lines if line)
