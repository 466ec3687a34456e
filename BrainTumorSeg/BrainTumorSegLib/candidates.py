"""Volumes of the scene that may be T1, T1c, T2 and FLAIR, and a proposal which is which."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import slicer
import slicer.util

from scripted_models.cases.sequence_assignment import Candidate, Guess, assign_sequences

from .origins import group_of
from .slicer_types import Scene, SubjectHierarchy, VolumeNode
from .translation import _
from .words import translated

OWN_PREFIX = "BrainTumorSeg."  # attributes of nodes that this module made
_SERIES_DESCRIPTION = "0008,103e"


@dataclass(frozen=True)
class SlotGuess:
    """The proposal for one sequence.

    Attributes:
        node: vtkMRMLScalarVolumeNode, None when none is clear.
        confidence: 'sure', 'likely' or ''.
        reason: one sentence for the user.
    """

    node: VolumeNode
    confidence: str
    reason: str


def detect(scene: Scene, chosen: Iterable[VolumeNode] = ()) -> dict[str, SlotGuess]:
    """Propose a volume node for each of 't1', 't1c', 't2', 'flair'.

    Voxels are read only where names leave doubt.

    Args:
        scene: vtkMRMLScene.
        chosen: volume nodes that are chosen already; where all are of one study, the others are
            looked for in this study alone.
    """
    groups = {group_of(node) for node in chosen} - {""}
    candidates = volume_candidates(scene)
    if len(groups) == 1:
        candidates = [candidate for candidate in candidates if candidate.group in groups]
    return guess_slots(scene, candidates)


def guess_slots(scene: Scene, candidates: Iterable[Candidate[str]]) -> dict[str, SlotGuess]:
    """Propose one of the candidates, or none, for each of 't1', 't1c', 't2', 'flair'."""
    guesses = assign_sequences(candidates)
    return {
        sequence: SlotGuess(
            scene.GetNodeByID(guess.key) if guess.key else None, guess.confidence, _reason(guess)
        )
        for sequence, guess in guesses.items()
    }


def _reason(guess: Guess[str]) -> str:
    why, action = translated(guess.why), translated(guess.action)
    why = why[:1].upper() + why[1:]
    if action:
        return _("{why}; {action}.").format(why=why, action=action)
    return _("{why}.").format(why=why)


def volume_candidates(scene: Scene) -> list[Candidate[str]]:
    """List the visible gray-value volumes of a scene with voxels; the key is the node's ID.

    Left out are label maps, vector and diffusion volumes, and what this module made. So is what the
    subject hierarchy knows as another DICOM modality than MR.
    """
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    found = []
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if _is_image(node) and _modality(hierarchy, item) in ("", "MR"):
            found.append(
                Candidate(
                    node.GetID(),
                    node.GetName() or "",
                    _description(node),
                    group_of(node),
                    partial(slicer.util.arrayFromVolume, node),
                )
            )
    return found


def _is_image(node: VolumeNode) -> bool:
    image = node.GetImageData()
    return (
        node.GetClassName() == "vtkMRMLScalarVolumeNode"  # label maps and diffusion are subclasses
        and not node.GetHideFromEditors()
        and image is not None
        and image.GetNumberOfPoints() > 0
        and image.GetNumberOfScalarComponents() == 1
        and not any(name.startswith(OWN_PREFIX) for name in node.GetAttributeNames())
    )


def _modality(hierarchy: SubjectHierarchy, item: int) -> str:
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return (hierarchy.GetItemAttribute(item, name) if item else "") or ""


def _description(node: VolumeNode) -> str:
    """Return what the scanner called the series, where the DICOM database knows it.

    It stays the same when the user renames the node.
    """
    database = getattr(slicer, "dicomDatabase", None)
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not instances:
        return ""
    file = database.fileForInstance(instances[0])
    return (database.fileValue(file, _SERIES_DESCRIPTION) if file else "") or ""
