"""How much volumes differ between two scans of an unchanged tumor, as far as the program does it.

Run: python benchmarks/repeat_scans.py CASE_FOLDER... [--model fast] [--copies 2]

Each case is segmented as it is and as copies of it: the head is turned by up to 4 degrees and moved
by up to 2 mm, all sequences are resampled once (cubic B-splines) onto a grid that lies half a voxel
aside, and noise of 2 % of the brain's median is added. One more copy has slices of 3 mm.

The coefficient of repeatability is 1.96 * sqrt(2) * s, where s is the standard deviation within a
case (Bland and Altman 1986, "Statistical methods for assessing agreement between two methods of
clinical measurement", Lancet 327). Two scans of an unchanged tumor differ by less in 95 of 100
pairs. In percent it is taken from the logarithms of the volumes, as the error grows with them.

A real repeat scan differs in more: contrast agent, scanner, positioning. So the true error is
larger.
"""

import argparse
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from moved_cases import acquired, center_of, random_motion

from scripted_models.brain_mask import brain_mask
from scripted_models.cases.case import Case, ImageSource
from scripted_models.cases.discovery import find_cases
from scripted_models.geometry import Grid
from scripted_models.labels import REGIONS
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.segmentation.segmenter import Segmenter

TURN, SHIFT_MM, NOISE = 4.0, 2.0, 0.02
THICK_MM = 3
LEAST_ML = 1.0  # smaller volumes have no percentage worth telling


def main(arguments: list[str] | None = None) -> int:
    """Print the volumes of all copies and the coefficients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path, nargs="+")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--copies", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    segmenter = Segmenter.load(options.model, "cpu")
    cases = [case for folder in options.cases for case in find_cases(folder)]
    print(f"model {options.model}, mL\n\n| case | scan | WT | TC | ET |\n|---|---|---|---|---|")
    thin, thick = [], []
    for case in cases:
        rows = []
        for name, volumes in scans(case, options.copies, segmenter):
            rows.append(volumes)
            cells = " | ".join(f"{ml:.2f}" for ml in volumes)
            print(f"| {case.name} | {name} | {cells} |", flush=True)
        thin.append(rows[:-1])
        thick.append([np.mean(rows[:-1], axis=0).tolist(), rows[-1]])
    print("\n| scans | region | cases | repeatability, mL | in percent | cases of it |")
    print("|---|---|---|---|---|---|")
    for name, groups in (("1 mm, moved", thin), (f"1 mm and {THICK_MM} mm", thick)):
        for index, region in enumerate(REGIONS):
            told = repeatability([[row[index] for row in rows] for rows in groups])
            print(f"| {name} | {region} | {len(groups)} | {told} |")
    return 0


def scans(case: Case, copies: int, segmenter: Segmenter) -> Iterator[tuple[str, list[float]]]:
    """Yield the volumes of the regions in mL: of the case, its moved copies, and a thick one."""
    yield "as it is", volumes_of(case, segmenter)
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    for number, layers in enumerate([1] * copies + [THICK_MM], start=1):
        with tempfile.TemporaryDirectory() as folder:
            copy = repeated(case, Path(folder), random, layers)
            yield f"copy {number}, {layers} mm", volumes_of(copy, segmenter)


def repeated(case: Case, folder: Path, random: np.random.Generator, layers: int) -> Case:
    """Write a copy of a skull-stripped case as another scan of the same day would show it."""
    images = read_on_one_grid(case)
    first = Grid.of(next(iter(images.values())))
    arrays = {m: sitk.GetArrayViewFromImage(image) for m, image in images.items()}
    brain = first.image_from(brain_mask(arrays.values()))
    motion = random_motion(random, center_of(brain), TURN, SHIFT_MM)
    grid = _aside(first, layers)
    sources = {}
    for sequence, image in images.items():
        moved = sitk.GetArrayFromImage(acquired(image, brain, grid, motion, layers))
        inside = moved > 0
        spread = NOISE * float(np.median(moved[inside]))
        noisy = np.maximum(moved + random.normal(0, spread, moved.shape), moved[inside].min())
        path = folder / f"{sequence}.nii"
        values = np.where(inside, noisy, 0).astype(np.float32)
        sitk.WriteImage(grid.image_from(values), str(path))
        sources[sequence] = ImageSource(path)
    return Case(case.name, sources)


def _aside(grid: Grid, layers: int) -> Grid:
    """Return a grid half a voxel aside whose slices are several layers thick."""
    (x, y, z), (dx, dy, dz) = grid.size_xyz, grid.spacing_xyz_mm
    spacing = (dx, dy, dz * layers)
    axes = np.array(grid.direction).reshape(3, 3)
    origin = np.array(grid.origin_lps_mm) + axes @ (np.array(spacing) / 2)
    return Grid((x, y, z // layers), spacing, tuple(origin.tolist()), grid.direction)


def volumes_of(case: Case, segmenter: Segmenter) -> list[float]:
    """Segment a case and return the volumes of the regions in mL."""
    found = segmenter.segment(case, Progress()).volumes_ml
    return [found[region] for region in REGIONS]


def repeatability(groups: Sequence[Sequence[float]]) -> str:
    """Return the coefficients in mL and percent, and of how many cases the latter is."""
    ml = _coefficient(groups)
    large = [np.log(rows).tolist() for rows in groups if min(rows) >= LEAST_ML]
    percent = f"{100 * np.expm1(_coefficient(large)):.1f}" if large else "-"
    return f"{ml:.2f} | {percent} | {len(large)}"


def _coefficient(groups: Sequence[Sequence[float]]) -> float:
    variances = [np.var(rows, ddof=1) for rows in groups]
    return float(1.96 * np.sqrt(2 * np.mean(variances)))


if __name__ == "__main__":
    sys.exit(main())
