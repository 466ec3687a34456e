"""Registration error on pairs with a known answer, and how many failures are noticed.

A sequence of a patient is sampled anew on a grid that is turned, moved and has thick slices, so
that the true transform is known (for raw heads: against the registration of the unmoved ones).
Wrong pairs are sequences of another patient. `--fast` takes every third pair.

    python benchmarks/registration.py --brats FOLDER --raw FOLDER [--fast]
"""

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.discovery import find_cases
from scripted_models.geometry import Grid
from scripted_models.preparation.brain_extraction import brain_of, shown_part
from scripted_models.preparation.deepbet_extractor import DeepbetExtractor
from scripted_models.preparation.doubts import registration_doubts
from scripted_models.preparation.rigid_registration import Head, register
from scripted_models.preparation.working_grids import moved_onto

FAILED_MM = 4.0
SLICES_MM = (1.0, 3.0, 5.0, 6.0)


def main() -> None:
    """Run the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brats", type=Path, required=True, help="skull-stripped cases")
    parser.add_argument("--raw", type=Path, help="raw cases")
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(24)
    rows = []
    jobs = chain(stripped_jobs(options.brats), raw_jobs(options.raw) if options.raw else [])
    for number, (name, fixed, moving, base) in enumerate(jobs):
        motion, slices = random_motion(random, fixed), SLICES_MM[number % len(SLICES_MM)]
        if options.fast and number % 3:
            continue
        moved = moved_head(moving, motion, slices)
        started = time.process_time()
        found = register(fixed, moved)
        seconds = time.process_time() - started
        doubts = list(registration_doubts("moving", found))
        error = None if base is None else errors(found.transform, base, motion, fixed)
        rows.append((name, error, bool(doubts), seconds))
        shown = "wrong pair" if error is None else f"{error.mean():.2f} mm, max {error.max():.2f}"
        print(
            f"{name:44s} slices {slices:g} mm  {shown:24s} overlap {found.overlap:.3f} "
            f"information {found.start_information:.3f} -> {found.information:.3f} "
            f"moved {found.moved_mm:5.1f}  {'NOTICED' if doubts else ''}  {seconds:.1f} CPU-s",
            flush=True,
        )
    summary(rows)


def summary(rows: list) -> None:
    """Print one line about all pairs."""
    known = [
        (error.mean(), error.max(), noticed) for _, error, noticed, _ in rows if error is not None
    ]
    failed = [noticed for mean, _, noticed in known if mean > FAILED_MM]
    wrong = [noticed for _, error, noticed, _ in rows if error is None]
    means = [mean for mean, _, _ in known]
    print(
        f"{len(known)} pairs: mean {np.mean(means):.2f} mm, worst pair {max(means):.2f} mm, "
        f"worst point {max(worst for _, worst, _ in known):.2f} mm; {len(failed)} failed, "
        f"{sum(failed)} of them noticed; {sum(n for m, _, n in known if m <= FAILED_MM)} false "
        f"alarms; {len(wrong)} wrong pairs, {sum(wrong)} noticed; "
        f"{np.mean([seconds for *_, seconds in rows]):.1f} CPU-s a pair"
    )


def stripped_jobs(folder: Path) -> Iterator[tuple]:
    """Yield name, fixed, moving and true transform of stripped pairs; None of wrong pairs."""
    cases = [case for case in find_cases(folder) if not case.missing]
    for index, case in enumerate(cases[::7]):
        heads = {m: stripped(case.images[m].read()) for m in case.images}
        for sequence in ("t1", "t2", "flair"):
            yield f"{case.name} {sequence}", heads["t1c"], heads[sequence], IDENTITY
        other = cases[(7 * index + 3) % len(cases)]
        for sequence in ("t1", "t2", "flair"):
            wrong = stripped(other.images[sequence].read())
            yield f"{case.name} {other.name}", heads["t1c"], wrong, None


def raw_jobs(folder: Path) -> Iterator[tuple]:
    """Yield the same of raw heads, and of brains to heads."""
    extract = DeepbetExtractor()
    for case in find_cases(folder):
        images = {m: sitk.Cast(s.read(), sitk.sitkFloat32) for m, s in case.images.items()}
        heads = {m: Head(i, brain_of(extract.probability(i))) for m, i in images.items()}
        for sequence in (m for m in heads if m != "t1c"):
            moving = heads[sequence]
            base = register(heads["t1c"], moving).transform
            alone = Head(sitk.Mask(moving.image, moving.brain), moving.brain, True)
            for _ in range(3):
                yield f"{case.name} {sequence} head", heads["t1c"], moving, base
                yield f"{case.name} {sequence} brain to head", heads["t1c"], alone, base


IDENTITY = sitk.Euler3DTransform()


def stripped(image: sitk.Image) -> Head:
    """Return a skull-stripped volume as a head."""
    return Head(sitk.Cast(image, sitk.sitkFloat32), brain_of(shown_part(image)), True)


def random_motion(random: np.random.Generator, fixed: Head) -> sitk.Euler3DTransform:
    """Return a rotation up to 25 degrees and a shift up to 40 mm."""
    axis = random.normal(size=3)
    angle = np.radians(random.uniform(0, 25))
    shift = random.normal(size=3)
    shift *= random.uniform(0, 40) / np.linalg.norm(shift)
    turn = sitk.VersorRigid3DTransform()
    turn.SetRotation((axis / np.linalg.norm(axis)).tolist(), float(angle))
    motion = sitk.Euler3DTransform()
    middle = (np.array(fixed.image.GetSize()) - 1) / 2
    motion.SetCenter(fixed.image.TransformContinuousIndexToPhysicalPoint(middle.tolist()))
    motion.SetMatrix(turn.GetMatrix())
    motion.SetTranslation(shift.tolist())
    return motion


def moved_head(head: Head, motion: sitk.Transform, slices_mm: float) -> Head:
    """Return a head as it looks where `motion` maps its new points to the old ones."""
    old = Grid.of(head.image)
    thick = max(slices_mm, old.spacing_xyz_mm[2])
    layers = max(4, int(old.size_xyz[2] * old.spacing_xyz_mm[2] / thick))
    size, spacing = (*old.size_xyz[:2], layers), (*old.spacing_xyz_mm[:2], thick)
    grid = Grid(size, spacing, old.origin_lps_mm, old.direction)
    blurred = head.image
    if thick > 1.5 * old.spacing_xyz_mm[2]:
        blurred = sitk.RecursiveGaussian(head.image, thick / 2.355, direction=2)
    image = moved_onto(blurred, grid, motion)[0]
    brain = moved_onto(head.brain, grid, motion)[0] > 0.5
    if head.is_stripped:
        image = sitk.Mask(image, brain)
    return Head(image, sitk.Cast(brain, sitk.sitkUInt8), head.is_stripped)


def errors(found, base, motion, fixed: Head) -> np.ndarray:
    """Return the distances (mm) over the brain between what was found and what is true."""
    hit = np.argwhere(sitk.GetArrayViewFromImage(fixed.brain) > 0)
    back = motion.GetInverse()
    distances = []
    for index in hit[:: max(1, len(hit) // 300), ::-1].tolist():
        point = fixed.image.TransformIndexToPhysicalPoint(index)
        true = back.TransformPoint(base.TransformPoint(point))
        distances.append(np.subtract(found.TransformPoint(point), true))
    return np.linalg.norm(distances, axis=1)


if __name__ == "__main__":
    main()
