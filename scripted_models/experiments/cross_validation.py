"""Cross-validation of a list of experiments: every case is tested by networks that never saw it.

Each fold is a list run of its own, which tests on the fold and trains on the other cases; so everything that
such a run can do, going on after a stop included, holds for folds too.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from scripted_models.bundle.weights import load_model
from scripted_models.cases.patients import site_name, split_patients
from scripted_models.errors import InputError
from scripted_models.evaluation.confidence_table import write_confidence
from scripted_models.evaluation.experiment_rows import ExperimentRow
from scripted_models.evaluation.folders import Evaluation, join_evaluations, write_reports
from scripted_models.experiments.ablation import (
    ALL,
    dice_by_set,
    score_incomplete,
    write_sequence_table,
)
from scripted_models.experiments.failure_gallery import write_gallery
from scripted_models.experiments.runner import (
    CASES,
    TABLE,
    model_of,
    run_facts,
    run_list,
)
from scripted_models.reporting.experiment_table import write_experiment_table
from scripted_models.segmentation.outputs import REPORT
from scripted_models.tasks.brains.case_split import usable_cases
from scripted_models.tasks.known_tasks import TASKS
from scripted_models.tasks.list_run import SCORES, TEST, ListRun
from scripted_models.training import distributed
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.training_run import write_ensemble

MODELS, INCOMPLETE, WORST = "models", "incomplete", "worst"
CHECKED_PERCENT = 15  # of the cases, those with the lowest expectation
LEAST_CASES = 10  # to say what a low expectation is


def folds_of(data: Path, number: int = 0, seed: int = 0) -> dict[str, list[str]]:
    """Split the usable cases of a folder into folds.

    Args:
        data: folder of cases with label maps.
        number: of folds of about equal size, patient by patient; 0: each site is a fold.
        seed: of the split by number.

    Returns:
        Name of a fold -> its cases.

    Raises:
        InputError: fewer patients than folds, or a single site.
    """
    names = sorted(usable_cases(data))
    if number:
        parts = split_patients(names, number, seed)
        return {f"fold{index}": part for index, part in enumerate(parts, start=1)}
    sites = defaultdict(list)
    for name in names:
        sites[site_name(name)].append(name)
    if len(sites) < 2:
        raise InputError(
            f"{data}: found cases of {len(sites)} site, expected at least two to leave one out; use --folds."
        )
    return dict(sorted(sites.items()))


def cross_validate(
    experiments: Sequence[Experiment],
    run: ListRun,
    folds: Mapping[str, Sequence[str]],
    only: Sequence[str] = (),
    sequences: bool = False,
) -> list[ExperimentRow]:
    """Train and test all experiments on each fold; the table over all folds is written after each.

    In the end the networks of all folds become an ensemble that votes, with the scores in its description.

    Args:
        experiments: their own lists of cases must be empty.
        run: its output receives a folder for each fold, the preprocessed cases, `table`, in `scores` the
            scores of every case, in `worst` pictures of the worst ones, and in `models` the ensembles.
        folds: see `folds_of`.
        only: names of the folds to run; empty: all.
        sequences: also test without some sequences, where a model can do without.

    Returns:
        One row for each experiment, over the cases of all folds that were run; none but in the first process.

    Raises:
        InputError: unusable data, an unknown fold, or experiments that name cases themselves.
    """
    if unknown := sorted(set(only) - set(folds)):
        raise InputError(f"--fold: found {unknown}, expected some of {list(folds)}.")
    for experiment in experiments:
        _refuse_own_split(experiment)
    chosen = [name for name in folds if name in only or not only]
    by_fold: dict[str, list[ExperimentRow]] = {}
    reduced: dict[str, dict[str, list[Evaluation]]] = defaultdict(lambda: defaultdict(list))
    rows: list[ExperimentRow] = []
    for index, name in enumerate(chosen):
        run.progress.message(
            f"{name} ({index + 1} of {len(chosen)}): {len(folds[name])} cases test"
        )
        part = replace(
            run, output=run.output / name, cache=run.cache or run.output / CASES,
            span=(index / len(chosen), (index + 1) / len(chosen)),
        )  # fmt: skip
        tested_on = [_testing_on(experiment, folds[name]) for experiment in experiments]
        by_fold[name] = cast(list[ExperimentRow], run_list(tested_on, part))
        if sequences:
            _score_incomplete(experiments, part, folds[name], reduced)
        if distributed.rank() == 0:
            rows = [_joined(list(of_all)) for of_all in zip(*by_fold.values(), strict=True)]
            tested = {name: list(folds[name]) for name in by_fold}
            facts = run_facts(experiments, rows, run, {"folds": tested})
            title = "Cross-validation, beside the paper's table"
            write_experiment_table(rows, facts, run.output / TABLE, title)
            for row in rows:
                write_reports(row.evaluation, run.output / SCORES / row.name)
    if distributed.rank() == 0:
        found = usable_cases(run.data)
        for row in rows:
            results = _results(row, folds, run.output)
            write_gallery(row.evaluation, found, results, run.output / WORST / row.name, run.coding)
    expected = {row.name: _expected_dice(row, folds, run.output) for row in rows}
    for row in rows:
        write_confidence(row.evaluation, expected[row.name], run.output / SCORES / row.name)
    by_set = {row.name: _by_set(row, reduced[row.name]) for row in rows}
    for name, scores in by_set.items():
        if len(scores) > 1:
            write_sequence_table(scores, run.output / TABLE, name)
    if len(chosen) == len(folds):
        for experiment in experiments:
            of_folds = [model_of(experiment, experiments, run.output / name) for name in folds]
            measured = _measured(by_set.get(experiment.name, {}), len(folds))
            measured |= _check_below(expected.get(experiment.name, {}))
            folder = run.output / MODELS / experiment.name
            write_ensemble(experiment, TASKS["brains"], of_folds, folder, measured)
    return rows


def _score_incomplete(experiments, run: ListRun, names: Sequence[str], reduced: dict) -> None:
    """Test the models of one fold without some sequences and note the scores."""
    found = usable_cases(run.data)
    for experiment in experiments:
        model = load_model(str(model_of(experiment, experiments, run.output)))
        folder = run.output / experiment.name / INCOMPLETE
        scores = score_incomplete(model, [found[name] for name in names], folder, run)
        for key, evaluation in scores.items():
            reduced[experiment.name][key].append(evaluation)


def _expected_dice(
    row: ExperimentRow, folds: Mapping[str, Sequence[str]], output: Path
) -> dict[str, dict[str, float]]:
    """Return the Dice that the tested networks promised, by case and region."""
    return {
        name: json.loads((folder / REPORT).read_text(encoding="utf-8"))["estimated_dice"]
        for name, folder in _results(row, folds, output).items()
    }


def _results(
    row: ExperimentRow, folds: Mapping[str, Sequence[str]], output: Path
) -> dict[str, Path]:
    """Return the folder of each tested case's segmentation."""
    return {
        name: output / fold / row.name / TEST / name
        for fold, names in folds.items()
        for name in names
        if name in row.evaluation.cases
    }


