"""The images of a case on their way to a network, prepared where they need it, and back again.

The segmenter takes what comes from here: images on one grid, and the place of the result. Whether
they were prepared it does not know.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case
from scripted_models.errors import InputError, phrases
from scripted_models.geometry import Grid
from scripted_models.images.checks import WARNING, Finding
from scripted_models.preparation.brain_extraction import BrainExtractor, on_zero
from scripted_models.preparation.deepbet_extractor import DeepbetExtractor
from scripted_models.preparation.deepbet_wheel import INSTALL, is_installed
from scripted_models.preparation.doubts import background_finding, mask_border_finding
from scripted_models.preparation.image_preparation import Prepared, prepare_images
from scripted_models.preparation.mask_file import read_mask
from scripted_models.preparation.needs import Needs, When, needs_of
from scripted_models.preparation.working_grids import moved_onto, probabilities_on
from scripted_models.runtime.file_identity import content_digest
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.case_images import on_one_grid, read_images
from scripted_models.segmentation.volume_steps import CaseVolumes
from scripted_models.sequences import SEQUENCES

_ = phrases(__name__)

ResultGrid = Literal["reference", "working", "t1", "t1c", "t2", "flair"]
RESULT_GRIDS: Final[tuple[ResultGrid, ...]] = get_args(ResultGrid)
SHARE = 0.6  # of a run that a preparation takes


@dataclass(frozen=True)
class PreparationOptions:
    """How raw volumes are treated.

    Attributes:
        when: "auto" does what each volume needs, "never" nothing, "always" everything.
        reference: sequence that all come to; None: T1c, or the first there is.
        result_grid: where the result lies: on the native grid of the reference or of another
            sequence, or on the working grid of 1 mm.
        mask: file with the brain, in the place of an extractor.
        extractor: makes what finds brains.
    """

    when: When = "auto"
    reference: str | None = None
    result_grid: ResultGrid = "reference"
    mask: Path | None = None
    extractor: Callable[[], BrainExtractor] = DeepbetExtractor

    @property
    def asked(self) -> dict[str, str]:
        """What decides about the result, for reports."""
        mask = {} if self.mask is None else {"brain_mask_sha256": content_digest(self.mask)}
        return {
            "when": self.when,
            "reference": self.reference or "auto",
            "result_grid": self.result_grid,
            **mask,
        }


AUTOMATIC = PreparationOptions()
LACKED = "lacked"  # beside what was asked for, in reports


def asked_and_lacked(options: PreparationOptions, lacks_extractor: bool) -> dict[str, str]:
    """Return what decides about a result: what was asked for, and what was not installed."""
    return options.asked | ({LACKED: "brain extraction"} if lacks_extractor else {})


def is_as_asked(options: PreparationOptions, reported: object) -> bool:
    """Tell whether these options would do now what a report says was done.

    Args:
        options: of now.
        reported: what `asked_and_lacked` gave; None of reports without a word about preparation.
    """
    known = AUTOMATIC.asked if reported is None else reported
    if isinstance(known, dict) and LACKED in known and not is_installed():
        known = {name: value for name, value in known.items() if name != LACKED}
    return known == options.asked


@dataclass(frozen=True, eq=False)
class ResultPlace:
    """Where the result of a case lies, and the way there.

    Attributes:
        grid: of the result.
        volumes: sequence -> (z, y, x) on this grid, for pictures.
        brain: bool (z, y, x).
        bring: probabilities on the grid of the images -> probabilities on this grid.
        look_at: labels on this grid -> what the user should know about them.
    """

    grid: Grid
    volumes: Mapping[str, np.ndarray]
    brain: np.ndarray
    bring: Callable[[np.ndarray], np.ndarray] = lambda probabilities: probabilities
    look_at: Callable[[np.ndarray], list[Finding]] = lambda labels: []

    @classmethod
    def of(cls, volumes: CaseVolumes) -> "ResultPlace":
        """Return the place of a result on the grid of the images themselves."""
        return cls(volumes.grid, volumes.arrays, volumes.brain)


@dataclass(frozen=True, eq=False)
class ReadCase:
    """The images of a case as a network takes them.

    Attributes:
        images: sequence -> image, all on one grid.
        findings: what the user should know of how they came there.
        prepared: how, without its images; None where they are as in the files.
        place: makes the place of the result; None: the grid of the images.
        seconds: time per stage.
        lacks_extractor: brain extraction would have been needed, and is not installed.
    """

    images: Mapping[str, sitk.Image]
    findings: tuple[Finding, ...] = ()
    prepared: Prepared | None = None
    place: Callable[[], ResultPlace] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    lacks_extractor: bool = False


def read_case(
    case: Case,
    one_of: Sequence[str],
    options: PreparationOptions,
    progress: Progress,
    cancelled: Callable[[], bool] = lambda: False,
) -> ReadCase:
    """Read the images of a case and prepare them as they need it.

    Args:
        case: with the sequences that `Case.require_images` asks for.
        one_of: as for `Case.require_images`.
        options: whether and how.
        progress: of a preparation.
        cancelled: asked many times a second.

    Raises:
        InputError: images that cannot be used or have no brain, or grids that differ.
        ResourceError: a skull, and no way to remove it.
        Cancelled: `cancelled` returned true.
    """
    images = read_images(case, one_of)
    if options.when == "never":
        return ReadCase(on_one_grid(case, images))
    needs, told = _settled(case_needs(case, images, options), options)
    lacks = _lacks_extractor(needs, options) and not needs.on_other_grids and not needs.always
    if lacks or (needs.nothing and options.mask is None):
        grounded = {m: on_zero(i) if m in needs.off_zero else i for m, i in images.items()}
        more = (*told, *([_no_extractor(needs)] if lacks else []))
        grounds = [background_finding(needs.off_zero)] if needs.off_zero else []
        return ReadCase(
            on_one_grid(case, grounded), findings=(*more, *grounds), lacks_extractor=bool(more)
        )
    prepared = _prepared(images, needs, options, progress, cancelled)
    moved, prepared = prepared.images, replace(prepared, images={})  # to be freed early
    return ReadCase(
        images=moved,
        findings=(*told, *prepared.findings),
        prepared=prepared,
        place=lambda: place_of(prepared, options.result_grid),
        seconds=prepared.seconds,
        lacks_extractor=bool(told),
    )


def prepare_case(
    case: Case,
    options: PreparationOptions,
    progress: Progress,
    cancelled: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Read the images of a case and prepare them, also where they need nothing.

    Raises:
        InputError: images that cannot be read, or have no brain.
        ResourceError: a skull, and no way to remove it.
        Cancelled: `cancelled` returned true.
    """
    images = read_images(case, SEQUENCES)
    needs, told = _settled(case_needs(case, images, options), options)
    prepared = _prepared(images, needs, options, progress, cancelled)
    return replace(prepared, findings=(*told, *prepared.findings))


