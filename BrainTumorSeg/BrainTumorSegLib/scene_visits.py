"""The segmentations in a scene as visits of a patient: which may be compared, and why not."""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripted_models.follow_up.visit_table import told_of
from scripted_models.labels import LABELS, TUMOR_LABELS

from .origins import patient_of, study_of
from .resampling import parent_matrix
from .segment_masks import segments_by_label
from .segmentation_node import BINARY
from .segments import SEGMENTS
from .slicer_types import Scene, SegmentationNode, VolumeNode
from .translation import _
from .visit_words import VisitDate, VisitWords, date_of, words_of
from .words import listed

REGISTERED = "BrainTumorSeg.Registered"  # attribute: made by a follow-up, and no visit itself
LEAST_VISITS = 2


@dataclass(frozen=True, eq=False)
class SceneVisit:
    """A segmentation as a visit.

    Attributes:
        node: vtkMRMLSegmentationNode.
        volume: what it was drawn on, which is registered; None where that is not known.
        when: the date.
        words: what the user said of it.
        known: internal labels that it has a segment for; 0 is the first.
        patient: the same for all visits of a patient; empty where that is not known.
        place: study of the segmentation, as the user reads it; may be empty.
        problem: why it cannot be chosen; empty when it can.
        chosen: it is to be compared.
    """

    node: SegmentationNode
    volume: VolumeNode
    when: VisitDate
    words: VisitWords
    known: tuple[int, ...]
    patient: str = ""
    place: str = ""
    problem: str = ""
    chosen: bool = False

    @property
    def date(self) -> str:
        """The date as it is written; empty where it is not known."""
        return self.when.day.isoformat() if self.when.day else ""

    @property
    def notes(self) -> list[str]:
        """Sentences about it: where the date is from, what is missing."""
        expected = (entry for entry in SEGMENTS if entry.labels[0] in TUMOR_LABELS)
        missing = [entry.name for entry in expected if entry.labels[0] not in self.known]
        said = [self.place, self.when.doubt]
        if self.when.day:
            source = _("The date is typed.") if self.when.source == "typed" else ""
            origin = _("The date is that of {source}.").format(
                source=_("DICOM") if self.when.source == "DICOM" else _("a name")
            )
            said.append(source or origin)
        if self.volume is None:
            said.append(_("It has no volume; it is taken to lie where the scene shows it."))
        if missing:
            words = _("Without the segment {names}; regions that need it are left out.")
            said.append(words.format(names=listed(missing)))
        return [sentence for sentence in said if sentence]


def scene_visits(scene: Scene) -> list[SceneVisit]:
    """Return the segmentations with segments of this module, by date, those without one last."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    nodes = (scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode") for index in range(count))
    visits = [
        _visit(node, labels)
        for node in nodes
        if not node.GetHideFromEditors()
        and not node.GetAttribute(REGISTERED)
        and (labels := segments_by_label(node))
    ]
    visits.sort(key=lambda visit: visit.when.day or datetime.date.max)
    return _chosen(visits)


def reference_volume(node: SegmentationNode) -> VolumeNode:
    """Return the volume that a segmentation was drawn on, None where the scene has none."""
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    has_voxels = volume is not None and volume.GetImageData() is not None
    return volume if has_voxels else None


def why_not(visits: Sequence[SceneVisit]) -> str:
    """Return why the chosen visits cannot be compared; empty when they can."""
    chosen = [visit for visit in visits if visit.chosen]
    if len(chosen) < LEAST_VISITS:
        return _("Choose at least two visits; each needs a date.")
    if twice := [day for day, count in Counter(v.date for v in chosen).items() if count > 1]:
        words = _("Several chosen segmentations are of {date}; choose one of them.")
        return words.format(date=listed(twice))
    if chosen[-1].words.baseline:
        return _("The last visit is the baseline; choose one that others follow.")
    for visit in chosen:
        words = visit.words
        try:
            told_of(words.steroids, words.clinical, words.confirmed)
        except ValueError as error:
            return f"{visit.date}: {error}"
    return ""


def patients_differ(visits: Sequence[SceneVisit]) -> bool:
    """Tell whether the chosen visits are of several patients, as far as the scene knows."""
    return len({visit.patient for visit in visits if visit.chosen and visit.patient}) > 1


def _visit(node: SegmentationNode, labels: dict[int, str]) -> SceneVisit:
    volume, words = reference_volume(node), words_of(node)
    known = tuple(label for label in LABELS if not label or label in labels)
    origin = patient_of(node) or (patient_of(volume) if volume is not None else None)
    study = study_of(node)
    when = date_of(node, volume, words.date)
    return SceneVisit(
        node=node,
        volume=volume,
        when=when,
        words=words,
        known=known,
        patient=origin.key if origin else "",
        place=", ".join(o.name for o in (origin, study) if o and o.name),
        problem=_problem(node, when),
    )


def _problem(node: SegmentationNode, when: VisitDate) -> str:
    if not node.GetSegmentation().ContainsRepresentation(BINARY):
        return _("It has surfaces only; create binary label maps in the module Segmentations.")
    if parent_matrix(node) is None:
        return _("A transform bends it; harden or remove the transform.")
    if when.day is None:
        return when.doubt or _("No date is known; type it, such as 2024-01-31.")
    return ""


def _chosen(visits: Sequence[SceneVisit]) -> list[SceneVisit]:
    """Choose what the user chose; else of each date the last one of the first patient."""
    usable = [visit for visit in visits if not visit.problem]
    patient = next((visit.patient for visit in usable if visit.patient), "")
    last = {visit.date: visit for visit in usable if visit.patient in ("", patient)}
    said = {v.date for v in usable if v.words.chosen == "yes"}
    found = []
    for visit in visits:
        proposed = last.get(visit.date) is visit and visit.date not in said
        chosen = visit.words.chosen == "yes" or (not visit.words.chosen and proposed)
        found.append(replace(visit, chosen=chosen and not visit.problem))
    return found
