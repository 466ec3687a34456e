"""The worst cases of an evaluation as pictures, to look at what a model gets wrong."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case
from scripted_models.evaluation.folder_scores import Evaluation
from scripted_models.images.volume_files import read_label_map
from scripted_models.labels import LabelCoding
from scripted_models.pictures.render import picture_input, render_overlay, write_png
from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.segmentation.result_folders import SEGMENTATION

SHOWN = 6


def write_gallery(
    evaluation: Evaluation,
    cases: Mapping[str, Case],
    results: Mapping[str, Path],
    output: Path,
    coding: LabelCoding | None = None,
) -> list[str]:
    """Write the cases with the lowest mean Dice as pictures, with the truth beside, and a list.

    The pictures show patients: they are for the disk of whoever has the data, not for publication.

    Args:
        evaluation: scores of all cases.
        cases: by name.
        results: folder of each case's segmentation, in internal labels.
        output: folder that receives NAME.png and worst.md.
        coding: of the truth, overrides the naming.

    Returns:
        The names, the worst first.
    """
    dice = {
        name: {region: row["dice"] for region, row in scores.items()}
        for name, scores in evaluation.cases.items()
    }
    worst = sorted(dice, key=lambda name: float(np.mean(list(dice[name].values()))))[:SHOWN]
    make_folder(output)
    lines = []
    for name in worst:
        images = read_on_one_grid(cases[name])
        arrays = {m: sitk.GetArrayFromImage(image) for m, image in images.items()}
        labels, grid = read_label_map(results[name] / SEGMENTATION)
        truth, _ = cases[name].read_truth(coding)
        shown = picture_input(arrays, labels, grid, truth)
        write_png(output / f"{name}.png", render_overlay(*shown))
        values = ", ".join(f"{region} {value:.2f}" for region, value in dice[name].items())
        lines.append(f"- {name}: Dice {values}\n\n  ![{name}]({name}.png)\n")
    write_file(
        output / "worst.md", f"# The worst cases of {evaluation.name}\n\n" + "\n".join(lines)
    )
    return worst
