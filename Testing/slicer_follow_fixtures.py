"""Visits in a scene: heads with balls of tumor, their segmentations, studies with dates."""

import slicer
from follow_fixtures import balls, head
from slicer_fixtures import add_volume

from scripted_models.geometry import Grid

GRID = Grid((44, 50, 34), (2.2, 2.2, 2.8), (-48.0, -54.0, -46.0))
LEFT, RIGHT = (18.0, -8.0, 4.0), (-20.0, 10.0, -6.0)
VISITS = (  # date, radii of two balls
    ("20240110", (9.0, 0.0)),
    ("20240310", (11.0, 0.0)),
    ("20240601", (13.0, 8.0)),
)


def add_visit(mrml, day="", radii=(9.0, 0.0), motion=None, name="Miller T1c", patient="Miller"):
    """Add a head with balls of tumor and its segmentation, in a study of DICOM if it has a day."""
    from BrainTumorSegLib.resampling import ras_matrix
    from BrainTumorSegLib.result_import import import_segmentation

    found = [(c, r) for c, r in zip((LEFT, RIGHT), radii, strict=True) if r]
    labels = balls(GRID, *found, motion=motion)
    volume = add_volume(mrml, name, head(GRID, motion), ras_matrix(GRID))
    if day:
        put_into_study(mrml, volume, day, patient)
    return import_segmentation(mrml, labels, GRID, f"{name} tumor", volume)


def put_into_study(mrml, volume, day, patient):
    """Put a volume into a study of a day, as the DICOM module does."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    root = hierarchy.GetSceneItemID()
    item = hierarchy.GetItemChildWithName(root, patient)
    item = item or hierarchy.CreateSubjectItem(root, patient)
    study = hierarchy.CreateStudyItem(item, "MR")
    hierarchy.SetItemAttribute(study, "DICOM.StudyDate", day)
    hierarchy.CreateItem(study, volume)


def state_of(mrml):
    """What of the user's nodes must stay: voxels, names, places, segments."""
    import slicer.util

    found = {}
    for node in mrml.GetNodesByClass("vtkMRMLScalarVolumeNode"):
        array = slicer.util.arrayFromVolume(node)
        found[node.GetID()] = node.GetName(), node.GetTransformNodeID(), array.tobytes()
    for node in mrml.GetNodesByClass("vtkMRMLSegmentationNode"):
        held = node.GetSegmentation()
        segments = [(i, held.GetSegment(i).GetName()) for i in held.GetSegmentIDs()]
        found[node.GetID()] = node.GetName(), node.GetTransformNodeID(), segments
    return found
