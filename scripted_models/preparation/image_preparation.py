"""Raw volumes of a case become registered, skull-stripped ones on one grid."""

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.images.checks import Finding
from scripted_models.preparation.brain_extraction import (
    BrainExtractor,
    brain_of,
    on_zero,
    shown_part,
    volume_ml,
)
from scripted_models.preparation.doubts import (
    doubts_of,
    mask_doubts,
    refuse_no_brain,
    refuse_no_head,
)
from scripted_models.preparation.mask_file import GivenMask
from scripted_models.preparation.needs import NO_EXTRACTION, Needs
from scripted_models.preparation.rigid_registration import Head, Registration, register
from scripted_models.preparation.working_grids import moved_onto, working_grid
from scripted_models.runtime.memory import check_memory
from scripted_models.runtime.progress import Progress

STAGES = {"brain": 0.0, "register": 0.45, "resample": 0.9}
_ALL_OVER = 0.85  # of a stripped volume that an extractor takes for brain; of a head half
_BESIDE_EACH_OTHER = 2  # registrations; each takes one core


@dataclass(frozen=True, eq=False)
class Prepared:
    """The volumes of a case as a network wants them, and how they came there.

    Attributes:
        images: sequence -> float32 volume on the working grid, 0 outside of the brain; empty where
            they were freed (`image_of` makes them again).
        brain: uint8 on the working grid, 0 or 1.
        reference: sequence in whose space they lie.
        native: sequence -> volume as it was; 0 in the background of stripped ones.
        brains: sequence -> brain in the native volume, uint8; empty with a mask from outside.
        registrations: sequence -> where it lies against the reference; of those that needed it.
        extraction: what found the brains: an extractor, a mask, or nothing that had to.
        findings: what the user should know.
        seconds: time per stage.
    """

    images: Mapping[str, sitk.Image]
    brain: sitk.Image
    reference: str
    native: Mapping[str, sitk.Image]
    brains: Mapping[str, sitk.Image]
    registrations: Mapping[str, Registration]
    extraction: str
    findings: tuple[Finding, ...]
    seconds: Mapping[str, float]

    @property
    def working(self) -> Grid:
        """Grid of `images` and `brain`."""
        return Grid.of(self.brain)

    def image_of(self, sequence: str) -> sitk.Image:
        """Return a volume as in `images`, also where these were freed."""
        if sequence in self.images:
            return self.images[sequence]
        native, transform = self.native[sequence], self.transform_of(sequence)
        return sitk.Mask(moved_onto(native, self.working, transform)[0], self.brain)

    def transform_of(self, sequence: str) -> sitk.Transform | None:
        """Return the map from points of the reference to points of a sequence; None: the same."""
        found = self.registrations.get(sequence)
        return None if found is None or found.stays else found.transform


