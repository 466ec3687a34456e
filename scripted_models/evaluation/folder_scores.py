"""Scores of a folder of predicted label maps against the ground truth."""

import json
import platform
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

import scripted_models
from scripted_models.cases.case import Case
from scripted_models.cases.label_maps import LabelMap, read_labels
from scripted_models.cases.mask_folders import first_file
from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import ConfusionMatrix
from scripted_models.evaluation.exchanged_labels import IMPLIED_NOTE, SeenLabels
from scripted_models.evaluation.metrics import (
    CHALLENGE_METRICS,
    DEFINITIONS,
    EMPTY_MASK_POLICY,
    METRICS,
    region_metrics,
)
from scripted_models.evaluation.pairing import (
    assumed_coding,
    chosen_cases,
    doubtful_truths,
    find_predictions,
    find_truths,
    require_predictions,
    unused_predictions,
)
from scripted_models.evaluation.paper_tables import escaped, markdown_beside_paper
from scripted_models.evaluation.score_notes import (
    cavity_notes,
    cavity_scores,
    coding_notes,
    empty_notes,
    lesion_notes,
    voxel_notes,
)
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.header_findings import label_map_doubts
from scripted_models.labels import CAVITY, LABELS, RC, SCORED, LabelCoding, region_mask
from scripted_models.runtime.atomic_files import write_together
from scripted_models.runtime.csv_text import csv_text

COLUMNS = (*METRICS, "truth_ml", "prediction_ml")
_LABEL_NAMES = tuple(LABELS.values())

Scores = dict[str, dict[str, float]]  # region -> column -> value


@dataclass(frozen=True)
class Evaluation:
    """Scores of all cases.

    Attributes:
        name: what was scored; heads the rows of tables.
        cases: case -> region -> column (see `columns`) -> value. A region that the truth's coding
            does not define is absent. 'RC', the cavity, is there where any case shows one.
        coding_notes: sentences about the label codings of the truth.
        warnings: sentences about files that were not used.
        voxels: voxels of all cases by true and predicted label; where a truth has necrosis and
            non-enhancing tumor together, both are necrosis.
    """

    name: str
    cases: dict[str, Scores]
    coding_notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    voxels: ConfusionMatrix = field(default_factory=lambda: ConfusionMatrix.empty(_LABEL_NAMES))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader of the numbers must know."""
        return (*self.coding_notes, *empty_notes(self.counts))

    @property
    def columns(self) -> tuple[str, ...]:
        """COLUMNS, and those of the challenges where all cases have them."""
        return (*COLUMNS, *CHALLENGE_METRICS) if self.is_lesion_wise else COLUMNS

    @property
    def is_lesion_wise(self) -> bool:
        """Whether all cases have the scores of the challenges."""
        rows = [row for scores in self.cases.values() for row in scores.values()]
        return bool(rows) and all(set(CHALLENGE_METRICS) <= set(row) for row in rows)

    @property
    def mean(self) -> Scores:
        """Mean over the cases that have the region."""
        return self._over_cases(np.mean)

    @property
    def std(self) -> Scores:
        """Population standard deviation over the cases that have the region."""
        return self._over_cases(np.std)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Region -> number of cases, and of those with an empty mask (see EMPTY_MASK_POLICY)."""
        return {region: _counts(self._rows(region)) for region in self._regions()}

    def to_dict(self) -> dict[str, object]:
        """Return everything, means and counts included, for JSON."""
        return {
            "name": self.name,
            "mean": self.mean,
            "std": self.std,
            "counts": self.counts,
            "notes": self.notes,
            "warnings": self.warnings,
            "cases": self.cases,
            "voxels": self._voxel_scores(),
        }

    def _voxel_scores(self) -> dict[str, object]:
        iu = zip(self.voxels.classes, self.voxels.class_iu, strict=True)
        table = {name: float(value) for name, value in iu if not np.isnan(value)}
        return {**self.voxels.summary, "iu": table} if self.voxels.counts.any() else {}

    def _regions(self) -> list[str]:
        return [r for r in SCORED if any(r in scores for scores in self.cases.values())]

    def _rows(self, region: str) -> list[dict[str, float]]:
        return [scores[region] for scores in self.cases.values() if region in scores]

    def _over_cases(self, statistic: Callable[[list[float]], Any]) -> Scores:
        columns = self.columns
        return {
            region: {c: float(statistic([row[c] for row in self._rows(region)])) for c in columns}
            for region in self._regions()
        }


