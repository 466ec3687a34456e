"""Which of several images of one sequence is taken from a session, by a stated rule.

T2 and FLAIR without contrast medium come first. Then what covers clearly less of the head is out;
then thinner slices win, then finer pixels, the later one, the higher run, the shorter name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripted_models.cases.bids.data_set import BidsName
from scripted_models.cases.naming import FileRole
from scripted_models.errors import InputError, phrases
from scripted_models.geometry import Grid
from scripted_models.images.headers import read_header
from scripted_models.images.volume_files import volume_stem
from scripted_models.sequences import TITLES

_ = phrases(__name__)

_COMPARED = {"sub", "ses", "acq", "ce", "rec", "run"}  # entities that may differ
_NO_AGENT = ("none", "no", "0")  # labels of ce
_LEAST_COVERAGE = 0.75  # of the best: less of the head is worse than thicker slices


@dataclass(frozen=True)
class BidsImage:
    """An anatomical image of a session.

    Attributes:
        path: of the file.
        name: its parts.
        role: its sequence and its case.
        time: of the acquisition, in a form that sorts; "" where it is not known.
    """

    path: Path
    name: BidsName
    role: FileRole
    time: str

    @property
    def has_agent(self) -> bool:
        """Whether the name states contrast medium by the entity for it."""
        return self.name.entities.get("ce", _NO_AGENT[0]).lower() not in _NO_AGENT

    @property
    def place(self) -> tuple[str, int, int, str]:
        """What decides between images of the same size: time, run, length and text of the name."""
        run = self.name.entities.get("run", "")
        number = int(run) if run.isdecimal() else 0
        return self.time, number, -len(self.name.entities), self.path.name


def choose_image(sequence: str, images: Sequence[BidsImage]) -> list[tuple[BidsImage, str]]:
    """Choose the image of a sequence.

    Images that differ in another entity than these (`space`, `desc`, `echo`) are not compared: all
    are taken, and the case will be refused.

    Args:
        sequence: "t1", "t1c", "t2" or "flair".
        images: of it, in one session.

    Returns:
        Each image with the reason why it is not taken, "" for the chosen one.
    """
    others = [{k: v for k, v in i.name.entities.items() if k not in _COMPARED} for i in images]
    alike = all(other == others[0] for other in others)
    grids = {image.path: _grid(image) for image in images} if len(images) > 1 and alike else {}
    readable = [image for image in images if isinstance(grids.get(image.path), Grid)]
    if not readable:
        return [(image, "") for image in images]
    judged = _measured(sequence, readable, {p: g for p, g in grids.items() if isinstance(g, Grid)})
    return judged + [(i, g) for i in images if isinstance(g := grids[i.path], str)]


def _grid(image: BidsImage) -> Grid | str:
    """Return the grid of an image, or what is wrong with its file."""
    try:
        return read_header(image.path).grid
    except InputError as error:
        return error.found


def _measured(
    sequence: str, images: Sequence[BidsImage], grids: dict[Path, Grid]
) -> list[tuple[BidsImage, str]]:
    most = max(map(_coverage_mm, grids.values()))
    ranks = {
        image.path: (
            image.has_agent and sequence in ("t2", "flair"),
            _coverage_mm(grids[image.path]) < _LEAST_COVERAGE * most,
            round(max(grids[image.path].spacing_xyz_mm), 1),
            round(min(grids[image.path].spacing_xyz_mm), 2),
        )
        for image in images
    }
    best = min(ranks.values())
    chosen = max((i for i in images if ranks[i.path] == best), key=lambda image: image.place)
    words = _("'{chosen}' was taken for {sequence}: {why}")
    own = volume_stem(chosen.path).removeprefix(f"{chosen.role.stem}_")  # the same in many cases
    judged = [(chosen, "")]
    for image in images:
        if image is not chosen:
            why = _why_better(best, ranks[image.path], chosen, image)
            told = words.format(chosen=own, sequence=TITLES[sequence], why=why)
            judged.append((image, told))
    return judged


def _why_better(
    best: Sequence[object], rank: Sequence[object], chosen: BidsImage, image: BidsImage
) -> str:
    """Say what decided between two images."""
    differs = [one != another for one, another in zip(best, rank, strict=True)]
    differs += [one != another for one, another in zip(chosen.place, image.place, strict=True)]
    return (
        _("it is without contrast medium"),
        _("it covers more"),
        _("its slices are thinner"),
        _("its pixels are finer"),
        _("it is the later one"),
        _("it is the later run"),
        _("its name is shorter"),
        _("it comes last by its name"),
    )[differs.index(True)]


def _coverage_mm(grid: Grid) -> float:
    """Return the shortest side of the volume."""
    return min(n * mm for n, mm in zip(grid.size_xyz, grid.spacing_xyz_mm, strict=True))
