"""What a user should know about a preparation: each doubt is a finding, none passes in silence."""

from collections.abc import Iterable, Mapping

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError, listed, phrases
from scripted_models.images.checks import (
    MAX_EXTENT_MM,
    MAX_SLICE_RATIO,
    MIN_BRAIN_OVERLAP,
    NOTE,
    WARNING,
    Finding,
    Severity,
)
from scripted_models.labels import region_mask
from scripted_models.preparation.brain_extraction import volume_ml
from scripted_models.preparation.mask_file import GivenMask
from scripted_models.preparation.needs import Needs
from scripted_models.preparation.rigid_registration import Registration

_ = phrases(__name__)

PICTURE = "preparation.png"
LEAST_BRAIN_ML, MOST_BRAIN_ML = 900.0, 2100.0  # of adults
NO_BRAIN_ML = 300.0  # less than a newborn's; what is found in other parts of the body
# Dice of two brains after registration; 0.94 at least in one patient, 0.94 at most in two.
LEAST_OVERLAP = 0.93
# Together with a mutual information (nats) below it, an overlap below the other is doubted, too.
DOUBTFUL_OVERLAP, LEAST_INFORMATION = 0.96, 0.2
MOST_MOVED_DEGREES = 30.0  # more than a patient turns between two sequences
MOST_MOVED_MM = 50.0
_MOST_UNSEEN = 0.01  # of the brain
_MOST_AT_BORDER = 0.25  # of the surface of a tumor
_MOST_CUT = 0.3  # of the largest section of the brain, where the field of view ends


def refuse_no_head(images: Mapping[str, sitk.Image]) -> None:
    """Refuse volumes far larger than a head; a grid of 1 mm over them takes all memory there is.

    Raises:
        InputError: a wrong voxel size, or the field of view of a whole body.
    """
    for sequence, image in images.items():
        extents = np.multiply(image.GetSize(), image.GetSpacing())
        if extents.max() > MAX_EXTENT_MM:
            size = " x ".join(f"{extent:.0f}" for extent in extents)
            raise InputError(
                path=sequence,
                found=_("an extent of {size} mm").format(size=size),
                expected=_("a head, at most {size} mm").format(size=f"{MAX_EXTENT_MM:.0f}"),
                action=_("check the voxel size and its unit in the header"),
            )


def refuse_no_brain(brains: Mapping[str, sitk.Image], are_given: bool = False) -> None:
    """Refuse volumes in which no brain was found.

    Args:
        brains: sequence -> brain in its own volume.
        are_given: they are of the user's mask.

    Raises:
        InputError: the brain of a volume is too small to be one.
    """
    for sequence, brain in brains.items():
        ml = volume_ml(brain)
        if ml >= NO_BRAIN_ML:
            continue
        found = _("a brain of {volume} mL").format(volume=f"{ml:.0f}")
        action = _("check that this is a head, or give a mask with --brain-mask")
        if are_given:
            found = _("{volume} mL of the brain mask in this volume").format(volume=f"{ml:.0f}")
            action = _("check that the mask is a brain in the space of this volume")
        least = _("at least {volume} mL").format(volume=f"{NO_BRAIN_ML:.0f}")
        raise InputError(path=sequence, found=found, expected=least, action=action)