def prepare_images(
    images: Mapping[str, sitk.Image],
    needs: Needs,
    extractor: Callable[[], BrainExtractor],
    mask: GivenMask | None,
    progress: Progress,
    cancelled: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Extract brains, register the volumes, join the brains, resample once.

    Args:
        images: sequence -> volume as it was acquired.
        needs: of these volumes.
        extractor: makes the extractor; called only where a skull is to be removed.
        mask: brain of one of the volumes, instead of the extractor.
        progress: told about stages.
        cancelled: asked many times a second.

    Raises:
        InputError: no brain in a volume.
        ResourceError: no extractor, or too little memory.
        Cancelled: `cancelled` returned true.
    """
    refuse_no_head(images)
    grid = working_grid(Grid.of(images[needs.reference]))
    check_memory(math.prod(grid.size_xyz), 0)
    images = {m: on_zero(i) if m in needs.off_zero else i for m, i in images.items()}
    clock = _Clock(progress)
    native = {m: sitk.Cast(image, sitk.sitkFloat32) for m, image in images.items()}
    part = clock.enter("brain")
    extract = extractor() if needs.with_skull and mask is None else None
    chances = _chances(native, needs, extract, mask, part, cancelled)
    if extract is not None:
        needs = _with_brains(needs, native, chances)
    brains = {m: brain_of(chance) for m, chance in chances.items()}
    refuse_no_brain(brains, are_given=mask is not None)
    part = clock.enter("register")
    heads = {
        m: Head(image, brains.get(m), m not in needs.with_skull) for m, image in native.items()
    }
    registrations = _registrations(heads, needs, part, cancelled)
    clock.enter("resample")
    transforms = {m: None if r.stays else r.transform for m, r in registrations.items()}
    brain = _joined(chances, transforms, grid)
    moved = {m: moved_onto(image, grid, transforms.get(m)) for m, image in native.items()}
    reached = {m: inside for m, (_, inside) in moved.items()}
    findings = doubts_of(needs, native, brains, registrations, brain, reached)
    return Prepared(
        images={m: sitk.Mask(image, brain) for m, (image, _) in moved.items()},
        brain=brain,
        reference=needs.reference,
        native=dict(images),
        brains=brains,
        registrations=registrations,
        extraction="a mask that was given" if mask else extract.name if extract else NO_EXTRACTION,
        findings=(*findings, *([] if mask is None else mask_doubts(mask, registrations))),
        seconds=clock.stop(),
    )


def _chances(
    native: Mapping[str, sitk.Image],
    needs: Needs,
    extract: BrainExtractor | None,
    mask: GivenMask | None,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, sitk.Image]:
    """Return the probability of brain of each volume; of a mask from outside, that alone."""
    if mask is not None:
        own = Grid.of(native[mask.sequence])
        return {mask.sequence: moved_onto(mask.brain, own)[0]}
    found: dict[str, sitk.Image] = {}
    for index, (sequence, image) in enumerate(native.items()):
        if extract is not None and sequence in needs.with_skull:
            found[sequence] = extract.probability(image, cancelled)
        else:
            found[sequence] = shown_part(image)
        progress.update((index + 1) / len(native))
    return found


def _with_brains(
    needs: Needs, native: Mapping[str, sitk.Image], chances: dict[str, sitk.Image]
) -> Needs:
    """Settle which volumes had no skull: brain nearly all over; all they show is then brain."""
    shown = {m: shown_part(native[m]) for m in needs.perhaps}
    stripped = [
        m
        for m, part in shown.items()
        if volume_ml(brain_of(chances[m])) > _ALL_OVER * volume_ml(brain_of(part))
    ]
    chances.update({m: shown[m] for m in stripped})
    return needs.with_brains(stripped)


class _Clock:
    """Tells the progress where a preparation stands and keeps the time of each stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self._name, self._since = "", 0.0

    def enter(self, name: str) -> Progress:
        """Begin a stage and return its progress."""
        self.stop()
        self._name, self._since = name, time.monotonic()
        self.progress.stage(name, STAGES[name])
        later = [share for share in STAGES.values() if share > STAGES[name]]
        return self.progress.part(STAGES[name], min(later, default=1.0))

    def stop(self) -> dict[str, float]:
        """End the stage and return the times of all."""
        if self._name:
            self.seconds[self._name] = round(time.monotonic() - self._since, 3)
        self._name = ""
        return self.seconds


def _registrations(
    heads: Mapping[str, Head],
    needs: Needs,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Registration]:
    """Register the volumes that need it to the reference, a few beside each other."""
    shares = dict.fromkeys(needs.unaligned, 0.0)
    stop = Event()

    def run(sequence: str) -> Registration:
        def told(share: float) -> None:
            shares[sequence] = share

        return register(heads[needs.reference], heads[sequence], told, stop.is_set)

    with ThreadPoolExecutor(_BESIDE_EACH_OTHER) as pool:
        jobs = {m: pool.submit(run, m) for m in needs.unaligned}
        try:
            while not _done(jobs):
                if cancelled():
                    stop.set()
                progress.update(sum(shares.values()) / max(1, len(shares)))
            return {m: job.result() for m, job in jobs.items()}
        finally:
            stop.set()


def _done(jobs: Mapping[str, "Future[Registration]"]) -> bool:
    """Wait a moment and tell whether all jobs have ended."""
    return not wait(jobs.values(), timeout=0.2).not_done


def _joined(
    chances: Mapping[str, sitk.Image],
    transforms: Mapping[str, sitk.Transform | None],
    grid: Grid,
) -> sitk.Image:
    """Return one brain: the mean probability of those volumes that reach a voxel."""
    total = np.zeros(grid.shape_zyx, np.float32)
    count = np.zeros(grid.shape_zyx, np.uint8)
    for sequence, chance in chances.items():
        moved, inside = moved_onto(chance, grid, transforms.get(sequence))
        total += sitk.GetArrayViewFromImage(moved)
        count += inside
    return brain_of(grid.image_from(total / np.maximum(count, 1)))
