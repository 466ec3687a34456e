"""From which probability on a region should be given, by cross-validation.

Run: python benchmarks/region_thresholds.py RUNS EXPERIMENT --data FOLDER

RUNS is the output of `scripted-models experiments EXPERIMENT --folds N`. Every case is segmented
once more by the network that never saw it. The first table has the mean Dice of each region at
each share, as if every region were decided alone. Then the shares of each fold are chosen on all
other folds and applied to it as `decide_labels` does, so no case helps to choose its own: that is
the gain to expect.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from scripted_models.brain_mask import brain_mask
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.experiments.runner import MODEL, TABLE
from scripted_models.labels import REGIONS, region_mask
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.quality_estimate import region_probability
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.transforms.region_thresholds import decide_labels

Voxels = tuple[np.ndarray, np.ndarray, tuple[int, ...]]
SHARES = np.round(np.arange(0.1, 0.71, 0.05), 2)


def main(arguments: list[str] | None = None) -> int:
    """Print both tables."""
    options = _parse(arguments)
    folds = json.loads((options.runs / TABLE / "table.json").read_text("utf-8"))["facts"]["folds"]
    cases = {case.name: case for case in find_cases(options.data)}
    voxels: dict[str, Voxels] = {}
    for fold, names in folds.items():
        model = options.runs / fold / options.experiment / MODEL
        segmenter = Segmenter.load(str(model), "cpu")
        for name in names:
            voxels[name] = brain_voxels(cases[name], segmenter)
            print(f"{len(voxels)} {name}", file=sys.stderr)
    curves = {name: alone(*voxels[name]) for name in voxels}
    _print_shares(np.mean(list(curves.values()), axis=0), len(voxels))
    rows = []
    for fold, names in folds.items():
        others = [curves[name] for name in voxels if name not in names]
        best = SHARES[np.mean(others, axis=0).argmax(axis=1)]
        least = dict(zip(REGIONS, best.tolist(), strict=True))
        print(f"{fold}: {least}")
        rows += [(most_probable(*voxels[name]), decided(*voxels[name], least)) for name in names]
    for title, dice in zip(
        ("most probable label", "shares of other folds"), np.mean(rows, axis=0), strict=True
    ):
        print(f"{title:22}" + " / ".join(f"{value:.3f}" for value in dice))
    return 0


def brain_voxels(case: Case, segmenter: Segmenter) -> Voxels:
    """Return probabilities (classes, voxels) and truth (voxels) in the brain, and known labels."""
    result = segmenter.segment(case, Progress())
    truth, _ = case.read_truth()
    brain = brain_mask(result.volumes.values())
    return result.probabilities[:, brain].astype(np.float16), truth[brain], result.known_labels


def alone(p: np.ndarray, truth: np.ndarray, known: tuple[int, ...]) -> np.ndarray:
    """Return the Dice (regions, shares) of each region where its probability reaches a share."""
    p = p.astype(np.float32)
    rows = []
    for region in REGIONS:
        found, true = region_probability(p, known, region), region_mask(truth, region)
        rows.append([dice(found >= share, true) for share in SHARES])
    return np.array(rows)


def most_probable(p: np.ndarray, truth: np.ndarray, known: tuple[int, ...]) -> list[float]:
    """Return the Dice of each region with the most probable labels."""
    return decided(p, truth, known, {})


def decided(p: np.ndarray, truth: np.ndarray, known: tuple[int, ...], least: dict) -> list[float]:
    """Return the Dice of each region with labels that shares decide."""
    labels = decide_labels(p.astype(np.float32), known, least)
    return [dice(region_mask(labels, region), region_mask(truth, region)) for region in REGIONS]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice of two masks, 1 if both are empty."""
    total = a.sum() + b.sum()
    return float(2 * (a & b).sum() / total) if total else 1.0


def _print_shares(means: np.ndarray, cases: int) -> None:
    print(f"mean Dice over {cases} cases, each region alone")
    print("share      " + "".join(f"{share:7.2f}" for share in SHARES))
    for region, values in zip(REGIONS, means, strict=True):
        print(f"{region:11}" + "".join(f"{value:7.3f}" for value in values))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="output of a cross-validation")
    parser.add_argument("experiment", help="name of the experiment, such as UNet")
    parser.add_argument("--data", type=Path, required=True, help="folder of cases with label maps")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