def evaluate_folders(
    predictions: Path,
    truth: Path,
    output: Path | None = None,
    *,
    truth_coding: LabelCoding | None = None,
    prediction_coding: LabelCoding | None = None,
    only: Collection[str] | None = None,
    lesion_wise: bool = False,
    on_case: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Score predicted label maps and write metrics.csv, metrics.json and comparison.md.

    Args:
        predictions: folder with `<case>/segmentation.nii.gz` (in the coding that the report.json
            beside it states, else internal labels) or with flat label maps `<case>.nii.gz`,
            `<case>_seg.mha`, `<case>.seg.nrrd` and so on, or with a folder of masks for each case.
        truth: BraTS folder as `find_cases` reads it, or a flat folder of label maps.
        output: folder of the reports, made when absent; None writes nothing.
        truth_coding: overrides what the naming of the truth says; needed for flat label maps whose
            names do not tell the data set and that no file states.
        prediction_coding: of the predictions; needed for flat label maps without a statement (see
            `label_statements`) when the truth's own coding is not the internal one, because then
            two readings are plausible. Where a file states another coding, it is refused.
        only: names of the cases to score; None scores all that have a truth.
        lesion_wise: add the scores of the BraTS challenges (see `challenge_scores`).
        on_case: called with (number done, number of all, case) after each case.

    Returns:
        The scores; nothing is written unless all of them exist.

    Raises:
        InputError: no truth (of a case in `only`), a case without prediction, different grids,
            unknown label values.
        ResourceError: the output cannot be written.
    """
    if output is not None and Path(output).exists() and not Path(output).is_dir():
        raise InputError(
            found="a file", expected="a folder for the reports", action="name another", path=output
        )
    cases, notes_on_truth = find_truths(Path(truth), truth_coding)
    found = find_predictions(Path(predictions))
    unused = unused_predictions(cases, found)
    if only is not None:
        cases = chosen_cases(cases, only, Path(truth))
    require_predictions(cases, found, Path(predictions))
    warnings = [*notes_on_truth, *doubtful_truths(cases, found), *unused]
    scores, voxels = {}, ConfusionMatrix.empty(_LABEL_NAMES)
    codings: list[tuple[str, LabelCoding]] = []
    seen = SeenLabels()
    for done, case in enumerate(cases, start=1):
        pair = _read_pair(case, found[case.name], truth_coding, prediction_coding)
        scores[case.name], counted = _score_case(*pair, lesion_wise)
        voxels += counted
        codings += [("Ground truth", pair[0].coding), ("Predictions", pair[1].coding)]
        seen.add(*pair)
        files = [first_file(path) for path in (case.truth, found[case.name]) if path]
        doubts = label_map_doubts(files[0], files[-1])
        warnings += [*pair[0].notes, *pair[1].notes, *doubts]
        if on_case:
            on_case(done, len(cases), case.name)
    seen.refuse_exchanged()
    _drop_cavity_nowhere(scores)
    name = Path(predictions).resolve().name
    notes = (
        *coding_notes(codings),
        *cavity_notes(scores, seen.truth, seen.prediction),
        *([IMPLIED_NOTE] if seen.count else []),
    )
    evaluation = Evaluation(name, scores, notes, tuple(dict.fromkeys(warnings)), voxels)
    if output is not None:
        write_reports(evaluation, Path(output))
    return evaluation


def join_evaluations(name: str, parts: Sequence[Evaluation]) -> Evaluation:
    """Return the scores of different cases as one evaluation."""
    cases = {case: scores for part in parts for case, scores in part.cases.items()}
    notes = dict.fromkeys(note for part in parts for note in part.coding_notes)
    warnings = dict.fromkeys(warning for part in parts for warning in part.warnings)
    voxels = sum((part.voxels for part in parts), start=ConfusionMatrix.empty(_LABEL_NAMES))
    return Evaluation(name, dict(sorted(cases.items())), tuple(notes), tuple(warnings), voxels)


def comparison_table(evaluation: Evaluation) -> str:
    """Return the mean scores beside the paper's rows as Markdown, with what readers must know."""
    table = markdown_beside_paper(evaluation.mean, evaluation.name, len(evaluation.cases))
    lesion_wise = lesion_notes(evaluation.cases) if evaluation.is_lesion_wise else []
    scores = (*cavity_scores(evaluation.mean), *voxel_notes(evaluation.voxels), *lesion_wise)
    notes = [*evaluation.notes, *scores, *evaluation.warnings]
    listed = "".join(f"- {escaped(note)}\n" for note in notes)
    return f"{table}\n{listed}" if notes else table


def write_reports(evaluation: Evaluation, output: Path) -> None:
    """Write metrics.csv, metrics.json and comparison.md into a folder, each whole or not at all.

    Raises:
        ResourceError: the folder cannot be written, or another run writes there.
    """
    texts = {
        "metrics.csv": _csv_text(evaluation),
        "metrics.json": _json_text(evaluation),
        "comparison.md": comparison_table(evaluation),
    }
    write_together(output, texts)


def _read_pair(
    case: Case, path: Path, truth_coding: LabelCoding | None, stated: LabelCoding | None
) -> tuple[LabelMap, LabelMap]:
    """Read truth and prediction of a case, which lie on one grid."""
    truth = case.read_truth_map(truth_coding)
    prediction = read_labels(
        path,
        stated,
        lambda: assumed_coding(case.name, path, truth.coding),
        option="--prediction-coding",
        predicted=True,
    )
    if difference := prediction.grid.difference(truth.grid, HARMLESS_MM):
        raise InputError(
            found=f"a prediction of case {case.name} on another grid than its ground truth "
            f"{case.truth} "
            f"({difference})",
            expected="the same",
            action="resample the prediction onto the grid of the ground truth",
            path=path,
        )
    return truth, prediction


def _score_case(
    truth: LabelMap, prediction: LabelMap, lesion_wise: bool
) -> tuple[Scores, ConfusionMatrix]:
    grid, maps = truth.grid, (prediction.labels, truth.labels)
    regions = [r for r in truth.coding.scored if r in prediction.coding.scored]
    scores = region_metrics(*maps, grid, regions)
    for region, row in scores.items():
        row["truth_ml"] = _volume_ml(truth.labels, region, grid)
        row["prediction_ml"] = _volume_ml(prediction.labels, region, grid)
    if lesion_wise:
        from scripted_models.evaluation.challenge_scores import challenge_metrics  # loads MONAI

        for region, added in challenge_metrics(*maps, grid, regions).items():
            scores[region] |= added
    predicted, true = maps
    if RC not in regions:  # one of the two cannot tell it
        predicted, true = (np.where(labels == CAVITY, 0, labels) for labels in maps)
    if truth.coding.merged_necrosis:
        predicted, true = (np.where(labels == 3, 1, labels) for labels in (predicted, true))
    return scores, ConfusionMatrix.of(true, predicted, _LABEL_NAMES)


def _drop_cavity_nowhere(scores: dict[str, Scores]) -> None:
    """Take the rows of the cavity out where no truth and no prediction has one."""
    rows = [case[RC] for case in scores.values() if RC in case]
    if not any(row["truth_ml"] or row["prediction_ml"] for row in rows):
        for case in scores.values():
            case.pop(RC, None)


def _volume_ml(labels: np.ndarray, region: str, grid: Grid) -> float:
    return int(np.count_nonzero(region_mask(labels, region))) * grid.voxel_volume_ml


def _counts(rows: list[dict[str, float]]) -> dict[str, int]:
    empty = [(row["truth_ml"] == 0, row["prediction_ml"] == 0) for row in rows]
    return {
        "cases": len(rows),
        "both_empty": empty.count((True, True)),
        "only_truth_empty": empty.count((True, False)),
        "only_prediction_empty": empty.count((False, True)),
    }


def _csv_text(evaluation: Evaluation) -> str:
    lines = (
        (case, region, *(f"{row[column]:.6f}" for column in evaluation.columns))
        for case, scores in (*evaluation.cases.items(), ("mean", evaluation.mean))
        for region, row in scores.items()
    )
    return csv_text([("case", "region", *evaluation.columns), *lines])


def _json_text(evaluation: Evaluation) -> str:
    content = {
        **evaluation.to_dict(),
        "empty_mask_policy": EMPTY_MASK_POLICY,
        "definitions": {column: DEFINITIONS[column] for column in evaluation.columns},
        "versions": {
            "scripted_models": scripted_models.__version__,
            "numpy": np.__version__,
            "SimpleITK": sitk.Version.VersionString(),
            "python": platform.python_version(),
        },
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
