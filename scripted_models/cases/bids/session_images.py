"""Which files of a BIDS data set are the sequences of a session, one of each.

The suffix tells the sequence. T1w is with contrast medium by its entity `ce`, by other words of its
name, or by its sidecar. Of several images of a sequence a stated rule chooses, see `image_choice`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripted_models.cases.bids.data_set import BidsDataSet, BidsName
from scripted_models.cases.bids.image_choice import BidsImage, choose_image
from scripted_models.cases.bids.session_dates import SessionDates
from scripted_models.cases.bids.sidecars import Sidecars, contrast_agent
from scripted_models.cases.case import Case
from scripted_models.cases.name_tokens import bids_stem, is_bids
from scripted_models.cases.naming import FileRole, file_role
from scripted_models.cases.sequence_names import NameEvidence
from scripted_models.errors import phrases
from scripted_models.images.volume_files import volume_stem
from scripted_models.sequences import SEQUENCES

_ = phrases(__name__)

_SUFFIXES = {"T1w": "t1", "T2w": "t2", "FLAIR": "flair"}
_PARTS = ("phase", "real", "imag")  # labels of part: none is a picture of gray values


@dataclass(frozen=True)
class BidsImages:
    """What a data set holds for cases.

    Attributes:
        roles: image -> its sequence and the name of its case.
        apart: files that are not to be read by their names.
        dates: of the sessions; None where there is no data set.
    """

    roles: Mapping[Path, FileRole] = field(default_factory=dict)
    apart: frozenset[Path] = frozenset()
    dates: SessionDates | None = None

    def dated(self, case: Case) -> Case:
        """Return a case with the date of its session."""
        if self.dates is None:
            return case
        images = [source.path for source in case.images.values() if source.path in self.roles]
        return replace(case, date=self.dates.of_session(case.name, images)) if images else case


def read_images(
    data_set: BidsDataSet, paths: Iterable[Path], ignored: list[tuple[Path, str]]
) -> BidsImages:
    """Find the sequences of all sessions.

    Args:
        data_set: that holds the files.
        paths: volumes below it.
        ignored: receives files that are not taken, with the reason.
    """
    paths = list(paths)
    apart = {path for path in paths if data_set.why_apart(path)}
    dates, sidecars = SessionDates(data_set.root, ignored), Sidecars(data_set.root, ignored)
    sessions: dict[str, list[BidsImage]] = defaultdict(list)
    left_out: list[tuple[BidsImage, str]] = []
    for path in paths:
        if path in apart or not (image := _image(path, data_set.root, dates)):
            continue
        if why := _is_no_image(image, data_set.root):
            left_out.append((image, why))
        else:
            sessions[image.role.stem].append(image)
    judged = [found for images in sessions.values() for found in _judged(images, sidecars)]
    left_out += [(image, why) for image, why in judged if why]
    ignored += [(image.path, why) for image, why in left_out]
    roles = {image.path: image.role for image, why in judged if not why}
    return BidsImages(roles, frozenset(apart | {image.path for image, _why in left_out}), dates)


def _image(path: Path, root: Path, dates: SessionDates) -> BidsImage | None:
    """Return an anatomical image of one of the sequences; None for other files."""
    stem = volume_stem(path)
    name = BidsName.of(stem)
    if path.parent.name != "anat" or not is_bids(stem) or name.suffix not in _SUFFIXES:
        return None
    if not path.relative_to(root).parts[0].startswith("sub-"):
        return None
    kind = _SUFFIXES[name.suffix]
    sure = FileRole(kind, bids_stem(stem), NameEvidence(kind, 2, mentions=True))
    return BidsImage(path, name, sure, dates.of_image(path))


def _is_no_image(image: BidsImage, root: Path) -> str:
    """Say why a file is not used, whatever else there is; "" for others."""
    place = "_".join(image.path.parent.parent.relative_to(root).parts)
    if place != image.role.stem:
        words = _("its name is of {name} and its folder of {folder}")
        return words.format(name=image.role.stem, folder=place)
    part = image.name.entities.get("part", "")
    return _("it is the part '{part}'").format(part=part) if part in _PARTS else ""


def _judged(images: Sequence[BidsImage], sidecars: Sidecars) -> list[tuple[BidsImage, str]]:
    """Return the images of a session, each with the reason why it is not taken, or ""."""
    agents = [contrast_agent(sidecars.fields(image.path)) for image in images]
    told = any(not agent for agent in agents)  # what all series have says nothing
    known = [
        _with_contrast(image, agent if told else None)
        for image, agent in zip(images, agents, strict=True)
    ]
    judged: list[tuple[BidsImage, str]] = []
    for sequence in SEQUENCES:
        judged += choose_image(sequence, [image for image in known if image.role.kind == sequence])
    return judged


def _with_contrast(image: BidsImage, agent: bool | None) -> BidsImage:
    """Return a T1 as T1c where name or sidecar say so; a name that only hints at it is a doubt."""
    if image.role.kind != "t1":
        return image
    role = image.role
    if "ce" in image.name.entities:
        kind = "t1c" if image.has_agent else "t1"
    elif agent is not None:
        kind = "t1c" if agent else "t1"
    else:
        said = file_role(volume_stem(image.path))
        kind = "t1c" if said and said.kind == "t1c" else "t1"
        if said and kind == "t1c" and said.told.rank < 2:
            return replace(image, role=said)
    return replace(image, role=replace(role, kind=kind, told=NameEvidence(kind, 2, mentions=True)))