def doubts_of(
    needs: Needs,
    native: Mapping[str, sitk.Image],
    brains: Mapping[str, sitk.Image],
    registrations: Mapping[str, Registration],
    brain: sitk.Image,
    reached: Mapping[str, np.ndarray],
) -> Iterable[Finding]:
    """Say what was done with the volumes and what about it is doubtful.

    Args:
        needs: what was asked for.
        native: sequence -> volume as it was.
        brains: sequence -> brain in its own volume.
        registrations: sequence -> its registration.
        brain: the joined one, on the working grid.
        reached: sequence -> where it reaches on the working grid, bool (z, y, x).
    """
    yield from _done(needs, registrations)
    yield from _thick(native)
    yield from _volumes(brains, brain)
    for sequence, registration in registrations.items():
        least = MIN_BRAIN_OVERLAP if sequence in needs.misplaced else LEAST_OVERLAP
        yield from registration_doubts(sequence, registration, least)
    inside = sitk.GetArrayViewFromImage(brain) > 0
    for sequence, seen in reached.items():
        unseen = float((inside & ~seen).sum() / max(1, inside.sum()))
        if unseen > _MOST_UNSEEN:
            found = _("{share} of the brain outside of the field of view").format(
                share=f"{unseen:.0%}"
            )
            action = _("there the result rests on the other sequences, check it")
            yield _about(WARNING, (sequence,), found, _("the whole brain"), action)
    yield from _cut_off(needs.reference, inside)


def _about(
    severity: Severity, slots: tuple[str, ...], found: str, expected: str = "", action: str = ""
) -> Finding:
    return Finding(
        severity=severity,
        slots=slots,
        volumes=slots,
        found=found,
        expected=expected,
        action=action,
    )


def _done(needs: Needs, registrations: Mapping[str, Registration]) -> Iterable[Finding]:
    """Say what was changed, so that nobody takes prepared volumes for those of the scanner."""
    if needs.with_skull:
        action = _("it was removed, check the brain mask in {picture}").format(picture=PICTURE)
        yield _about(NOTE, needs.with_skull, _("skull"), "", action)
    if needs.off_zero:
        yield background_finding(needs.off_zero)
    moved = {m: r for m, r in registrations.items() if not r.stays}
    if moved:
        by = [f"{m} by {r.moved_mm:.1f} mm" for m, r in moved.items()]
        found = _("another position than that of {reference}").format(reference=needs.reference)
        action = _("registered and moved ({distances}), check the alignment in {picture}").format(
            distances=listed(by), picture=PICTURE
        )
        yield _about(NOTE, tuple(moved), found, "", action)


def background_finding(sequences: tuple[str, ...]) -> Finding:
    """Say that the background of stripped volumes was another value than 0."""
    return _about(NOTE, sequences, _("a background that is not 0"), "", _("it was set to 0"))


def _thick(native: Mapping[str, sitk.Image]) -> Iterable[Finding]:
    """Prepared volumes have voxels of 1 mm, which hides how coarse they were."""
    sizes = {m: max(image.GetSpacing()) for m, image in native.items()}
    slots = tuple(m for m, size in sizes.items() if size > MAX_SLICE_RATIO)
    if slots:
        low, high = min(sizes[m] for m in slots), max(sizes[m] for m in slots)
        words = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
        found = _("slices of {size} mm").format(size=words)
        expected = _("at most {size} mm").format(size=f"{MAX_SLICE_RATIO:g}")
        action = _("choose thin slices, or the result is coarse")
        yield _about(WARNING, slots, found, expected, action)


def _volumes(brains: Mapping[str, sitk.Image], joined: sitk.Image) -> Iterable[Finding]:
    sizes = {m: volume_ml(brain) for m, brain in brains.items()}
    of_each = [((m,), v) for m, v in sizes.items()] if len(sizes) > 1 else []
    for slots, ml in [*of_each, (tuple(sizes), volume_ml(joined))]:
        if not LEAST_BRAIN_ML <= ml <= MOST_BRAIN_ML:
            found = _("a brain of {volume} mL").format(volume=f"{ml:.0f}")
            expected = _("{low} to {high} mL in adults").format(
                low=f"{LEAST_BRAIN_ML:.0f}", high=f"{MOST_BRAIN_ML:.0f}"
            )
            action = _("check the brain mask; children and volumes that are cut have less")
            yield _about(WARNING, slots, found, expected, action)


