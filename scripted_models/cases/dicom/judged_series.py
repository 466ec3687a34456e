"""The series of one study: which are volumes of a sequence, and which are left out, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from scripted_models.cases.dicom.attributes import DicomImage
from scripted_models.cases.dicom.stacks import Stack, split_images, stack_slices
from scripted_models.cases.dicom.weighting import (
    attribute_words,
    has_agent,
    is_other_by_attributes,
)
from scripted_models.cases.name_words import DOUBTFUL
from scripted_models.cases.sequence_names import NameEvidence, read_name, read_names, settled
from scripted_models.errors import phrases
from scripted_models.images.dicom_series import DicomSeries, series_title

_ABOUT_CONTRAST = ("post", "c", "-c", "iv", "plus")  # words that an agent explains

_ = phrases(__name__)


@dataclass(frozen=True, eq=False)
class Series:
    """A series, or the part of one with its own echo or type of image.

    Attributes:
        image: one of its files, for what all of them say.
        stack: its slices.
        told: what description and attributes say of its sequence.
        words: of the attributes.
        why: why it is left out; "" where it is not.
        is_part: whether it is one of several volumes of a series, which share the description.
    """

    image: DicomImage
    stack: Stack
    told: NameEvidence = field(default_factory=NameEvidence)
    words: str = ""
    why: str = ""
    is_part: bool = False

    @property
    def name(self) -> str:
        """What the scanner called it."""
        own = self.image.description
        return own if _speaks(own) or not _speaks(self.image.protocol) else self.image.protocol

    @property
    def title(self) -> str:
        """Number and description, for sentences."""
        return series_title(self.image.number, self.image.description)

    @property
    def label(self) -> str:
        """Number and description, for quotes."""
        return f"series {self.image.number or '?'}: {self.name}".rstrip(": ")

    @property
    def path(self) -> Path:
        """Its first file."""
        return self.stack.frames[0].path if self.stack.frames else self.image.path

    @cached_property
    def volume(self) -> DicomSeries:
        """The volume to read."""
        frames, image = self.stack.frames, self.image
        if self.stack.grid is None:
            raise ValueError(f"{self.title} is no volume: {self.stack.why}")
        many = frames[0].index is not None
        return DicomSeries(
            files=(frames[0].path,) if many else tuple(frame.path for frame in frames),
            grid=self.stack.grid,
            frames=tuple(frame.index or 0 for frame in frames) if many else (),
            uid=image.series_uid,
            number=image.number,
            description=image.description,
            study_uid=image.study_uid,
            study_date=image.study_date,
            patient_id=image.patient_id,
        )


def judge_series(images: Iterable[DicomImage]) -> list[Series]:
    """Judge the series of one study, in order of their numbers.

    Args:
        images: of the study, no file twice.

    Returns:
        All of them; those that are left out have a reason.
    """
    groups: dict[str, list[DicomImage]] = {}
    for image in images:
        key = image.series_uid or f"{image.path.parent} {image.number} {image.description}"
        groups.setdefault(key, []).append(image)
    split = [split_images(group) for group in groups.values()]
    found = [_series(part, len(parts) > 1) for parts in split for part in parts]
    series = sorted(found, key=lambda s: (_order(s.image.number), str(s.path)))
    usable = [s for s in series if not s.why]
    judged = iter(_in_time(_with_words(usable)))
    return [s if s.why else _without_sequence(next(judged)) for s in series]


def _series(images: list[DicomImage], is_part: bool) -> Series:
    image = images[0]
    reasons = (is_other_by_attributes(i) for i in (image, images[len(images) // 2], images[-1]))
    why = next((reason for reason in reasons if reason), "")
    stack = stack_slices(images)
    return Series(image, stack, why=why or stack.why, is_part=is_part)


def _with_words(series: Sequence[Series]) -> list[Series]:
    """Add what description and attributes say together.

    The contrast agent is typed in once for an examination on some scanners. Where all series have
    it, even those before the injection, it says nothing of one of them.
    """
    agents = [has_agent(s.image) for s in series]
    says_nothing = len(agents) > 1 and all(agents)
    named = settled({s: read_name(s.name) for s in series}, {s: s.name for s in series})
    found = []
    for s, agent in zip(series, agents, strict=True):
        words = attribute_words(s.image, None if says_nothing else agent)
        of_part = s.is_part and _speaks(words)  # 'PD and T2' is the name of both echoes
        name, own = ("", NameEvidence()) if of_part else (s.name, named[s])
        told = read_names(name, words)
        if told.sequence:
            told = _joined(told, own, None if says_nothing else agent, _speaks(words))
        if told.sequence == "t1" and says_nothing and told.rank < 3:
            told = replace(told, rank=1)
        found.append(replace(s, told=told, words=words))
    return found


def _joined(
    told: NameEvidence, own: NameEvidence, agent: bool | None, by_times: bool
) -> NameEvidence:
    """Keep what the times cannot settle: contrast medium, and words like 'water'.

    Words of no known meaning stay a doubt to be told, where the times tell the sequence, too.

    Args:
        told: by description and attributes.
        own: by the description.
        agent: what the attribute says of contrast medium.
        by_times: whether the times tell a sequence.
    """
    told = replace(told, doubt="" if agent and own.doubt in _ABOUT_CONTRAST else own.doubt)
    if told.sequence == "t1" and own.rank < 3:
        if agent:
            told = replace(told, sequence="t1c", rank=2)
        elif agent is None and own.rank < 2:
            told = replace(told, rank=1)
    settles = told.doubt not in DOUBTFUL and told.doubt not in _ABOUT_CONTRAST and by_times
    return told if settles or not told.doubt else replace(told, rank=1)


def _in_time(series: Sequence[Series]) -> list[Series]:
    """A T1 of which nothing is said is without contrast medium before the first T1c only."""
    given = [s.image.time for s in series if s.told.sequence == "t1c" and s.told.rank > 1]
    start = min(filter(None, given), default="")
    found = []
    for s in series:
        silent = s.told.sequence == "t1" and s.told.rank < 3 and s.told.doubt not in DOUBTFUL
        if silent and start and s.image.time and s.image.time != start:
            s = replace(s, told=replace(s.told, rank=3 if s.image.time < start else 1))
        found.append(s)
    return found


def _without_sequence(series: Series) -> Series:
    """Add the reason where neither description nor attributes tell one sequence."""
    told = series.told
    if told.other:
        words = _("'{word}' in its description or attributes says that it is none of the four")
        return replace(series, why=words.format(word=told.other))
    if told.conflict:
        words = _("description and attributes leave open what it is: {conflict}")
        return replace(series, why=words.format(conflict=told.conflict))
    if told.sequence is None:
        words = _("neither its description nor its attributes ({words}) tell a sequence")
        return replace(series, why=words.format(words=series.words or _("none")))
    return series


def _speaks(name: str) -> bool:
    told = read_name(name)
    return bool(told.sequence or told.other or told.conflict)


def _order(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isdecimal() else (1 << 31, number)
