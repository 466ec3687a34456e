"""A visit that is not read yet: where it lies, when it was, and what the user says about it."""

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.labels import LabelCoding

CLINICAL = ("better", "stable", "worse")


@dataclass(frozen=True)
class Moment:
    """When a visit was.

    Attributes:
        date: None where only a day is known.
        day: counted from any start, the same for all visits; of visits with dates from the first.
        source: what told it: 'table', 'option', 'report', 'DICOM' or 'name'; empty: nothing did.
        doubt: a sentence where two sources disagree.
    """

    date: datetime.date | None = None
    day: int | None = None
    source: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Told:
    """What the program cannot know of a visit.

    Attributes:
        steroids_mg: dexamethasone or its equivalent, mg a day; None: not told.
        clinical: 'better', 'stable' or 'worse' than before; empty: not told.
        confirmed: whether another scan or a biopsy confirmed what the visit shows; None: not told.
    """

    steroids_mg: float | None = None
    clinical: str = ""
    confirmed: bool | None = None


@dataclass(frozen=True)
class VisitSource:
    """One visit that is not read yet.

    Attributes:
        name: as people know it; unique.
        place: folder or label map that was named.
        folder: result of `segment`; None where there is a case or a label map instead.
        case: to be segmented first.
        segmentation: label map.
        coding: of the label map; None where its file states it, or else the internal labels.
        image: volume in the space of the label map, for the registration.
        moment: when it was.
        told: what the user says about it.
    """

    name: str
    place: Path
    folder: Path | None = None
    case: Case | None = None
    segmentation: Path | None = None
    coding: LabelCoding | None = None
    image: Path | None = None
    moment: Moment = field(default_factory=Moment)
    told: Told = field(default_factory=Told)