def _prepared(
    images: Mapping[str, sitk.Image],
    needs: Needs,
    options: PreparationOptions,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Prepared:
    mask = None if options.mask is None else read_mask(options.mask, images, needs.reference)
    return prepare_images(images, needs, options.extractor, mask, progress, cancelled)


def case_needs(case: Case, images: Mapping[str, sitk.Image], options: PreparationOptions) -> Needs:
    """Tell what the images of a case need.

    Raises:
        InputError: the case lacks the sequence that the options name.
    """
    known = (*images, "reference", "working")
    for option, wanted in (
        ("--reference", options.reference or "reference"),
        ("--result-grid", options.result_grid),
    ):
        if wanted not in known:
            raise InputError(
                found=_("no {sequence} in case {name}").format(sequence=wanted, name=case.name),
                expected=_("the sequence that {option} names").format(option=option),
                action=_("name one of {sequences}").format(sequences=", ".join(images)),
            )
    return needs_of(images, options.reference, options.when == "always")


def place_of(prepared: Prepared, wanted: ResultGrid) -> ResultPlace:
    """Return where the result of prepared volumes lies.

    Args:
        prepared: the volumes.
        wanted: one of `RESULT_GRIDS`, a sequence that is there.
    """
    sequence = prepared.reference if wanted == "reference" else wanted
    if sequence == "working":
        grid, back = prepared.working, None
    else:
        grid, back = Grid.of(prepared.native[sequence]), prepared.transform_of(sequence)
    to_reference = back and back.GetInverse()
    volumes = {}
    for name, image in prepared.native.items():
        if name == sequence:
            volumes[name] = sitk.GetArrayFromImage(image)
        else:
            way = _joined(to_reference, prepared.transform_of(name))
            volumes[name] = sitk.GetArrayFromImage(moved_onto(image, grid, way)[0])
    brain = sitk.GetArrayFromImage(moved_onto(prepared.brain, grid, to_reference)[0]) > 0.5

    def look_at(labels: np.ndarray) -> list[Finding]:
        finding = mask_border_finding(labels, brain)
        return [finding] if finding else []

    return ResultPlace(
        grid=grid,
        volumes=volumes,
        brain=brain,
        bring=lambda p: probabilities_on(p, prepared.working, grid, to_reference),
        look_at=look_at,
    )


def _joined(first: sitk.Transform | None, then: sitk.Transform | None) -> sitk.Transform | None:
    """Return one map after another; None maps nothing."""
    if first is None or then is None:
        return first or then
    return sitk.CompositeTransform([then, first])  # ITK applies the last one first


def _lacks_extractor(needs: Needs, options: PreparationOptions) -> bool:
    own = options.extractor is not DeepbetExtractor
    return bool(needs.with_skull) and options.mask is None and not own and not is_installed()


def _settled(needs: Needs, options: PreparationOptions) -> tuple[Needs, tuple[Finding, ...]]:
    """Take what may be a brain for one where nothing is installed that could tell."""
    if not needs.perhaps or not _lacks_extractor(needs, options):
        return needs, ()
    told = Finding(
        severity=WARNING,
        slots=needs.perhaps,
        volumes=needs.perhaps,
        found=_("a brain, or a small head, that the field of view cuts off"),
        expected=_("a whole brain"),
        action=_(
            "it is taken for a brain without skull; brain extraction would tell ({command})"
        ).format(command=INSTALL),
    )
    return needs.with_brains(needs.perhaps), (told,)


def _no_extractor(needs: Needs) -> Finding:
    """Say that a skull stays because nothing is installed that removes it."""
    return Finding(
        severity=WARNING,
        slots=needs.with_skull,
        volumes=needs.with_skull,
        found=_("a skull, and no brain extraction to remove it"),
        expected=_("a brain"),
        action=_("install one ({command}) or give a mask with --brain-mask").format(
            command=INSTALL
        ),
    )
