"""Models on cases that they never saw, as they are and damaged, by site and by kind of tumor.

Run: python benchmarks/unseen_cases.py MODEL [MODEL ...] --data FOLDER [--damage thicken cut ...]
[--sequences] [--slice-step 4] [--groups benchmarks/shipped_models/groups.csv] [--only CASE ...]
[--output scores.csv]

A case counts for the first MODEL whose card does not name it among the training cases, so that the
networks of a cross-validation are given together. Damages are those of
`tasks.brains.degradation`, each with the same seed for every model, and `contrast_suppressed`,
whose T1c follows from T1: enhancing tumor that is found there is wrong. `--sequences` also leaves
sequences out, every set that a model can do with. `--slice-step` is that of `fast`. The mean over
groups, which a group of many easy cases cannot lift, is the number to move.
"""

import argparse
import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case, ImageSource
from scripted_models.evaluation.metrics import region_metrics
from scripted_models.experiments.ablation import incomplete_sets
from scripted_models.geometry import Grid
from scripted_models.labels import REGIONS
from scripted_models.runtime.csv_text import csv_text
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_split import usable_cases
from scripted_models.tasks.brains.contrast_suppression import remove_enhancement
from scripted_models.tasks.brains.degradation import KINDS, degrade

PLAIN = "as it is"
SUPPRESSED = "contrast_suppressed"
METRICS = ("dice", "sensitivity", "ppv")
GROUPS = Path(__file__).parent / "shipped_models" / "groups.csv"
Row = dict[str, object]


def main(arguments: list[str] | None = None) -> int:
    """Segment, score and print the tables."""
    options = _parse(arguments)
    groups = read_groups(options.groups)
    segmenters = [
        Segmenter.load(model, preparation=PreparationOptions("never")) for model in options.models
    ]
    for segmenter in segmenters if options.slice_step else ():
        segmenter.model.network.slice_step = options.slice_step
    rows: list[Row] = []
    for name, case in sorted(usable_cases(options.data).items()):
        unseen = [s for s in segmenters if name not in s.model.description.training.train]
        if not unseen or (options.only and name not in options.only):
            continue
        sets = incomplete_sets(unseen[0].model.description.needs_one_of)
        reduced = ["+".join(chosen) for chosen in sets] if options.sequences else []
        for damage in (PLAIN, *options.damage, *reduced):
            scores = score(unseen[0], case, damage)
            rows.append({"case": name, "damage": damage, **groups.get(name, {}), **scores})
            shown = " ".join(f"{scores[f'dice {region}']:.3f}" for region in REGIONS)
            print(f"{name:28s} {damage:10s} {shown}", file=sys.stderr, flush=True)
    if options.output:
        titles = list(rows[0])
        lines = [titles, *([row.get(title, "") for title in titles] for row in rows)]
        options.output.write_text(csv_text(lines), encoding="utf-8")
    for column in ("kind", "site"):
        print(table(rows, column))
    print(confidence(rows))
    return 0


def score(segmenter: Segmenter, case: Case, damage: str) -> dict[str, float]:
    """Segment a case, damaged or not, or with a set of its sequences, and return its scores."""
    truth = case.read_truth_map(None)
    volumes = [sitk.DICOMOrient(case.images[m].read(), "LPS") for m in SEQUENCES]
    grid = Grid.of(volumes[0])
    image = np.stack([sitk.GetArrayFromImage(v).astype(np.float32) for v in volumes])
    labels = sitk.GetArrayFromImage(sitk.DICOMOrient(truth.grid.image_from(truth.labels), "LPS"))
    if damage == SUPPRESSED:
        image, labels = remove_enhancement(image, labels)
    elif damage in KINDS:
        image, labels = degrade(image, labels, seed=sum(map(ord, case.name)), kinds=[damage])
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        for sequence, array in zip(SEQUENCES, image, strict=True):
            if damage in (PLAIN, SUPPRESSED, *KINDS) or sequence in damage.split("+"):
                path = Path(folder) / f"{sequence}.nii"
                sitk.WriteImage(grid.image_from(array), str(path))
                sources[sequence] = ImageSource(path)
        found = segmenter.segment(Case(case.name, sources), Progress())
    measured = region_metrics(found.labels, labels, grid)
    return {
        f"{metric} {region}": round(float(measured[region][metric]), 4)
        for metric in METRICS
        for region in REGIONS
    } | {
        f"estimated {region}": round(found.estimated_dice.get(region, float("nan")), 4)
        for region in REGIONS
    }


def read_groups(path: Path) -> dict[str, dict[str, str]]:
    """Return site and kind of each case of a table."""
    with path.open(encoding="utf-8", newline="") as lines:
        return {row.pop("case"): row for row in csv.DictReader(lines)}


def table(rows: Iterable[Mapping[str, object]], column: str) -> str:
    """Return the means of each group, and their mean over groups, as Markdown."""
    grouped: dict[tuple[str, str], list[Mapping[str, object]]] = defaultdict(list)
    for row in rows:
        grouped[str(row["damage"]), str(row.get(column, "other"))].append(row)
    lines = [
        f"| input | {column} | cases | Dice | sensitivity | PPV |",
        "|---|---|---|---|---|---|",
    ]
    means: dict[str, list[list[float]]] = defaultdict(list)
    for (damage, group), members in grouped.items():
        numbers = [np.mean([r[f"{m} {g}"] for r in members]) for m in METRICS for g in REGIONS]
        means[damage].append(numbers)
        lines.append(f"| {damage} | {group} | {len(members)} | {_cells(numbers)} |")
    for damage, of_groups in means.items():
        lines.append(f"| {damage} | mean over groups | | {_cells(np.mean(of_groups, axis=0))} |")
    return "\n".join(lines) + "\n"


def confidence(rows: Iterable[Mapping[str, object]]) -> str:
    """Return how the estimated Dice agrees with the measured one, as Markdown."""
    lines = ["| input | region | Pearson's r | mean difference |", "|---|---|---|---|"]
    by_damage: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for row in rows:
        by_damage[str(row["damage"])].append(row)
    for damage, members in by_damage.items():
        for region in REGIONS:
            pairs = np.array([[r[f"{m} {region}"] for m in ("estimated", "dice")] for r in members])
            pairs = pairs[~np.isnan(pairs).any(axis=1)]
            r = np.corrcoef(pairs.T)[0, 1] if len(pairs) > 2 and pairs.std(axis=0).all() else np.nan
            far = np.abs(pairs[:, 0] - pairs[:, 1]).mean() if len(pairs) else np.nan
            lines.append(f"| {damage} | {region} | {r:.2f} | {far:.3f} |")
    return "\n".join(lines) + "\n"


def _cells(numbers: Iterable[float]) -> str:
    numbers = list(numbers)
    return " | ".join(" / ".join(f"{n:.3f}" for n in numbers[i : i + 3]) for i in (0, 3, 6))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--damage", nargs="+", choices=[*KINDS, SUPPRESSED], default=[])
    parser.add_argument("--sequences", action="store_true")
    parser.add_argument("--slice-step", type=int, default=0, help="default: as the models say")
    parser.add_argument("--groups", type=Path, default=GROUPS)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--output", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
