"""A model trained further on a few cases of a site that it never saw: what is gained, what is lost.

Run: python benchmarks/personalise.py BASE --data FOLDER --site "BraTS 2021" [--column site]
[--groups benchmarks/shipped_models/groups.csv] [--counts 3 5 10] [--repeats 1] [--others 8]
[--epochs 16] [--threads 2] [--set KEY=VALUE ...] [--output scores.csv]

BASE is a model that was trained without the site, such as a fold of `experiments --groups`. For
each count so many cases of the site are drawn and personalised as a user would, held-out cases and
all. The model is scored on the cases of the site that were not drawn, and on some cases of other
sites, which BASE has mostly seen in training: what is lost there is forgotten. Whether the user
would have been offered the model stands in the table; it is scored in any case. The minutes are
those of the whole command, before and after included.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from unseen_cases import GROUPS, PLAIN, score

from scripted_models.cases.case import Case
from scripted_models.cases.patient_table import read_groups
from scripted_models.cases.patients import patient_name, split_patients
from scripted_models.errors import InputError
from scripted_models.experiments.personal_model import AS_PREPARED, PersonalRun, personalise
from scripted_models.labels import REGIONS
from scripted_models.runtime.csv_text import csv_text
from scripted_models.runtime.progress import make_progress
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_split import usable_cases

SAME, OTHERS = "same site", "other sites"
Scores = dict[str, dict[str, float]]  # case -> 'dice WT' and so on


def main(arguments: list[str] | None = None) -> int:
    """Personalise for each count, score before and after, print the table."""
    options = _parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    cases = usable_cases(options.data)
    groups = read_groups(options.groups, options.column)
    base = Segmenter.load(options.base, preparation=AS_PREPARED)
    site, others = sides(cases, groups, options.site, base.model.description.training.train)
    known: Scores = {}  # by the base model
    rows: list[dict[str, object]] = []
    for count in options.counts:
        for seed in range(options.repeats):
            drawn, rest = draw(site, count, seed)
            tested = {SAME: rest, OTHERS: drawn_few(others, options.others, seed)}
            rows += measure(base, cases, drawn, tested, known, seed, options)
    if options.output:
        titles = list(rows[0])
        lines = [titles, *([row[title] for title in titles] for row in rows)]
        options.output.write_text(csv_text(lines), encoding="utf-8")
    print(table(rows))
    return 0


def sides(
    cases: Iterable[str], groups: Mapping[str, str], site: str, seen: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the cases of the site and of all others.

    Raises:
        InputError: the base model has seen the site, or there is none of that name.
    """
    own = sorted(name for name in cases if groups.get(name) == site)
    if not own or set(own) & set(seen):
        raise InputError(
            found=f"{len(own)} cases of '{site}', {len(set(own) & set(seen))} of which have "
            "trained the base model",
            expected="a site that it never saw",
            action=f"name one of {', '.join(sorted(set(groups.values())))} with --site",
        )
    return own, sorted(name for name in cases if groups.get(name, site) != site)


