"""The Dice that segmentations promise beside the Dice that they have."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scripted_models.evaluation.folder_scores import Evaluation
from scripted_models.runtime.atomic_files import write_file
from scripted_models.runtime.csv_text import csv_text


def write_confidence(
    evaluation: Evaluation, expected: Mapping[str, Mapping[str, float]], folder: Path
) -> None:
    """Write confidence.csv and .md.

    They hold the estimated beside the measured Dice of each case, and how both correlate.

    Raises:
        ResourceError: the folder cannot be written.
    """
    lines: list[tuple[str, ...]] = [("case", "region", "estimated_dice", "dice")]
    notes = []
    for region in evaluation.mean:
        pairs = [
            (name, expected[name][region], scores[region]["dice"])
            for name, scores in sorted(evaluation.cases.items())
            if region in scores and region in expected.get(name, {})
        ]
        lines += [
            (name, region, f"{promised:.4f}", f"{dice:.4f}") for name, promised, dice in pairs
        ]
        values = np.array([pair[1:] for pair in pairs]).T
        if len(pairs) > 2 and values.std(axis=1).all():
            gap = np.abs(values[0] - values[1]).mean()
            notes.append(
                f"- {region}: Pearson's r {np.corrcoef(values)[0, 1]:.2f} over {len(pairs)} cases, "
                f"mean difference {gap:.3f}\n"
            )
    write_file(folder / "confidence.csv", csv_text(lines))
    write_file(folder / "confidence.md", "Estimated against measured Dice:\n\n" + "".join(notes))
