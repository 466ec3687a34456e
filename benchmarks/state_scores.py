"""Write measured scores, and the sentences of a person, into a model folder and its card.

Run: python benchmarks/state_scores.py MODEL OUTPUT --scores scores.csv [more.csv ...]
--texts texts.toml [--slice-step 4] [--name fast]

The tables are those of `unseen_cases.py`: the rows "as it is" become the scores, the Dice by case
and the estimated Dice below which a check is asked for; rows of fewer sequences become what these
cost. Of a case in several tables the first one counts. In texts.toml stand `protocol`, how the
scores came about, and other keys of the description (`summary`, `limits`, `failures`,
`seconds_per_case`, `memory_gib_per_case`).
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tomllib
import torch
from unseen_cases import PLAIN

from scripted_models.bundle.description import NetworkDescription, RegionScores
from scripted_models.bundle.weights import load_model, write_model
from scripted_models.labels import REGIONS
from scripted_models.sequences import SEQUENCES

CHECKED_PERCENT = 10  # of the cases, those with the lowest estimate
CHECKED = ("WT", "TC")
Rows = Sequence[Mapping[str, str]]


def main(arguments: list[str] | None = None) -> int:
    """Write the folder."""
    options = _parse(arguments)
    rows = [row for path in options.scores for row in csv.DictReader(path.open(encoding="utf-8"))]
    texts = tomllib.loads(options.texts.read_text("utf-8"))
    model = load_model(str(options.model))
    network = model.description.network
    if options.slice_step:
        stepped = {**network.arguments, "slice_step": options.slice_step}
        network = NetworkDescription(network.name, stepped)
        model.network.slice_step = options.slice_step
    stated = replace(
        model.description,
        name=options.name or model.description.name,
        network=network,
        **measured(rows, texts.pop("protocol")),
        **texts,
    )
    write_model(options.output, model.network, stated, torch.float16)
    return 0


def measured(rows: Rows, protocol: str) -> dict[str, object]:
    """Return the parts of a description that scores decide."""
    by_case: dict[str, Mapping[str, str]] = {}
    for row in rows:
        if row["damage"] == PLAIN:
            by_case.setdefault(row["case"], row)
    whole = list(by_case.values())
    fewer = [row for row in rows if set(row["damage"].split("+")) <= set(SEQUENCES)]
    cases = {row["case"] for row in fewer}  # the same with all sequences and with some
    by_set = {"+".join(SEQUENCES): [r for r in whole if not cases or r["case"] in cases]}
    for row in fewer:
        by_set.setdefault(row["damage"], []).append(row)
    return {
        "scores": {
            f"{protocol}, {len(whole)} cases": {
                region: RegionScores(
                    *(_mean(whole, f"{m} {region}") for m in ("dice", "sensitivity", "ppv"))
                )
                for region in REGIONS
            }
        },
        "dice_by_case": {row["case"]: _dice([row]) for row in whole},
        "dice_by_sequences": {key: _dice(part) for key, part in by_set.items()},
        "check_below": {region: _lowest(whole, f"estimated {region}") for region in CHECKED},
    }


def _dice(rows: Rows) -> dict[str, float]:
    return {region: _mean(rows, f"dice {region}") for region in REGIONS}


def _lowest(rows: Rows, column: str) -> float:
    return round(float(np.percentile([float(row[column]) for row in rows], CHECKED_PERCENT)), 3)


def _mean(rows: Rows, column: str) -> float:
    return round(float(np.mean([float(row[column]) for row in rows])), 4)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scores", type=Path, nargs="+", required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--slice-step", type=int, default=0)
    parser.add_argument("--name", default="")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