def draw(site: Sequence[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """Draw about so many cases, whole patients, and return them and the rest of the site."""
    patients = len({patient_name(name).casefold() for name in site})
    drawn: list[str] = []
    for part in split_patients(site, patients, seed):  # one patient in each
        if len(drawn) < count:
            drawn += part
    rest = sorted(set(site) - set(drawn))
    if len(drawn) < count or not rest:
        raise InputError(
            found=f"{len(site)} cases of the site",
            expected=f"more than {count}, so that some are left to be tested",
            action="lower --counts",
        )
    return sorted(drawn), rest


def drawn_few(names: Sequence[str], most: int, seed: int) -> list[str]:
    """Draw some names."""
    order = np.random.default_rng(seed).permutation(len(names))
    return sorted(names[index] for index in order[:most])


def link_cases(cases: Mapping[str, Case], names: Iterable[str], folder: Path) -> None:
    """Link the files of cases into a folder of their own; names still tell what they are."""
    for name in names:
        case = cases[name]
        paths = {p for m in SEQUENCES for p in case.images[m].files} | {case.truth}
        (folder / name).mkdir(parents=True)
        for path in filter(None, paths):
            (folder / name / path.name).symlink_to(path.resolve())


def measure(
    base: Segmenter,
    cases: Mapping[str, Case],
    drawn: Sequence[str],
    tested: Mapping[str, Sequence[str]],
    known: Scores,
    seed: int,
    options: argparse.Namespace,
) -> list[dict[str, object]]:
    """Personalise on the drawn cases and return a row for each side."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, output = Path(scratch) / "cases", Path(scratch) / "personal"
        link_cases(cases, drawn, folder)
        started = time.monotonic()
        offered = personalise(_run(folder, output, seed, options)).is_better
        minutes = (time.monotonic() - started) / 60
        personal = Segmenter.load(str(output), preparation=AS_PREPARED)
        facts = {
            "cases": len(drawn),
            "seed": seed,
            "minutes": round(minutes, 1),
            "offered": "yes" if offered else "no",
        }
        sides = tested.items()
        return [_row(facts, side, names, cases, (base, personal), known) for side, names in sides]


def _run(folder: Path, output: Path, seed: int, options: argparse.Namespace) -> PersonalRun:
    overrides = [setting for group in options.set for setting in group]
    if options.epochs:
        overrides.append(f"training.phase1.epochs={options.epochs}")
    return PersonalRun(
        folder,
        options.base,
        output,
        make_progress("bar"),
        seed=seed,
        device=options.device,
        overrides=overrides,
        always=True,
    )


def _row(
    facts: Mapping[str, object],
    side: str,
    names: Sequence[str],
    cases: Mapping[str, Case],
    models: tuple[Segmenter, Segmenter],
    known: Scores,
) -> dict[str, object]:
    base, personal = models
    for name in names:
        if name not in known:
            known[name] = score(base, cases[name], PLAIN)
    after = {name: score(personal, cases[name], PLAIN) for name in names}
    print(f"{side}: {', '.join(names)}", file=sys.stderr, flush=True)
    found: dict[str, object] = {**facts, "tested on": side, "tested": len(names)}
    for title, scored in (("before", known), ("after", after)):
        for region in REGIONS:
            values = [scored[name][f"dice {region}"] for name in names]
            found[f"{title} {region}"] = round(float(np.mean(values)), 4)
    return found


def table(rows: Iterable[Mapping[str, object]]) -> str:
    """Return the rows as Markdown, those of one count and side as their mean."""
    grouped: dict[tuple[object, object], list[Mapping[str, object]]] = {}
    for row in rows:
        grouped.setdefault((row["cases"], row["tested on"]), []).append(row)
    lines = [
        "| cases | tested on | Dice before WT / TC / ET | after | change of the mean | offered | "
        "minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for (count, side), members in grouped.items():
        before, after = (
            [float(np.mean([float(str(m[f"{title} {r}"])) for m in members])) for r in REGIONS]
            for title in ("before", "after")
        )
        offered = sum(m["offered"] == "yes" for m in members)
        minutes = np.mean([float(str(m["minutes"])) for m in members])
        lines.append(
            f"| {count} | {side}, {members[0]['tested']} cases | {_cells(before)} | "
            f"{_cells(after)} | {np.mean(after) - np.mean(before):+.3f} | "
            f"{offered} of {len(members)} | {minutes:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _cells(values: Iterable[float]) -> str:
    return " / ".join(f"{value:.3f}" for value in values)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--groups", type=Path, default=GROUPS)
    parser.add_argument("--column", default="site", help="of the table of groups")
    parser.add_argument("--site", required=True, help="group that BASE never saw")
    parser.add_argument("--counts", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--repeats", type=int, default=1, help="draws for each count")
    parser.add_argument(
        "--others", type=int, default=8, help="cases of other sites that are tested"
    )
    parser.add_argument("--epochs", type=int, default=0, help="default: as the command has it")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--set", action="append", default=[], nargs="+", metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
