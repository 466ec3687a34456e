"""What turning, moving, thick slices and other grids cost in Dice, and a wrong brain mask.

Run: python benchmarks/raw_route.py CASE_FOLDER... [--model fast] [--slices 1 5] [--headers right]

Each case is segmented as it is (the baseline of all differences) and then as copies that
`moved_cases` makes, which the package prepares itself. Rows:

- carried over: probabilities of the untouched case brought onto the grid of the copy's T1c. It is
  what the grid alone costs.
- 1 mm, native grid: what `segment` does. The network sees the working grid of 1 mm.
- 1 mm, working grid: the same, scored on the working grid.
- native route: the volumes resampled onto the grid of the raw T1c, which the network sees.
- masks: the working grid with the brain mask eroded (-) or dilated by some mm (`--masks`). A rim
  that a dilated mask adds continues the gray levels of the brain beside it: a stripped case has
  none of its own.

Registration errors are means over the brain of the copies, against the motion that was made.
"""

import argparse
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from moved_cases import REFERENCE, MovedCase, moved_case

from scripted_models.cases.case import Case, ImageSource
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.checks import WARNING
from scripted_models.labels import REGIONS, region_mask
from scripted_models.preparation.image_preparation import Prepared
from scripted_models.preparation.working_grids import moved_onto, probabilities_on
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.result import Segmentation
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.segmentation.volume_steps import decide
from scripted_models.tasks.brains.case_split import usable_cases

AS_IT_IS = PreparationOptions("never")
FAILED_MM = 4.0
Row = tuple[str, str, list[float]]  # what, form, Dice of each region


@dataclass(frozen=True)
class Error:
    """Of one registration: mean distance over the brain, and whether a warning names it."""

    mm: float
    is_told: bool


