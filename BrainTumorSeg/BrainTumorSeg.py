"""The Slicer module BrainTumorSeg: four MRI volumes in, a segmentation of the glioma out.

The panel only; files, child process and scene are in BrainTumorSegLib.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

MODALITIES = ("t1", "t1c", "t2", "flair")
POLL_INTERVAL_MS = 150
TERMINOLOGY_FILE = (
    Path(__file__).parent / "Resources" / "SegmentationCategoryTypeModifier-BrainTumorSeg.term.json"
)


class BrainTumorSeg(ScriptedLoadableModule):
    """Name, category and help of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Brain Tumor Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["BrainTumorSeg contributors"]
        self.parent.helpText = _(
            "Segments a glioma in four skull-stripped MRI sequences of one patient (T1, T1 with "
            "contrast, T2, FLAIR) into necrosis, oedema, non-enhancing and enhancing tumour. "
            "For research, not for clinical use."
        )
        self.parent.acknowledgementText = _(
            "The default network follows M. Havaei et al., Brain tumor segmentation with deep neural "
            "networks, Medical Image Analysis 35, 2017."
        )
        slicer.app.connect("startupCompleted()", load_terminology)


def load_terminology() -> None:
    """Make names, codes and colours of the segments known to Slicer's terminology selector."""
    slicer.modules.terminologies.logic().LoadTerminologyFromFile(str(TERMINOLOGY_FILE))


@parameterNodeWrapper
class BrainTumorSegParameterNode:
    """What is chosen in the panel; saved with the scene.

    Attributes:
        t1: T1-weighted volume.
        t1c: T1-weighted volume with contrast agent; the result lies on its grid.
        t2: T2-weighted volume.
        flair: FLAIR volume.
        segmentation: segmentation to fill; a new one is made when there is none.
        device: where the network runs.
    """

    t1: vtkMRMLScalarVolumeNode
    t1c: vtkMRMLScalarVolumeNode
    t2: vtkMRMLScalarVolumeNode
    flair: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"


class BrainTumorSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: choices to parameters, a button that starts and cancels, a bar and a log."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._job = None
        self._timer = None

    def setup(self) -> None:
        """Build the panel; called once, when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/BrainTumorSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BrainTumorSegLogic()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.onTimer)
        self.ui.segmentButton.clicked.connect(self.onSegmentButton)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """End a running segmentation; called when the module is unloaded and when Slicer exits."""
        self._dropJob()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        """Called each time the module is opened."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time another module is opened; a running segmentation goes on."""
        self.setParameterNode(None)

    def onReload(self) -> None:
        """Read the library anew as well when the developer reloads the module."""
        for name in [name for name in sys.modules if name.split(".")[0] == "BrainTumorSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event) -> None:
        """End the run: its volumes are about to vanish."""
        self._dropJob()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Start over with an empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Connect the panel to the parameters of the scene."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node) -> None:
        """Connect the panel to a parameter node, or to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(
                self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButton
            )
        self._parameterNode = node
        if node is not None:
            self._parameterNodeGuiTag = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.updateButton)
        self.updateButton()

    def updateButton(self, caller=None, event=None) -> None:
        """Say on the button what a click does, or what is missing for it."""
        button = self.ui.segmentButton
        if self._job is not None:
            button.text, button.toolTip = _("Cancel"), _("End the running segmentation.")
            button.enabled = True
            return
        problem = self.logic.problem(self._parameterNode) if self._parameterNode else ""
        button.text = _("Segment")
        button.toolTip = problem or _("Segment the tumour in the four volumes.")
        button.enabled = self._parameterNode is not None and not problem

    def onSegmentButton(self, checked=False) -> None:
        """Start, or cancel what runs."""
        if self._job is not None:
            self._job.cancel()
            self.ui.segmentButton.enabled = False
            self.ui.progressBar.format = _("Cancelling")
            return
        self.ui.logText.clear()
        with slicer.util.tryWithErrorDisplay(
            _("The segmentation could not be started."), waitCursor=True
        ):
            self._job = self.logic.startJob(self._parameterNode)
            self._showProgress(0.0, _("Starting"))
            self._timer.start()
        self.updateButton()

    def onTimer(self) -> None:
        """Show what the child said since the last call; finish when it has ended."""
        for event in self._job.poll() if self._job else ():
            if event.fraction is not None:
                self._showProgress(event.fraction, event.stage, event.remaining_s)
            elif event.text:
                self._say(event.text)
        if self._job is not None and self._job.outcome is not None:
            self._finish()

    def _finish(self) -> None:
        job, self._job = self._job, None
        self._timer.stop()
        self._showProgress(0.0, "")
        try:
            node = job.finish()
            if self._parameterNode is not None:
                self._parameterNode.segmentation = node
            self._say(_("Done: {name}").format(name=node.GetName()))
        except Exception as error:
            self._say(str(error))
            if job.outcome.state != "cancelled":
                details = "\n".join(getattr(error, "log", ()))
                slicer.util.errorDisplay(str(error), detailedText=details)
        self.updateButton()

    def _showProgress(self, fraction: float, stage: str, remaining=None) -> None:
        self.ui.progressBar.value = round(100 * fraction)
        text = "%p%" + (f" {stage}" if stage else "")
        if remaining is not None:
            text += _(", {seconds} s left").format(seconds=round(remaining))
        self.ui.progressBar.format = text if stage else "%p%"

    def _say(self, text: str) -> None:
        self.ui.logText.appendPlainText(text)

    def _dropJob(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._job is not None:
            self._job.close()
            self._job = None


class BrainTumorSegLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts."""

    def getParameterNode(self):
        """Return the typed parameters of the scene."""
        return BrainTumorSegParameterNode(super().getParameterNode())

    def problem(self, parameters) -> str:
        """Return one sentence about what keeps the parameters from being run; empty when nothing."""
        from BrainTumorSegLib.input_check import check_choice

        from scripted_models.errors import InputError

        try:
            check_choice(self.nodes(parameters))
        except InputError as error:
            return str(error)
        return ""

    def nodes(self, parameters) -> dict:
        """Return the chosen volumes by modality."""
        return {modality: getattr(parameters, modality) for modality in MODALITIES}

    def startJob(self, parameters):
        """Start a run that is polled; see BrainTumorSegLib.logic.SegmentationJob."""
        from BrainTumorSegLib.logic import SegmentationJob

        job = SegmentationJob(
            self.nodes(parameters),
            scene=slicer.mrmlScene,
            device=parameters.device,
            target=parameters.segmentation,
        )
        job.start()
        return job

    def segment(self, t1, t1c, t2, flair, **options):
        """Segment four volume nodes, wait, and return the segmentation node.

        Options are those of BrainTumorSegLib.logic.segment: device, model, target, on_event, ...
        """
        from BrainTumorSegLib.logic import segment

        nodes = {"t1": t1, "t1c": t1c, "t2": t2, "flair": flair}
        return segment(nodes, scene=slicer.mrmlScene, **options)


class BrainTumorSegTest(ScriptedLoadableModuleTest):
    """Self test for 'Reload and Test'; the network runs only where torch is installed."""

    def setUp(self) -> None:
        """Start with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all tests."""
        self.setUp()
        self.test_segmentsKeepTheirVoxels()
        self.setUp()
        self.test_phantomIsSegmented()

    def test_segmentsKeepTheirVoxels(self) -> None:
        """A known label map becomes four segments with the same number of voxels."""
        from BrainTumorSegLib.result import import_segmentation
        from BrainTumorSegLib.segments import SEGMENTS

        phantom, volumes = self._phantomVolumes()
        node = import_segmentation(
            slicer.mrmlScene, phantom.labels, phantom.grid, "Phantom", volumes["t1c"]
        )
        for entry in SEGMENTS:
            array = slicer.util.arrayFromSegmentBinaryLabelmap(node, entry.segment_id)
            assert int(array.sum()) == int((phantom.labels == entry.labels[0]).sum())

    def test_phantomIsSegmented(self) -> None:
        """The whole path, with the network."""
        if importlib.util.find_spec("torch") is None or importlib.util.find_spec("monai") is None:
            self.delayDisplay(_("torch or MONAI is not installed: the network was not run."))
            return
        _phantom, volumes = self._phantomVolumes()
        node = BrainTumorSegLogic().segment(**volumes, device="cpu")
        assert node.GetSegmentation().GetNumberOfSegments() == 4

    def _phantomVolumes(self):
        from BrainTumorSegLib.resampling import ras_matrix

        from scripted_models.phantom.case import make_phantom

        phantom = make_phantom(1, (48, 48, 32))
        matrix = slicer.util.vtkMatrixFromArray(ras_matrix(phantom.grid))
        volumes = {}
        for modality, array in phantom.volumes.items():
            volumes[modality] = slicer.util.addVolumeFromArray(array, name=modality)
            volumes[modality].SetIJKToRASMatrix(matrix)
        return phantom, volumes
