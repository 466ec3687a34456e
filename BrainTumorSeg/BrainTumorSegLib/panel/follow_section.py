"""Section Follow-up: the segmentations of the scene as visits, compared in the background."""

import shutil
from pathlib import Path

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from scripted_models.errors import Cancelled
from scripted_models.follow_up.visit_dates import parse_date

from ..child_errors import written_lines
from ..follow_job import FollowJob
from ..follow_record import page_of, store_follow_up
from ..follow_views import add_registered, remove_registered, update_chart
from ..run_folder import make_run_folder
from ..scene_visits import SceneVisit, patients_differ, scene_visits, why_not
from ..slicer_types import Parameters, Ui, VtkObject
from ..translation import _
from ..visit_print import VisitWatch, print_of
from ..visit_words import keep_baseline
from ..words import error_in_words
from .follow_result import FollowResultView
from .messages import Messages
from .plain_text import fill_field, show_text, show_tool_tip
from .run_section import Logic
from .visits_table import VisitsTable

POLL_INTERVAL_MS = 100
REFRESH_DELAY_MS = 200
LESIONS_OF = ("auto", "ET", "WT")


class FollowSection(VTKObservationMixin):
    """Lists visits and drives one comparison at a time.

    Args:
        ui: the widgets of the panel by name.
        messages: where it says how it goes; by the numbers of visits, names and dates stay out.
        logic: `BrainTumorSegLogic`.
    """

    def __init__(self, ui: Ui, messages: Messages, logic: Logic):
        VTKObservationMixin.__init__(self)
        self.ui, self.messages, self.logic = ui, messages, logic
        self.job: FollowJob | None = None
        self._parameters: Parameters | None = None
        self._folder: Path | None = None  # of the pages; they show a patient
        self._table = VisitsTable(ui, self.refresh, messages.setStatus)
        self._result, self._changes = FollowResultView(ui, messages), VisitWatch()
        self._timer, self._refreshTimer = qt.QTimer(), qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.onTimer)
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(REFRESH_DELAY_MS)
        self._refreshTimer.timeout.connect(self.refresh)
        ui.followCollapsibleButton.contentsCollapsed.connect(self.refreshLater)
        ui.followButton.clicked.connect(self.onCompare)
        ui.followPageButton.clicked.connect(self.onPage)
        ui.lesionsOfComboBox.addItems(
            [_("by what enhances"), _("enhancing tumor (high grade)"), _("whole tumor (low grade)")]
        )
        ui.lesionsOfComboBox.currentIndexChanged.connect(self.onOptions)
        ui.baselineComboBox.currentIndexChanged.connect(self.onBaseline)
        ui.radiotherapyEdit.editingFinished.connect(self.onOptions)
        ui.followProgressBar.visible = False

    @property
    def visits(self) -> list[SceneVisit]:
        """The visits as they are listed."""
        return self._table.visits

    def setParameterNode(self, parameters: Parameters | None) -> None:
        """Follow the parameters of the scene, or none; a comparison goes on."""
        self.removeObservers()
        self._refreshTimer.stop()
        self._parameters = parameters
        self._changes.forget()  # nobody has listened meanwhile
        if parameters is not None:
            scene = slicer.mrmlScene
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.refreshLater)
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
                self.addObserver(scene, event, self.refreshLater)
        self.refresh()

    def refreshLater(self, caller: VtkObject = None, event: VtkObject = None) -> None:
        """Refresh once, shortly after a burst of changes."""
        if self._parameters is not None:
            self._refreshTimer.start()

    def refresh(self) -> None:
        """List the visits and show the last comparison; a collapsed section looks at nothing."""
        parameters, scene = self._parameters, slicer.mrmlScene
        if self.ui.followCollapsibleButton.collapsed and parameters is not None:
            return
        if scene.IsBatchProcessing():
            return
        visits = scene_visits(scene) if parameters is not None else []
        self._table.show(visits, self.job is None)
        self._watch(visits)
        self._showOptions()
        table = parameters.follow_up if parameters is not None else None
        if table is not None and self._changes.step(table):
            self.refreshLater()  # one at a time, the window lives between
        self._result.show(table, self._changes.changed(table) if table is not None else [])
        self.updateButton()

    def updateButton(self) -> None:
        """Say on the button what a click does, or why it can do nothing."""
        button, job = self.ui.followButton, self.job
        if job is not None:
            button.text = _("Cancel")
            show_tool_tip(button, _("End the comparison; a former one stays."))
            button.enabled = not job.cancelling
            return
        reason = why_not(self.visits) or self._wrongDate()
        button.text = _("Compare")
        ready = _("Register the chosen visits, match lesions and calculate what changed.")
        show_tool_tip(button, reason or ready)
        button.enabled = not reason and self._parameters is not None
        undated = sum(visit.when.day is None for visit in self.visits)
        lines = [reason]
        if undated:
            words = _("Without a date, so not to be chosen: {count}. Type it, as 2024-01-31.")
            lines.append(words.format(count=undated))
        if patients_differ(self.visits):
            lines.append(_("The chosen visits are of several patients; check your choice."))
        show_text(self.ui.visitsLabel, "\n".join(line for line in lines if line))

    def close(self) -> None:
        """End a comparison at once and leave nothing of it behind."""
        self._refreshTimer.stop()
        self._timer.stop()
        if self.job is not None:
            self.job.close()
            self.job = None
        self.ui.followProgressBar.visible = False
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def onSceneClosed(self) -> None:
        """End a comparison whose visits are about to vanish, and say so."""
        ran = self.job is not None
        self.close()
        if ran:
            self.messages.say(_("The scene was closed; the comparison of visits was ended."))

    def onCompare(self, checked: bool = False) -> None:
        """Start with the chosen visits, or cancel what runs."""
        if self.job is not None:
            self.job.cancel()
            self.updateButton()
            return
        self.refresh()
        parameters = self._parameters
        if parameters is None or why_not(self.visits) or self._wrongDate():
            return
        chosen = [visit for visit in self.visits if visit.chosen]
        try:
            with self.messages.errorsShown(_("The comparison could not be started.")):
                self.logic.ensureDependencies(False)
                job = FollowJob(
                    chosen, slicer.mrmlScene, parameters.lesions_of, parameters.radiotherapy
                )
                job.start()
                self.job = job
                self.messages.setStatus("")
                self._showProgress(0.0)
                self._timer.start()
        except Cancelled as declined:
            self.messages.say(error_in_words(declined))
        finally:
            self.refresh()

    def onTimer(self) -> None:
        """Do the next piece of work and show what is new."""
        job = self.job
        if job is None:
            return
        try:
            for event in job.poll():
                self.messages.tell(event)
            self._showProgress(job.fraction)
            if job.outcome is not None:
                self._finish(job)
        except Exception as error:  # a visit that cannot be written
            self._end(job)
            self.messages.sayFailure(error_in_words(error))
            self.refresh()

    def onVisitModified(self, caller: VtkObject, event: VtkObject) -> None:
        """Look again at a segmentation that may have been edited, moved or renamed."""
        self._changes.forget(caller)
        self.refreshLater()

    def onPage(self, checked: bool = False) -> None:
        """Open the page of the comparison in a browser."""
        table = self._parameters.follow_up if self._parameters is not None else None
        if table is None:
            return
        with self.messages.errorsShown(_("The page could not be made.")):
            content = page_of(table)
            self._folder = self._folder or make_run_folder()
            page = self._folder / f"follow-up-{table.GetID()}.html"
            page.write_text(content, encoding="utf-8")
            opened = qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))
            text = _("The page is {file} until Slicer ends; save it from the browser.")
            if not opened:
                text = _("No browser could be opened. The page is {file} until Slicer ends.")
            self.messages.say(text.format(file=page))

    def onOptions(self, index: int = -1) -> None:
        """Keep the region of the lesions and the end of the radiotherapy."""
        parameters, ui = self._parameters, self.ui
        if parameters is None:
            return
        lesions = LESIONS_OF[ui.lesionsOfComboBox.currentIndex]
        text = str(ui.radiotherapyEdit.text).strip()
        if (parameters.lesions_of, parameters.radiotherapy) != (lesions, text):
            with slicer.util.NodeModify(parameters):
                parameters.lesions_of, parameters.radiotherapy = lesions, text
        self.updateButton()

    def onBaseline(self, index: int) -> None:
        """Keep from which visit on changes are judged."""
        dated = [visit for visit in self.visits if visit.chosen]
        baseline = dated[index - 1] if 0 < index <= len(dated) else None
        for visit in dated:
            keep_baseline(visit.node, visit is baseline)
        self.refresh()

    def _finish(self, job: FollowJob) -> None:
        self._end(job)
        scene = slicer.mrmlScene
        try:
            result = job.finish()
            parameters = self.logic.getParameterNode()
            prints = [print_of(visit.labels, visit.grid) for visit in result.visits]
            table = store_follow_up(scene, result, prints, parameters.follow_up)
            update_chart(scene, table, result.facts)
            if parameters.registered:
                add_registered(scene, table, result)
            else:
                remove_registered(scene, table)
            parameters.follow_up = table
            said = _("{count} visits were compared.")
            self.messages.say(said.format(count=len(result.visits)))
        except Cancelled as cancelled:
            self.messages.say(error_in_words(cancelled))
        except Exception as error:
            self.messages.sayFailure(error_in_words(error), "\n".join(written_lines(error)))
        finally:
            self.refresh()

    def _end(self, job: FollowJob) -> None:
        self.job = None
        self._timer.stop()
        self.ui.followProgressBar.visible = False
        if job.outcome is None:
            job.close()

    def _showProgress(self, fraction: float) -> None:
        bar = self.ui.followProgressBar
        bar.visible, bar.value = True, round(100 * fraction)

    def _wrongDate(self) -> str:
        text = self._parameters.radiotherapy if self._parameters is not None else ""
        if not text or parse_date(text) is not None:
            return ""
        words = _("'{text}' is no date of the radiotherapy; type one such as 2024-01-31.")
        return words.format(text=text)

    def _showOptions(self) -> None:
        """Show what was chosen before; nothing that is shown counts as a choice."""
        parameters, ui = self._parameters, self.ui
        dated = [visit for visit in self.visits if visit.chosen]
        boxes = (ui.lesionsOfComboBox, ui.baselineComboBox, ui.radiotherapyEdit)
        wereBlocked = [box.blockSignals(True) for box in boxes]
        ui.baselineComboBox.clear()
        after = bool(parameters is not None and parameters.radiotherapy)
        first = _("first visit after radiotherapy") if after else _("first visit")
        ui.baselineComboBox.addItems([first, *(visit.date for visit in dated)])
        marked = [n for n, visit in enumerate(dated, start=1) if visit.words.baseline]
        ui.baselineComboBox.currentIndex = marked[0] if marked else 0
        if parameters is not None:
            known = parameters.lesions_of if parameters.lesions_of in LESIONS_OF else "auto"
            ui.lesionsOfComboBox.currentIndex = LESIONS_OF.index(known)
            if not ui.radiotherapyEdit.focus:
                fill_field(ui.radiotherapyEdit, parameters.radiotherapy)
        for box, wasBlocked in zip(boxes, wereBlocked, strict=True):
            box.blockSignals(wasBlocked)
        for box in boxes:
            box.enabled = self.job is None

    def _watch(self, visits: list[SceneVisit]) -> None:
        """Hear of names, places and voxels of the listed segmentations."""
        for visit in visits:
            held = visit.node.GetSegmentation()
            for source, event in (
                (visit.node, vtk.vtkCommand.ModifiedEvent),
                (visit.node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent),
                (held, slicer.vtkSegmentation.SourceRepresentationModified),
                (held, slicer.vtkSegmentation.SegmentAdded),
                (held, slicer.vtkSegmentation.SegmentRemoved),
            ):
                if not self.hasObserver(source, event, self.onVisitModified):
                    self.addObserver(source, event, self.onVisitModified)
