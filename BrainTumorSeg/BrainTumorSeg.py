"""The Slicer module BrainTumorSeg: four MRI volumes in, a segmentation of the glioma out.

The panel only; files, child process and scene are in BrainTumorSegLib.
"""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from BrainTumorSegLib.logic import SegmentationJob
    from BrainTumorSegLib.model_list import ModelEntry
    from BrainTumorSegLib.slicer_types import (
        Parameters,
        SegmentationNode,
        VolumeNode,
        VtkObject,
        Widget,
    )

    from scripted_models.cases.phantom.phantom_case import Phantom

DOCUMENTATION = "https://github.com/BrainTumorSeg/SlicerBrainTumorSeg#in-3d-slicer"
TERMINOLOGY_FILE = (
    Path(__file__).parent / "Resources" / "SegmentationCategoryTypeModifier-BrainTumorSeg.term.json"
)


class BrainTumorSeg(ScriptedLoadableModule):
    """Name, category and help of the module."""

    def __init__(self, parent: "Widget"):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Brain Tumor Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["BrainTumorSeg contributors"]
        self.parent.helpText = _(
            "Segments a glioma in four MRI sequences of one patient. "
            "T1, T1 with contrast, T2 and FLAIR go in, as they come from the scanner or prepared. "
            "Necrosis, edema, non-enhancing and enhancing tumor come out. "
            "For research, not for clinical use. The networks were trained on BraTS data: "
            "research only, in part under CC BY-NC-SA 3.0."
        ) + _('<p>See the <a href="{url}">documentation</a>.</p>').format(url=DOCUMENTATION)
        self.parent.acknowledgementText = _(
            "The networks follow M. Havaei et al., Brain tumor segmentation with deep neural "
            "networks, Medical Image Analysis 35, 2017, doi 10.1016/j.media.2016.05.004."
        )
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted() -> None:
    """Make names, codes, colors of the segments and the sample patient known; follow edits."""
    slicer.modules.terminologies.logic().LoadTerminologyFromFile(str(TERMINOLOGY_FILE))
    from BrainTumorSegLib.algorithm_tags import follow_scenes
    from BrainTumorSegLib.result_views import register_layout
    from BrainTumorSegLib.sample_data import register

    register()
    register_layout()
    follow_scenes(slicer.mrmlScene)


class BrainTumorSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; its sections are in BrainTumorSegLib.panel."""

    def __init__(self, parent: "Widget" = None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: BrainTumorSegLogic | None = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None
        self._sections: tuple[Any, ...] = ()

    def setup(self) -> None:
        """Build the panel; called once, when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        from BrainTumorSegLib import panel

        uiWidget = slicer.util.loadUI(self.resourcePath("UI/BrainTumorSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BrainTumorSegLogic()
        messages = panel.Messages(self.ui)
        self.inputs = panel.InputSection(self.ui, self.onFindings)
        asked = (self.inputs.problems, self.inputs.needsExtraction)
        self.run = panel.RunSection(self.ui, messages, self.logic, *asked, self.onDone)
        self.models = panel.ModelSection(self.ui, messages, self.onModel)
        self.review = panel.ReviewSection(self.ui, messages)
        self.result = panel.ResultSection(self.ui, messages, self.review.startOver)
        self.cases = panel.CasesSection(self.ui, messages, self.logic, self.models.refresh)
        self.batch = panel.BatchSection(self.ui, messages, self.run, self.onDone)
        self.follow = panel.FollowSection(self.ui, messages, self.logic)
        shown = (self.models, self.inputs, self.run, self.result, self.review, self.cases)
        self._sections = (*shown, self.batch, self.follow)
        scene = slicer.mrmlScene
        for event, reaction in (
            (scene.StartCloseEvent, self.onSceneStartClose),
            (scene.EndCloseEvent, self.onSceneEndChange),
            (scene.StartImportEvent, self.onSceneStartImport),
            (scene.EndImportEvent, self.onSceneEndChange),
            (scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved),
        ):
            self.addObserver(scene, event, reaction)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """End what runs; called when the module is unloaded and when Slicer exits."""
        if self._sections:
            shown = self.result, self.review, self.cases
            for section in (self.run, self.batch, self.follow, *shown):
                section.close()
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

    def onSceneStartClose(self, caller: "VtkObject", event: "VtkObject") -> None:
        """End the run: its volumes are about to vanish."""
        self.run.onSceneClosed()
        self.batch.onSceneClosed()
        self.follow.onSceneClosed()
        self.onSceneStartImport(caller, event)

    def onSceneStartImport(self, caller: "VtkObject", event: "VtkObject") -> None:
        """Let go of the parameters: those of the file take their place, and then their nodes."""
        self.setParameterNode(None)
        self.inputs.forget()
        self.result.forget()
        self.review.forget()

    def onSceneEndChange(self, caller: "VtkObject", event: "VtkObject") -> None:
        """Go on with the emptied scene, or with what was read."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(
        self, caller: "VtkObject", event: "VtkObject", node: "VtkObject"
    ) -> None:
        """Empty the slots of a node before selectors choose its neighbor for them."""
        from BrainTumorSegLib.parameters import forget_node

        if self._parameterNode is not None:
            forget_node(self._parameterNode, node)

    def initializeParameterNode(self) -> None:
        """Connect the panel to the parameters of the scene."""
        if self.logic is not None:
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node: "Parameters | None") -> None:
        """Connect the panel to a parameter node, or to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self._parameterNode = node
        if node is not None:
            widgets = self._widgetsOfParameters()
            self._parameterNodeGuiTag = self._parameterNode.connectParametersToGui(widgets)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onModified)
        for section in self._sections:
            section.setParameterNode(node)

    def _widgetsOfParameters(self) -> "dict[str, Widget]":
        """Return the widgets by the parameter that the .ui file names.

        connectGui would find them, too, but some versions of Slicer give no tag to disconnect with.
        """
        named = {
            widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()
        }
        return {name: widget for name, widget in named.items() if name}

    def onModified(self, caller: "VtkObject" = None, event: "VtkObject" = None) -> None:
        """Another segmentation may have been chosen."""
        self.result.refresh()
        self.review.refresh()
        self.cases.refresh()

    def onModel(self, entry: "ModelEntry") -> None:
        """Check the volumes against what the chosen model expects."""
        self.inputs.setModel(entry)
        self.batch.setModel(entry)

    def onFindings(self) -> None:
        """A run may have become possible, or impossible, and volumes of a result be gone."""
        self.run.updateButton()
        self.review.refresh()
        self.cases.refresh()

    def onDone(self, segmentation: "SegmentationNode") -> None:
        """Show the new segmentation and its measurements, also when another module is open."""
        from BrainTumorSegLib.result_views import show_result

        parameters = BrainTumorSegLogic().getParameterNode()
        parameters.segmentation = segmentation
        self.result.measure(parameters)
        self.review.startOver()
        if self.parent.isEntered:
            show_result(segmentation)


class BrainTumorSegLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts."""

    def getParameterNode(self) -> "Parameters":
        """Return the typed parameters of the scene."""
        from BrainTumorSegLib.parameters import parameters_of

        return parameters_of(super().getParameterNode())

    def ensureDependencies(self, brainExtraction: bool = False) -> None:
        """Have the networks' terms accepted, once, and install what is needed, after a question.

        Args:
            brainExtraction: also what strips skulls.

        Raises:
            scripted_models.errors.Cancelled: the user said no.
            scripted_models.errors.ResourceError: it cannot be installed.
        """
        from BrainTumorSegLib.first_use import prepare_use

        prepare_use(brainExtraction)

    def startJob(self, parameters: "Parameters") -> "SegmentationJob":
        """Start a run of the panel's parameters that is polled; see SegmentationJob."""
        from BrainTumorSegLib.parameters import run_settings

        return self.segment(
            parameters.t1,
            parameters.t1c,
            parameters.t2,
            parameters.flair,
            waitForCompletion=False,
            target=parameters.segmentation,
            **run_settings(parameters),
        )

    def segment(
        self,
        t1: "VolumeNode",
        t1c: "VolumeNode",
        t2: "VolumeNode",
        flair: "VolumeNode",
        waitForCompletion: bool = True,
        **others: Any,
    ) -> Any:
        """Segment four volume nodes.

        Args:
            t1, t1c, t2, flair: vtkMRMLScalarVolumeNode; the result lies on the grid of T1c.
                Raw ones are stripped, registered and resampled, unless prepare=False says not to.
            waitForCompletion: wait for the segmentation node, or return at once.
            others: what SegmentationJob takes (prepare, model, device, target, options, ...). A run
                that is waited for also takes on_event and cancelled.

        Returns:
            The segmentation node, or the started BrainTumorSegLib.logic.SegmentationJob. Call its
            poll() until it has an outcome, and then its finish().

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
        for entry in SEGMENTS[:4]:  # a phantom has no resection cavity
            array = slicer.util.arrayFromSegmentBinaryLabelmap(node, entry.segment_id)
            assert int(array.sum()) == int((phantom.labels == entry.labels[0]).sum())

    def test_phantomIsSegmented(self) -> None:
        """The whole path, with the faster of the shipped networks."""
        if importlib.util.find_spec("torch") is None or importlib.util.find_spec("monai") is None:
            self.delayDisplay(_("PyTorch or MONAI is not installed; the network was not run."))
            return
        _phantom, volumes = self._phantomVolumes()
        self.delayDisplay(_("A phantom is segmented; this takes some seconds."))
        node = BrainTumorSegLogic().segment(
            **volumes, device="cpu", model="fast", on_event=lambda _: slicer.app.processEvents()
        )
        assert node.GetSegmentation().GetNumberOfSegments() == 4

    def _phantomVolumes(self) -> "tuple[Phantom, dict[str, VolumeNode]]":
        from BrainTumorSegLib.sample_data import add_phantom

        from scripted_models.cases.phantom.phantom_case import make_phantom

        seed, size = 1, (48, 48, 32)
        nodes = add_phantom(slicer.mrmlScene, seed, size)
        return make_phantom(seed, size), dict(zip(("t1", "t1c", "t2", "flair"), nodes, strict=True))
