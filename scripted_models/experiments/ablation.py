"""What missing sequences cost: test cases segmented again without some of theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.evaluation.folder_scores import Evaluation, evaluate_folders
from scripted_models.evaluation.paper_tables import markdown_table
from scripted_models.labels import REGIONS
from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.runtime.csv_text import csv_text
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.sequences import SEQUENCES, TITLES
from scripted_models.tasks.brains.shared_batch import segment_shared
from scripted_models.tasks.list_run import ListRun
from scripted_models.training import distributed

ALL = "+".join(SEQUENCES)


def incomplete_sets(one_of: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the sets of sequences that lack some and hold one of `one_of`, the larger first."""
    sizes = range(len(SEQUENCES) - 1, 0, -1)
    every = (chosen for size in sizes for chosen in combinations(SEQUENCES, size))
    return [chosen for chosen in every if set(chosen) & set(one_of)]


def score_incomplete(
    segmenter: Segmenter, cases: Sequence[Case], output: Path, run: ListRun
) -> dict[str, Evaluation]:
    """Segment and score cases with every set of sequences that the model can do with.

    What this model has segmented already is not segmented again.

    Args:
        segmenter: holds the model.
        cases: complete ones, with truth.
        output: receives a folder for each set.
        run: says where the truth is, and is told about progress.

    Returns:
        Set, such as 't1c+flair' -> scores; none but in the first process.
    """
    scores = {}
    sets = incomplete_sets(segmenter.model.description.needs_one_of)
    for index, chosen in enumerate(sets):
        key = "+".join(chosen)
        reduced = [
            replace(case, images={m: case.images[m] for m in chosen}, guesses={}) for case in cases
        ]
        part = run.progress.part(index / len(sets), (index + 1) / len(sets))
        segment_shared(segmenter, reduced, output / key, part)
        if distributed.rank() == 0:
            names = [case.name for case in cases]
            scores[key] = evaluate_folders(
                output / key, run.data, truth_coding=run.coding, only=names
            )
    return scores


def dice_by_set(scores: Mapping[str, Evaluation]) -> dict[str, dict[str, float]]:
    """Return the mean Dice of each set by region, as a model description holds it."""
    return {
        key: {region: round(row["dice"], 4) for region, row in evaluation.mean.items()}
        for key, evaluation in scores.items()
    }


def write_sequence_table(scores: Mapping[str, Evaluation], folder: Path, name: str) -> None:
    """Write NAME_sequences.csv and .md: mean Dice of every set, the complete one first.

    Raises:
        ResourceError: the folder cannot be written.
    """
    make_folder(folder)
    table: list[tuple[object, ...]] = [(*SEQUENCES, "region", "cases", "dice", "dice_std")]
    lines = []
    for key, evaluation in scores.items():
        held = [m in key.split("+") for m in SEQUENCES]
        mean, std = evaluation.mean, evaluation.std
        for region in mean:
            count = evaluation.counts[region]["cases"]
            numbers = (f"{part[region]['dice']:.6f}" for part in (mean, std))
            table.append((*map(int, held), region, count, *numbers))
        cells = [
            f"{mean[r]['dice']:.3f} ± {std[r]['dice']:.3f}" if r in mean else "-" for r in REGIONS
        ]
        lines.append([*("x" if there else "" for there in held), *cells])
    titles = [*(TITLES[m] for m in SEQUENCES), *REGIONS]
    write_file(folder / f"{name}_sequences.csv", csv_text(table))
    write_file(folder / f"{name}_sequences.md", markdown_table(titles, lines))
