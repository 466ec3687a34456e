"""What the user says of a visit, kept with its segmentation, and when the visit was."""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, timedelta

import slicer

from scripted_models.follow_up.visit_dates import date_in, parse_date

from .origins import hierarchy_item, instance_value
from .slicer_types import SegmentationNode, VolumeNode
from .translation import _

VISIT = "BrainTumorSeg.Visit"  # attribute of a segmentation node
TYPED, DICOM, NAME = "typed", "DICOM", "name"
_STUDY_DATE = "0008,0020"


@dataclass(frozen=True)
class VisitWords:
    """What the user says of a visit; empty where nothing was said.

    Attributes:
        date: typed, as 2024-01-31; empty: that of DICOM or of a name holds.
        chosen: 'yes' or 'no'.
        baseline: 'yes' where changes are judged from this visit on.
        steroids: mg of dexamethasone or its equivalent a day.
        clinical: 'better', 'stable' or 'worse'.
        confirmed: 'yes' or 'no'.
    """

    date: str = ""
    chosen: str = ""
    baseline: str = ""
    steroids: str = ""
    clinical: str = ""
    confirmed: str = ""


@dataclass(frozen=True)
class VisitDate:
    """When a visit was.

    Attributes:
        day: None where nothing tells it.
        source: ``TYPED``, ``DICOM``, ``NAME`` or ''.
        doubt: a sentence where sources disagree.
    """

    day: date | None = None
    source: str = ""
    doubt: str = ""


def words_of(node: SegmentationNode) -> VisitWords:
    """Return what the user said of the visit of a segmentation node."""
    try:
        told = json.loads(node.GetAttribute(VISIT) or "{}")
    except ValueError:
        return VisitWords()
    told = told if isinstance(told, dict) else {}
    return VisitWords(**{f.name: str(told.get(f.name, "")) for f in fields(VisitWords)})


def keep_words(node: SegmentationNode, words: VisitWords) -> None:
    """Keep what the user says of the visit of a segmentation node."""
    told = {name: value for name, value in asdict(words).items() if value}
    node.SetAttribute(VISIT, json.dumps(told) if told else None)


def keep_baseline(node: SegmentationNode, isBaseline: bool) -> None:
    """Keep whether changes are judged from this visit on."""
    words = words_of(node)
    wanted = "yes" if isBaseline else ""
    if words.baseline != wanted:
        keep_words(node, replace(words, baseline=wanted))


def forget_words(node: SegmentationNode) -> None:
    """Take away what was said of a former result, perhaps of another visit."""
    node.SetAttribute(VISIT, None)


def date_of(node: SegmentationNode, volume: VolumeNode, typed: str) -> VisitDate:
    """Return when the visit of a segmentation was.

    Args:
        node: vtkMRMLSegmentationNode.
        volume: its reference volume, or None.
        typed: by the user; it counts before DICOM, and DICOM before names.
    """
    told = parse_date(typed) if typed else None
    if told is not None:
        return VisitDate(told, TYPED)
    nodes = [item for item in (node, volume) if item is not None]
    acquired = next((day for item in nodes if (day := _study_date(item))), None)
    names = [text for item in nodes for text in (item.GetName() or "", _study_name(item))]
    named = {day for name in names if (day := date_in(name))}
    if acquired is not None:
        others = sorted(day for day in named if abs(day - acquired) > timedelta(days=1))
        doubt = ""
        if others:
            words = _("Its names say {named}, DICOM says {acquired}; that of DICOM is taken.")
            doubt = words.format(named=others[0].isoformat(), acquired=acquired.isoformat())
        return VisitDate(acquired, DICOM, doubt)
    if len(named) > 1:
        words = _("Its names tell different dates ({dates}); type the right one.")
        return VisitDate(doubt=words.format(dates=", ".join(map(str, sorted(named)))))
    return VisitDate(named.pop(), NAME) if named else VisitDate()


def _study_date(node: SegmentationNode) -> date | None:
    """Return the study date of DICOM, by the subject hierarchy or the database."""
    known = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy, study = _study(node)
    name = known.GetDICOMStudyDateAttributeName()
    told = hierarchy.GetItemAttribute(study, name) if study else ""
    return parse_date(told or instance_value(node, _STUDY_DATE))


def _study_name(node: SegmentationNode) -> str:
    hierarchy, study = _study(node)
    return (hierarchy.GetItemName(study) or "") if study else ""


def _study(node: SegmentationNode) -> tuple[SegmentationNode, int]:
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelStudy()
    hierarchy, item = hierarchy_item(node)
    return hierarchy, hierarchy.GetItemAncestorAtLevel(item, level) if item else 0
