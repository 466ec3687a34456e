"""Names for objects of Slicer, VTK and Qt, which come without type information."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

Scene: TypeAlias = Any  # vtkMRMLScene
Node: TypeAlias = Any  # vtkMRMLNode of any kind
VolumeNode: TypeAlias = Any  # vtkMRMLScalarVolumeNode
SegmentationNode: TypeAlias = Any  # vtkMRMLSegmentationNode
CompositeNode: TypeAlias = Any  # vtkMRMLSliceCompositeNode
TableNode: TypeAlias = Any  # vtkMRMLTableNode
LineNode: TypeAlias = Any  # vtkMRMLMarkupsLineNode
SubjectHierarchy: TypeAlias = Any  # vtkMRMLSubjectHierarchyNode, None in a scene without one
Segmentation: TypeAlias = Any  # vtkSegmentation
Segment: TypeAlias = Any  # vtkSegment
OrientedImage: TypeAlias = Any  # vtkOrientedImageData
ImageData: TypeAlias = Any  # vtkImageData
Transform: TypeAlias = Any  # vtkAbstractTransform
VtkObject: TypeAlias = Any  # what VTK hands to an observer
Widget: TypeAlias = Any  # QWidget
Ui: TypeAlias = Any  # the widgets of the .ui file as attributes

VolumeNodes: TypeAlias = Mapping[str, VolumeNode]  # "t1", "t1c", "t2", "flair" -> node or None


class Parameters(Protocol):
    """What is chosen in the panel; `BrainTumorSegParameterNode` explains the attributes."""

    t1: VolumeNode
    t1c: VolumeNode
    t2: VolumeNode
    flair: VolumeNode
    segmentation: SegmentationNode
    table: TableNode
    emptied: str
    model: str
    device: str
    prepare: bool
    prepared: bool
    diameters: bool
    necrosis: bool
    regions: bool
    probabilities: bool
    uncertainty: bool
    surface: bool
    smoothing: float
    follow_up: TableNode
    lesions_of: str
    radiotherapy: str
    registered: bool
