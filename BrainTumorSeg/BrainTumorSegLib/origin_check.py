"""Which patient, study and DICOM frame of reference the chosen volumes come from."""

from collections.abc import Callable, Iterator

import slicer

from scripted_models.images.checks import WARNING, Finding

from .findings import label
from .origins import Origin, hierarchy_item, instance_value, patient_of, study_of
from .slicer_types import VolumeNode, VolumeNodes
from .translation import _
from .words import listed

FRAME_OF_REFERENCE = "0020,0052"


def origin_findings(nodes: VolumeNodes, registered: bool = False) -> Iterator[Finding]:
    """Yield what the scene knows of different patients, studies or DICOM frames of reference.

    Args:
        nodes: sequence -> volume node.
        registered: the volumes will be registered, so that their frames do not matter.
    """
    yield from _mixed(nodes)
    frames = _grouped(nodes, _frame_of_reference)
    if len(frames) > 1 and not registered:
        groups = listed([f"({listed(names)})" for names in frames.values()])
        found = _("volumes of different DICOM frames of reference: {groups}").format(groups=groups)
        action = _("check that they are registered, they are used where they lie in the world")
        yield Finding(found=found, action=action, severity=WARNING, slots=tuple(nodes))


def _mixed(nodes: VolumeNodes) -> Iterator[Finding]:
    """Yield that there is more than one patient, or more than one study of a patient."""
    patients, studies = _grouped(nodes, patient_of), _grouped(nodes, study_of)
    if len(patients) > 1:
        found = _("volumes of different patients: {groups}").format(groups=_quoted(patients))
        action = _("choose volumes of one patient, or they are used together")
    elif len(studies) > 1:
        found = _("volumes of different studies: {groups}").format(groups=_quoted(studies))
        action = _("choose volumes of one study, or they are used together")
    else:
        return
    yield Finding(found=found, action=action, severity=WARNING, slots=tuple(nodes))


def _quoted(groups: dict[Origin, list[str]]) -> str:
    return listed([f"'{origin.name}' ({listed(names)})" for origin, names in groups.items()])


def _grouped(
    nodes: VolumeNodes, origin: Callable[[VolumeNode], Origin | None]
) -> dict[Origin, list[str]]:
    groups: dict[str, tuple[Origin, list[str]]] = {}
    for sequence, node in nodes.items():
        if value := origin(node):
            groups.setdefault(value.key, (value, []))[1].append(label(node, sequence))
    return dict(groups.values())


def _frame_of_reference(node: VolumeNode) -> Origin | None:
    """Return the frame, by the subject hierarchy or the DICOM database."""
    hierarchy, item = hierarchy_item(node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMFrameOfReferenceUIDAttributeName()
    stated = hierarchy.GetItemAttribute(item, name) if item else ""
    uid = stated or instance_value(node, FRAME_OF_REFERENCE)
    return Origin(uid, uid) if uid else None