def _check_below(expected: Mapping[str, Mapping[str, float]]) -> dict:
    """Return the Dice for the complete tumor below which a model should ask for a check."""
    values = [dice["WT"] for dice in expected.values() if "WT" in dice]
    if len(values) < LEAST_CASES:
        return {}
    return {"check_below": {"WT": round(float(np.percentile(values, CHECKED_PERCENT)), 3)}}


def _by_set(row: ExperimentRow, reduced: Mapping[str, list[Evaluation]]) -> dict[str, Evaluation]:
    """Return the scores of an experiment with all sequences and with each smaller set."""
    joined = {key: join_evaluations(key, parts) for key, parts in reduced.items()}
    return {ALL: row.evaluation, **joined}


def _measured(by_set: Mapping[str, Evaluation], folds: int) -> dict:
    """Return what a model description holds of the scores."""
    if not by_set:
        return {}
    whole = by_set[ALL]
    columns = ("dice", "sensitivity", "ppv", "hd95_mm")
    means = {
        region: {column: round(row[column], 4) for column in columns}
        for region, row in whole.mean.items()
    }
    protocol = (
        f"Cross-validation with {folds} folds over {len(whole.cases)} cases, each segmented by a single "
        "network that never saw it, mean per case"
    )
    cases = {
        name: {region: round(row["dice"], 4) for region, row in scores.items()}
        for name, scores in whole.cases.items()
    }
    sets = {"dice_by_sequences": dice_by_set(by_set)} if len(by_set) > 1 else {}
    return {"scores": {protocol: means}, "dice_by_case": cases, **sets}


def _testing_on(experiment: Experiment, cases: Sequence[str]) -> Experiment:
    return replace(experiment, data=replace(experiment.data, test=tuple(cases), test_every=0))


def _refuse_own_split(experiment: Experiment) -> None:
    data = experiment.data
    if data.folds:
        raise InputError(
            f"The experiment {experiment.name} has data.folds = {data.folds}, expected 0, because the networks "
            "of the folds become an ensemble anyway; take it out."
        )
    if data.train or data.validation or data.test:
        raise InputError(
            f"The experiment {experiment.name} names cases in data.train, data.validation or data.test, "
            "expected none, because the folds do; take them out."
        )


def _joined(rows: list[ExperimentRow]) -> ExperimentRow:
    """Join the rows that the folds have for one experiment."""
    first, weights = rows[0], [len(row.evaluation.cases) for row in rows]
    facts = {
        name: value
        for name, value in first.facts.items()
        if all(row.facts[name] == value for row in rows)
    }
    facts["training seconds"] = round(sum(row.facts["training seconds"] for row in rows), 1)
    seconds = [row.facts["seconds per test case"] for row in rows]
    facts["seconds per test case"] = round(
        sum(s * w for s, w in zip(seconds, weights, strict=True)) / sum(weights), 1
    )
    evaluation = join_evaluations(first.name, [row.evaluation for row in rows])
    return replace(first, evaluation=evaluation, facts=facts)
