"""The Slicer module BrainTumorSeg: four MRI volumes in, a segmentation of the glioma out.

The panel only; files, child process and scene are in BrainTumorSegLib.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

DOCUMENTATION = "https://github.com/BrainTumorSeg/SlicerBrainTumorSeg#in-3d-slicer"
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
            "contrast, T2, FLAIR) into necrosis, edema, non-enhancing and enhancing tumor. "
            "For research, not for clinical use."
        ) + _('<p>See the <a href="{url}">documentation</a>.</p>').format(url=DOCUMENTATION)
        self.parent.acknowledgementText = _(
            "The default network follows M. Havaei et al., Brain tumor segmentation with deep neural "
            "networks, Medical Image Analysis 35, 2017."
        )
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted() -> None:
    """Make names, codes and colors of the segments known to Slicer, and the sample patient."""
    slicer.modules.terminologies.logic().LoadTerminologyFromFile(str(TERMINOLOGY_FILE))
    from BrainTumorSegLib.sample_data import register

    register()


@parameterNodeWrapper
class BrainTumorSegParameterNode:
    """What is chosen in the panel; saved with the scene.

    Attributes:
        t1: T1-weighted volume.
        t1c: T1-weighted volume with contrast agent; the result lies on its grid.
        t2: T2-weighted volume.
        flair: FLAIR volume.
        segmentation: segmentation to fill; a new one is made when there is none.
        table: measurements of the segmentation.
        model: name of the model.
        device: where the network runs.
        regions: add complete tumor, core and enhancing region as segments.
        probabilities: add probability volumes.
        surface: make a closed surface.
        smoothing: of the surface, 0-1.
    """

    t1: vtkMRMLScalarVolumeNode
    t1c: vtkMRMLScalarVolumeNode
    t2: vtkMRMLScalarVolumeNode
    flair: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    table: vtkMRMLTableNode
    model: str = "default"
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    regions: bool = False
    probabilities: bool = False
    surface: bool = False
    smoothing: Annotated[float, WithinRange(0, 1)] = 0.5


class BrainTumorSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; its sections are in BrainTumorSegLib.panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._sections = ()

    def setup(self) -> None:
        """Build the panel; called once, when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        from BrainTumorSegLib.panel.input_section import InputSection
        from BrainTumorSegLib.panel.model_section import ModelSection
        from BrainTumorSegLib.panel.result_section import ResultSection
        from BrainTumorSegLib.panel.run_section import RunSection

        uiWidget = slicer.util.loadUI(self.resourcePath("UI/BrainTumorSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BrainTumorSegLogic()
        self.inputs = InputSection(self.ui, lambda: self.run.updateButton())
        self.run = RunSection(self.ui, self.logic, self.inputs.problems, self.onDone)
        self.models = ModelSection(self.ui, self.onModel)
        self.result = ResultSection(self.ui)
        self._sections = (self.models, self.inputs, self.run, self.result)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """End a running segmentation; called when the module is unloaded and when Slicer exits."""
        if self._sections:
            self.run.close()
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
        self.cleanup()
        for name in [name for name in sys.modules if name.split(".")[0] == "BrainTumorSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event) -> None:
        """End the run: its volumes are about to vanish."""
        self.run.close()
        self.setParameterNode(None)
        self.inputs.forget()

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
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self._parameterNode = node
        if node is not None:
            self._parameterNodeGuiTag = node.connectParametersToGui(self._widgetsOfParameters())
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onModified)
        for section in self._sections:
            section.setParameterNode(node)

    def _widgetsOfParameters(self) -> dict:
        """Return the widgets by the parameter that the .ui file names.

        connectGui would find them, too, but some versions of Slicer give no tag to disconnect with.
        """
        named = {
            widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()
        }
        return {name: widget for name, widget in named.items() if name}

    def onModified(self, caller=None, event=None) -> None:
        """Another segmentation may have been chosen."""
        self.result.refresh()

    def onModel(self, entry) -> None:
        """Check the volumes against what the chosen model expects."""
        self.inputs.setModel(entry)

    def onDone(self, segmentation) -> None:
        """Show the new segmentation and its measurements, also when another module is open."""
        self.logic.getParameterNode().segmentation = segmentation
        self.result.measure(self.logic.getParameterNode())


class BrainTumorSegLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts."""

    def getParameterNode(self):
        """Return the typed parameters of the scene."""
        return BrainTumorSegParameterNode(super().getParameterNode())

    def ensureDependencies(self) -> None:
        """Install what the segmentation program needs, after a question.

        Raises:
            scripted_models.errors.Cancelled: the user said no.
            scripted_models.errors.ResourceError: it cannot be installed; the text says what to do.
        """
        from BrainTumorSegLib.dependencies import ensure
        from BrainTumorSegLib.slicer_installer import SlicerInstaller

        ensure(SlicerInstaller())

    def startJob(self, parameters):
        """Start a run of the panel's parameters that is polled; see SegmentationJob."""
        from BrainTumorSegLib.result_import import ResultOptions

        return self.segment(
            parameters.t1,
            parameters.t1c,
            parameters.t2,
            parameters.flair,
            waitForCompletion=False,
            model=parameters.model,
            device=parameters.device,
            target=parameters.segmentation,
            options=ResultOptions(
                parameters.regions,
                parameters.probabilities,
                parameters.smoothing if parameters.surface else None,
            ),
        )

    def segment(self, t1, t1c, t2, flair, waitForCompletion=True, **others):
        """Segment four volume nodes.

        Args:
            t1, t1c, t2, flair: vtkMRMLScalarVolumeNode; the result lies on the grid of T1c.
            waitForCompletion: wait and return the segmentation node; else return the started
                BrainTumorSegLib.logic.SegmentationJob, whose poll() is called until it has an outcome,
                and then finish().
            others: what SegmentationJob takes (model, device, target, options, ...) and, when waited
                for, on_event and cancelled.

        Raises:
            scripted_models.errors.ScriptedModelsError: the run failed; the scene is as it was.
        """
        from BrainTumorSegLib.logic import SegmentationJob, segment

        nodes = {"t1": t1, "t1c": t1c, "t2": t2, "flair": flair}
        if waitForCompletion:
            return segment(nodes, scene=slicer.mrmlScene, **others)
        job = SegmentationJob(nodes, scene=slicer.mrmlScene, **others)
        job.start()
        return job


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
        from BrainTumorSegLib.result_import import import_segmentation
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

        from scripted_models.cases.phantom.phantom_case import make_phantom

        phantom = make_phantom(1, (48, 48, 32))
        matrix = slicer.util.vtkMatrixFromArray(ras_matrix(phantom.grid))
        volumes = {}
        for sequence, array in phantom.volumes.items():
            volumes[sequence] = slicer.util.addVolumeFromArray(array, name=sequence)
            volumes[sequence].SetIJKToRASMatrix(matrix)
        return phantom, volumes
