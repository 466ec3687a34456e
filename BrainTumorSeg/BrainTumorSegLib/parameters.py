"""What is chosen in the panel, as typed parameters that are saved with the scene."""

from typing import Annotated, Any

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from scripted_models.sequences import SEQUENCES

from .result_import import ResultOptions

NODES = (*SEQUENCES, "segmentation", "table", "follow_up")  # the parameters that are nodes


@parameterNodeWrapper
class BrainTumorSegParameterNode:
    """The parameters.

    Attributes:
        t1: T1-weighted volume.
        t1c: T1-weighted volume with contrast agent; the result lies on its grid.
        t2: T2-weighted volume.
        flair: FLAIR volume.
        emptied: sequences whose slot the user emptied, so that it is not filled again.
        segmentation: segmentation to fill; a new one is made when there is none.
        table: measurements of the segmentation.
        model: name of the model.
        device: where the network runs.
        prepare: strip, register and resample volumes that need it.
        prepared: add transforms, brain mask and prepared volumes to the scene.
        diameters: show the two diameters of measurable lesions as lines.
        necrosis: diameters may cross it.
        regions: add whole tumor, tumor core and enhancing tumor region as segments.
        probabilities: add probability volumes.
        uncertainty: add a volume of the uncertainty.
        surface: make a closed surface.
        smoothing: of the surface, 0-1.
        follow_up: comparison of visits.
        lesions_of: region of its lesions: 'auto', 'ET' or 'WT'.
        radiotherapy: date when it ended; may be empty.
        registered: add what was compared as one segmentation, registered.
    """

    t1: vtkMRMLScalarVolumeNode
    t1c: vtkMRMLScalarVolumeNode
    t2: vtkMRMLScalarVolumeNode
    flair: vtkMRMLScalarVolumeNode
    emptied: str = ""
    segmentation: vtkMRMLSegmentationNode
    table: vtkMRMLTableNode
    model: str = "default"
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    prepare: bool = True
    prepared: bool = False
    diameters: bool = True
    necrosis: bool = False
    regions: bool = False
    probabilities: bool = False
    uncertainty: bool = True
    surface: bool = False
    smoothing: Annotated[float, WithinRange(0, 1)] = 0.5
    follow_up: vtkMRMLTableNode
    lesions_of: str = "auto"
    radiotherapy: str = ""
    registered: bool = False


def parameters_of(node: Any) -> Any:
    """Return the parameters that a vtkMRMLScriptedModuleNode keeps; made anew by every call.

    The wrapper remembers nodes. One that is older than an import has missed those that came later.
    """
    wrapper: Any = BrainTumorSegParameterNode  # made over by its decorator
    return wrapper(node)


def run_settings(parameters: Any) -> dict[str, Any]:
    """Return what `SegmentationJob` takes besides volumes and target, as it is chosen now."""
    options = ResultOptions(
        parameters.regions,
        parameters.probabilities,
        parameters.smoothing if parameters.surface else None,
        parameters.prepared,
        parameters.uncertainty,
    )
    return {
        "model": parameters.model,
        "device": parameters.device,
        "prepare": parameters.prepare,
        "options": options,
    }


def forget_node(parameters: Any, node: object) -> None:
    """Empty the parameters that are a node which is about to leave the scene.

    Slicer's selectors would choose its neighbor in the list otherwise.
    """
    for name in NODES:
        if getattr(parameters, name) is node:
            setattr(parameters, name, None)
