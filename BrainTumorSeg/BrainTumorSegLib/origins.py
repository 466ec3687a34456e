"""Which patient, study and DICOM series a volume node comes from, as far as the scene knows."""

from dataclasses import dataclass

import slicer

from .slicer_types import SubjectHierarchy, VolumeNode

PATIENT_ID, STUDY_UID = "0010,0020", "0020,000d"


@dataclass(frozen=True)
class Origin:
    """A patient or a study.

    Attributes:
        key: the same for all volumes of it.
        name: what the user reads; no part of what makes two the same.
    """

    key: str
    name: str


def hierarchy_item(node: VolumeNode) -> tuple[SubjectHierarchy, int]:
    """Return the subject hierarchy and the node's item in it, 0 where there is none."""
    scene = node.GetScene()  # None when the volume was removed meanwhile
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") if scene else None
    return hierarchy, hierarchy.GetItemByDataNode(node) if hierarchy else 0


def patient_of(node: VolumeNode) -> Origin | None:
    """Return the patient of a volume, by the subject hierarchy or the DICOM database."""
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    return _above(node, level) or _stated(node, PATIENT_ID)


def study_of(node: VolumeNode) -> Origin | None:
    """Return the study of a volume, by the subject hierarchy or the DICOM database."""
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelStudy()
    return _above(node, level) or _stated(node, STUDY_UID)


def group_of(node: VolumeNode) -> str:
    """Return what the volumes of one study share, else those of one patient; "" when unknown."""
    origin = study_of(node) or patient_of(node)
    return origin.key if origin else ""


def instance_value(node: VolumeNode, tag: str) -> str:
    """Return the value of a DICOM element of a volume; "" when the database does not know it."""
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not instances or database is None:
        return ""
    return database.instanceValue(instances[0], tag) or ""


def _above(node: VolumeNode, level: str) -> Origin | None:
    hierarchy, item = hierarchy_item(node)
    above = hierarchy.GetItemAncestorAtLevel(item, level) if item else 0
    if not above:
        return None
    uid = hierarchy.GetItemUID(above, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName())
    return Origin(uid or f"item {above}", hierarchy.GetItemName(above))


def _stated(node: VolumeNode, tag: str) -> Origin | None:
    value = instance_value(node, tag)
    return Origin(value, value) if value else None