def main(arguments: list[str] | None = None) -> int:
    """Print a table of each case and of the means."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    segmenter = Segmenter.load(options.model, "cpu", PreparationOptions())
    cases = [case for folder in options.cases for case in usable_cases(folder).values()]
    if not cases:
        raise InputError(
            path=options.cases[0],
            found="no case with four images and a label map",
            expected="skull-stripped cases",
            action="name their folders",
        )
    rows: list[Row] = []
    errors: list[Error] = []
    for case in cases:
        started = time.process_time()
        found = list(rows_of(case, segmenter, options, errors))
        print(f"\n{case.name}, {time.process_time() - started:.0f} CPU-s", flush=True)
        print_rows(found)
        rows += found
    print(f"\nmeans of {len(cases)} cases, model {options.model}, seed {options.seed}")
    names = dict.fromkeys(row[:2] for row in rows)
    print_rows([(*n, np.mean([r[2] for r in rows if r[:2] == n], axis=0).tolist()) for n in names])
    print_errors(errors)
    return 0


def rows_of(
    case: Case, segmenter: Segmenter, options: argparse.Namespace, errors: list[Error]
) -> Iterator[Row]:
    """Yield the rows of a case, the untouched one first; add the errors of registrations."""
    plain = _with(segmenter, AS_IT_IS).segment(case, Progress())
    yield "untouched", "", dice(plain.labels, case.read_truth()[0])
    for slices in options.slices:
        for headers in options.headers:
            what = f"{slices} mm, headers {headers}"
            random = np.random.default_rng(
                [options.seed, zlib.crc32(f"{case.name} {what}".encode())]
            )
            with tempfile.TemporaryDirectory() as folder:
                copy = moved_case(case, Path(folder), random, slices, headers == "right")
                result = segmenter.segment(copy.case, Progress())
                errors += registration_errors(copy, result)
                for form, scores in forms(copy, plain, result, segmenter, Path(folder)):
                    yield what, form, scores
                if slices == min(options.slices) and headers == options.headers[0]:
                    for form, scores in masks(copy, result, segmenter, options.masks, Path(folder)):
                        yield what, form, scores


def forms(
    copy: MovedCase, plain: Segmentation, result: Segmentation, segmenter: Segmenter, folder: Path
) -> Iterator[tuple[str, list[float]]]:
    """Yield the Dice of the ways from a copy to its result."""
    prepared = _prepared(result)
    native, working = result.grid, prepared.working
    truth = copy.truth_on(native)
    brain = result.volumes[REFERENCE] != 0
    carried = probabilities_on(plain.probabilities, plain.grid, native, copy.head)
    yield "carried over", dice(decide(carried, brain, native, segmenter.model).labels, truth)
    yield "1 mm, native grid", dice(result.labels, truth)
    if native.matches(working):
        return
    again = segmented(prepared, prepared.brain, segmenter, folder)
    yield "1 mm, working grid", dice(again.labels, copy.truth_on(working))
    own = moved_onto(prepared.brain, native)[0] > 0.5
    yield "native route", dice(segmented(prepared, own, segmenter, folder).labels, truth)


def masks(
    copy: MovedCase, result: Segmentation, segmenter: Segmenter, sizes: list[int], folder: Path
) -> Iterator[tuple[str, list[float]]]:
    """Yield the Dice on the working grid with brain masks that are too small or too large."""
    prepared = _prepared(result)
    truth = copy.truth_on(prepared.working)
    for size in sorted({*sizes, *(-s for s in sizes)}):
        brain = grown(prepared.brain, size)
        labels = segmented(prepared, brain, segmenter, folder, rim=True).labels
        yield f"mask {size:+d} mm", dice(labels, truth)


def segmented(
    prepared: Prepared, brain: sitk.Image, segmenter: Segmenter, folder: Path, rim: bool = False
) -> Segmentation:
    """Segment prepared volumes on the grid of a brain mask and with it.

    Args:
        prepared: how the volumes lie.
        brain: uint8, 0 or 1.
        segmenter: its model is taken.
        folder: for the volumes.
        rim: continue the gray levels of the brain where the volumes have none.
    """
    grid, sources = Grid.of(brain), {}
    for sequence, image in prepared.native.items():
        volume = moved_onto(image, grid, prepared.transform_of(sequence))[0]
        if rim:
            volume = continued(volume)
        sources[sequence] = ImageSource(folder / f"prepared_{sequence}.nii")
        sitk.WriteImage(sitk.Mask(volume, brain), str(sources[sequence].path))
    return _with(segmenter, AS_IT_IS).segment(Case("prepared", sources), Progress())


def grown(mask: sitk.Image, mm: float) -> sitk.Image:
    """Return a mask that is larger by a distance, or smaller by a negative one."""
    distance = sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True)
    return sitk.Cast(distance <= mm, sitk.sitkUInt8)


def continued(volume: sitk.Image) -> sitk.Image:
    """Fill the zeros of a volume beside others with the mean of those within some mm."""
    shown = sitk.Cast(volume != 0, sitk.sitkFloat32)
    total, count = (sitk.SmoothingRecursiveGaussian(v, 1.5) for v in (volume * shown, shown))
    near = sitk.Cast(count > 1e-3, sitk.sitkFloat32)
    beside = sitk.Cast(total / (count + 1e-6), sitk.sitkFloat32)
    return volume * shown + (1 - shown) * near * beside


def registration_errors(copy: MovedCase, result: Segmentation) -> list[Error]:
    """Return the errors of the registrations of a copy."""
    prepared = _prepared(result)
    hit = np.argwhere(sitk.GetArrayViewFromImage(prepared.brain) > 0)
    chosen = hit[:: max(1, len(hit) // 300), ::-1].tolist()
    points = [prepared.brain.TransformIndexToPhysicalPoint(index) for index in chosen]
    told = {
        slot
        for finding in prepared.findings
        if finding.severity == WARNING and "same patient" in finding.action
        for slot in finding.slots
    }
    errors = []
    for sequence in prepared.registrations:
        found = prepared.transform_of(sequence) or sitk.Transform()
        true = copy.motions[sequence]
        apart = [np.subtract(found.TransformPoint(p), true.TransformPoint(p)) for p in points]
        mean = float(np.linalg.norm(apart, axis=1).mean())
        errors.append(Error(mean, sequence in told))
    return errors


def dice(labels: np.ndarray, truth: np.ndarray) -> list[float]:
    """Return the Dice of each region, 1 where both are empty."""
    scores = []
    for region in REGIONS:
        a, b = region_mask(labels, region), region_mask(truth, region)
        total = int(a.sum()) + int(b.sum())
        scores.append(2 * int((a & b).sum()) / total if total else 1.0)
    return scores


def print_rows(rows: list[Row]) -> None:
    """Print Dice and the difference to the first row."""
    print(f"{'':24} {'Dice':20} {'  '.join(REGIONS):>20}   {'difference':>21}")
    base = rows[0][2]
    for what, form, scores in rows:
        numbers = " ".join(f"{score:6.3f}" for score in scores)
        differences = " ".join(f"{a - b:+7.3f}" for a, b in zip(scores, base, strict=True))
        print(f"{what:24} {form:20} {numbers:>20}   {differences}", flush=True)


def print_errors(errors: list[Error]) -> None:
    """Print one line about all registrations."""
    failed = [error for error in errors if error.mm > FAILED_MM]
    alarms = sum(error.is_told for error in errors) - sum(error.is_told for error in failed)
    mm = [error.mm for error in errors]
    print(
        f"{len(errors)} registrations: mean {np.mean(mm):.2f} mm, worst {max(mm):.2f} mm; "
        f"{len(failed)} failed, {sum(e.is_told for e in failed)} of them told; "
        f"{alarms} false alarms"
    )


def _with(segmenter: Segmenter, preparation: PreparationOptions) -> Segmenter:
    return Segmenter(segmenter.model, "cpu", preparation)


def _prepared(result: Segmentation) -> Prepared:
    if result.prepared is None:
        raise ValueError("a copy was not prepared")
    return result.prepared


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("cases", type=Path, nargs="+", help="folders of skull-stripped cases with label maps")
    add("--model", default="fast")
    add("--slices", type=int, nargs="+", default=[1, 5], help="thickness in mm")
    add("--headers", choices=("right", "wrong"), nargs="+", default=["right", "wrong"])
    add("--masks", type=int, nargs="*", default=[], help="erode and dilate the mask by so many mm")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