def registration_doubts(
    sequence: str,
    registration: Registration,
    least: float = LEAST_OVERLAP,
    of_one_visit: bool = True,
) -> Iterable[Finding]:
    """Say where a registration may have failed, or the sequence be of another patient.

    Args:
        sequence: that was moved; between visits, the visit.
        registration: of it.
        least: Dice of both brains that leaves no doubt.
        of_one_visit: between visits a patient may lie anywhere.
    """
    action = _("check the alignment, and that it is of the same patient, or leave it out")
    dice, information = registration.overlap, registration.information
    if dice is not None and dice < least:
        found = _("a brain that overlaps that of the reference with a Dice of only {dice}").format(
            dice=f"{dice:.2f}"
        )
        expected = _("at least {dice} after registration").format(dice=f"{least:g}")
        yield _about(WARNING, (sequence,), found, expected, action)
    elif information < LEAST_INFORMATION and (dice is None or dice < DOUBTFUL_OVERLAP):
        found = _("little in common with the reference (mutual information {value})").format(
            value=f"{information:.2f}"
        )
        expected = _("at least {value} after registration").format(value=f"{LEAST_INFORMATION:g}")
        yield _about(WARNING, (sequence,), found, expected, action)
    elif not registration.is_steady:
        found = _("no clear position against the reference")
        expected = _("one that the last step of the registration keeps")
        yield _about(WARNING, (sequence,), found, expected, action)
    far = registration.degrees > MOST_MOVED_DEGREES or registration.moved_mm > MOST_MOVED_MM
    if of_one_visit and far:
        found = _("a position that is turned by {degrees} degrees and {distance} mm away").format(
            degrees=f"{registration.degrees:.0f}", distance=f"{registration.moved_mm:.0f}"
        )
        expected = _("less between sequences of one visit")
        action = _("check the orientation in the header, and the alignment")
        yield _about(WARNING, (sequence,), found, expected, action)


def _cut_off(reference: str, inside: np.ndarray) -> Iterable[Finding]:
    """A brain whose section is large where the reference ends goes on beyond it."""
    for axis in range(3):
        sections = inside.sum(axis=tuple(i for i in range(3) if i != axis))
        if sections.max() and max(sections[0], sections[-1]) > _MOST_CUT * sections.max():
            found = _("a brain that goes on beyond the field of view")
            action = _("only the part inside is segmented")
            yield _about(WARNING, (reference,), found, _("the whole brain"), action)
            return


def mask_border_finding(labels: np.ndarray, brain: np.ndarray) -> Finding | None:
    """Say that a tumor lies along the border of the brain mask, where the mask may cut it.

    Args:
        labels: (z, y, x).
        brain: bool (z, y, x).
    """
    tumor = region_mask(labels, "WT")
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(tumor.astype(np.uint8)), [1, 1, 1])
    rim = (sitk.GetArrayFromImage(grown) > 0) & ~tumor
    share = float((rim & ~brain).sum() / max(1, rim.sum()))
    if share <= _MOST_AT_BORDER:  # also without any tumor
        return None
    found = _("{share} of the tumor's surface at the border of the brain mask").format(
        share=f"{share:.0%}"
    )
    action = _("check that the mask does not cut the tumor")
    return _about(WARNING, (), found, "", action)


def mask_doubts(mask: GivenMask, registrations: Mapping[str, Registration]) -> Iterable[Finding]:
    """Say whose a given mask was taken to be, where its grid does not tell.

    Args:
        mask: the given one.
        registrations: sequence -> its registration.
    """
    moved = {m for m, found in registrations.items() if not found.stays}
    elsewhere = tuple(m for m in mask.others if mask.sequence in moved or m in moved)
    if elsewhere:
        found = _("a brain mask on the grid of {sequence} and of other positions").format(
            sequence=listed((mask.sequence, *elsewhere))
        )
        action = _("it is taken for that of this sequence, or name another with --reference")
        yield _about(WARNING, (mask.sequence,), found, _("the grid of one sequence"), action)
    if not mask.is_on_its_grid:
        found = _("a brain mask on a grid of its own")
        action = _("it is taken to lie in the space of this sequence, check it")
        yield _about(WARNING, (mask.sequence,), found, _("the grid of a sequence"), action)
