"""Which patient and which DICOM frame of reference the chosen volumes come from."""

from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

import slicer

from scripted_models.images.checks import WARNING, Finding

from .findings import label
from .slicer_types import SubjectHierarchy, VolumeNode, VolumeNodes
from .translation import _
from .words import listed

FRAME_OF_REFERENCE = "0020,0052"
Key = TypeVar("Key", bound=Hashable)


def origin_findings(nodes: VolumeNodes) -> Iterator[Finding]:
    """Yield what the scene knows of different patients or DICOM frames of reference."""
    patients = _grouped(nodes, _patient)
    if len(patients) > 1:
        groups = listed([f"'{who}' ({listed(names)})" for (item, who), names in patients.items()])
        found = _("volumes of different patients: {groups}").format(groups=groups)
        action = _("choose volumes of one patient, or they are used together")
        yield Finding(found=found, action=action, severity=WARNING, slots=tuple(nodes))
    frames = _grouped(nodes, _frame_of_reference)
    if len(frames) > 1:
        groups = listed([f"({listed(names)})" for names in frames.values()])
        found = _("volumes of different DICOM frames of reference: {groups}").format(groups=groups)
        action = _("check that they are registered, they are used where they lie in the world")
        yield Finding(found=found, action=action, severity=WARNING, slots=tuple(nodes))


def _grouped(nodes: VolumeNodes, key: Callable[[VolumeNode], Key | None]) -> dict[Key, list[str]]:
    groups: dict[Key, list[str]] = {}
    for sequence, node in nodes.items():
        if value := key(node):
            groups.setdefault(value, []).append(label(node, sequence))
    return groups


def _hierarchy_item(node: VolumeNode) -> tuple[SubjectHierarchy, int]:
    scene = node.GetScene()  # None when the volume was removed meanwhile
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") if scene else None
    return hierarchy, hierarchy.GetItemByDataNode(node) if hierarchy else 0


def _patient(node: VolumeNode) -> tuple[int, str] | None:
    hierarchy, item = _hierarchy_item(node)
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    patient = hierarchy.GetItemAncestorAtLevel(item, level) if item else 0
    return (patient, hierarchy.GetItemName(patient)) if patient else None


def _frame_of_reference(node: VolumeNode) -> str:
    """UID of the frame, from the subject hierarchy or the DICOM database; "" when not known."""
    hierarchy, item = _hierarchy_item(node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMFrameOfReferenceUIDAttributeName()
    stated = hierarchy.GetItemAttribute(item, name) if item else ""
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if stated or not instances or database is None:
        return stated
    return database.instanceValue(instances[0], FRAME_OF_REFERENCE)
