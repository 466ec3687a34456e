"""Cross-validation of a list of experiments: every case is tested by networks that never saw it.

Each fold is a list run of its own, which tests on the fold and trains on the other cases. So
everything that such a run can do, resuming included, holds for folds, too.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from scripted_models.bundle.description import RegionScores
from scripted_models.errors import InputError
from scripted_models.evaluation.confidence_table import write_confidence
from scripted_models.evaluation.experiment_rows import ExperimentRow
from scripted_models.evaluation.folder_scores import Evaluation, join_evaluations, write_reports
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
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.result_folders import REPORT
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.tasks.brains.case_split import usable_cases
from scripted_models.tasks.known_tasks import TASKS
from scripted_models.tasks.list_run import SCORES, TEST, ListRun
from scripted_models.training import distributed
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.training_run import write_ensemble

MODELS, INCOMPLETE, WORST = "models", "incomplete", "worst"
BESIDE_FOLDS = (CASES, TABLE, SCORES, WORST, MODELS)  # folders of the output that are no folds
CHECKED_PERCENT = 15  # of the cases, those with the lowest expectation
LEAST_CASES = 10  # to say what a low expectation is
LIST_SHARE = 0.8  # of the time of a fold, where sets of sequences are tested afterwards

Reduced = dict[str, dict[str, list[Evaluation]]]  # experiment -> set of sequences -> by fold


def cross_validate(
    experiments: Sequence[Experiment],
    run: ListRun,
    folds: Mapping[str, Sequence[str]],
    only: Sequence[str] = (),
    sequences: bool = False,
) -> list[ExperimentRow]:
    """Train and test all experiments on each fold; the table over all folds is written after each.

    In the end the networks of all folds become an ensemble with the scores in its description.

    Args:
        experiments: their own lists of cases must be empty.
        run: its output receives a folder for each fold, the preprocessed cases, `table`, in
            `scores` those of every case, in `worst` pictures of the worst ones, in `models` the
            ensembles.
        folds: see `folds.folds_of`.
        only: names of the folds to run; empty: all.
        sequences: also test without some sequences, where a model can do without.

    Returns:
        One row for each experiment, over the cases of all folds that were run; none but in the
        first process.

    Raises:
        InputError: unusable data, an unknown fold, or experiments that name cases themselves.
    """
    if unknown := sorted(set(only) - set(folds)):
        raise InputError(found=f"--fold {', '.join(unknown)}", expected=f"some of {list(folds)}")
    for experiment in experiments:
        _refuse_own_split(experiment)
    chosen = [name for name in folds if name in only or not only]
    by_fold: dict[str, list[ExperimentRow]] = {}
    reduced: Reduced = defaultdict(lambda: defaultdict(list))
    rows: list[ExperimentRow] = []
    for index, name in enumerate(chosen):
        whole = run.progress.part(index / len(chosen), (index + 1) / len(chosen))
        whole.message(f"{name} ({index + 1} of {len(chosen)}): {len(folds[name])} cases test")
        part = replace(run, output=run.output / name, cache=run.cache or run.output / CASES)
        listed = replace(part, progress=whole.part(0.0, LIST_SHARE) if sequences else whole)
        tested_on = [_testing_on(experiment, folds[name]) for experiment in experiments]
        by_fold[name] = cast(list[ExperimentRow], run_list(tested_on, listed))
        if sequences:
            part = replace(part, progress=whole.part(LIST_SHARE, 1.0))
            _score_incomplete(experiments, part, folds[name], reduced)
        if distributed.rank() == 0:
            rows = [_joined(list(of_all)) for of_all in zip(*by_fold.values(), strict=True)]
            tested = {name: list(folds[name]) for name in by_fold}
            _write_tables(experiments, rows, run, tested)
    _write_studies(rows, run, folds, reduced)
    if len(chosen) == len(folds):
        for experiment in experiments:
            _write_ensemble(experiment, experiments, run, folds, rows, reduced)
    return rows


def _write_tables(
    experiments: Sequence[Experiment],
    rows: Sequence[ExperimentRow],
    run: ListRun,
    tested: Mapping[str, Sequence[str]],
) -> None:
    """Write the table over all folds so far, and the scores of every case."""
    facts = run_facts(experiments, rows, run, {"folds": tested})
    title = "Cross-validation, beside the paper's table"
    write_experiment_table(rows, facts, run.output / TABLE, title)
    for row in rows:
        write_reports(row.evaluation, run.output / SCORES / row.name)


def _write_studies(
    rows: Sequence[ExperimentRow],
    run: ListRun,
    folds: Mapping[str, Sequence[str]],
    reduced: "Reduced",
) -> None:
    """Write the worst cases, estimated beside measured Dice, and the cost of missing sequences."""
    found = usable_cases(run.data) if rows else {}
    for row in rows:
        results = _results(row, folds, run.output)
        write_gallery(row.evaluation, found, results, run.output / WORST / row.name, run.coding)
        expected = _expected_dice(row, folds, run.output)
        write_confidence(row.evaluation, expected, run.output / SCORES / row.name)
        scores = _by_set(row, reduced[row.name])
        if len(scores) > 1:
            write_sequence_table(scores, run.output / TABLE, row.name)


def _write_ensemble(
    experiment: Experiment,
    experiments: Sequence[Experiment],
    run: ListRun,
    folds: Mapping[str, Sequence[str]],
    rows: Sequence[ExperimentRow],
    reduced: "Reduced",
) -> None:
    """Join the networks of all folds; the first process knows the scores and writes."""
    of_folds = [model_of(experiment, experiments, run.output / name) for name in folds]
    measured: dict[str, object] = {}
    for row in rows:
        if row.name == experiment.name:
            measured |= _measured(_by_set(row, reduced[row.name]), len(folds))
            measured |= _check_below(_expected_dice(row, folds, run.output))
    folder = run.output / MODELS / experiment.name
    write_ensemble(experiment, TASKS["brains"], of_folds, folder, measured)


def _score_incomplete(
    experiments: Sequence[Experiment], run: ListRun, names: Sequence[str], reduced: Reduced
) -> None:
    """Test the models of one fold without some sequences and note the scores."""
    found = usable_cases(run.data)
    for index, experiment in enumerate(experiments):
        folder = model_of(experiment, experiments, run.output)
        segmenter = Segmenter.load(str(folder), run.device)
        progress = run.progress.part(index / len(experiments), (index + 1) / len(experiments))
        scores = score_incomplete(
            segmenter,
            [found[name] for name in names],
            run.output / experiment.name / INCOMPLETE,
            replace(run, progress=progress),
        )
        for key, evaluation in scores.items():
            reduced[experiment.name][key].append(evaluation)


def _expected_dice(
    row: ExperimentRow, folds: Mapping[str, Sequence[str]], output: Path
) -> dict[str, dict[str, float]]:
    """Return the Dice that the tested networks promised, by case and region."""
    return {
        name: read_json(folder / REPORT)["estimated_dice"]
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


def _check_below(expected: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
    """Return the Dice of the whole tumor below which a model should ask for a check."""
    values = [dice["WT"] for dice in expected.values() if "WT" in dice]
    if len(values) < LEAST_CASES:
        return {}
    return {"check_below": {"WT": round(float(np.percentile(values, CHECKED_PERCENT)), 3)}}


def _by_set(row: ExperimentRow, reduced: Mapping[str, list[Evaluation]]) -> dict[str, Evaluation]:
    """Return the scores of an experiment with all sequences and with each smaller set."""
    joined = {key: join_evaluations(key, parts) for key, parts in reduced.items()}
    return {ALL: row.evaluation, **joined}


def _measured(by_set: Mapping[str, Evaluation], folds: int) -> dict[str, object]:
    """Return what a model description holds of the scores."""
    whole = by_set[ALL]
    columns = ("dice", "sensitivity", "ppv", "hd95_mm")
    means = {
        region: RegionScores(**{column: round(row[column], 4) for column in columns})
        for region, row in whole.mean.items()
    }
    protocol = (
        f"Cross-validation with {folds} folds over {len(whole.cases)} cases, each segmented by a "
        "single network that never saw it, mean per case"
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
            found=f"data.folds = {data.folds} in the experiment {experiment.name}",
            expected="0, because the networks of the folds become an ensemble anyway",
            action="take it out",
        )
    if data.train or data.validation or data.test:
        raise InputError(
            found=f"cases in data.train, data.validation or data.test of {experiment.name}",
            expected="none, because the folds name them",
            action="take them out",
        )


def _joined(rows: list[ExperimentRow]) -> ExperimentRow:
    """Join the rows that the folds have for one experiment."""
    first, weights = rows[0], [len(row.evaluation.cases) for row in rows]
    facts = {
        name: value
        for name, value in first.facts.items()
        if all(row.facts[name] == value for row in rows)
    }
    facts["training seconds"] = round(sum(float(row.facts["training seconds"]) for row in rows), 1)
    seconds = [float(row.facts["seconds per test case"]) for row in rows]
    facts["seconds per test case"] = round(
        sum(s * w for s, w in zip(seconds, weights, strict=True)) / sum(weights), 1
    )
    evaluation = join_evaluations(first.name, [row.evaluation for row in rows])
    return replace(first, evaluation=evaluation, facts=facts)
