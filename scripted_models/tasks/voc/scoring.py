"""Scores of a folder of predicted label maps against those of VOC."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import SUMMARIES, ConfusionMatrix
from scripted_models.evaluation.paper_tables import (
    Caveat,
    ComparedRow,
    markdown_cells,
    markdown_table,
)
from scripted_models.runtime.atomic_files import write_together
from scripted_models.runtime.csv_text import csv_text
from scripted_models.runtime.file_identity import is_same_file
from scripted_models.tasks.voc.classes import CLASSES, VOID
from scripted_models.tasks.voc.image_lists import VocImage
from scripted_models.tasks.voc.masks import read_mask
from scripted_models.tasks.voc.paper_rows import PAPER_ROWS, VocRow

TITLES = ("Method", "Images", "Pixel accuracy", "Mean accuracy", "Mean IU", "Frequency weighted IU")
IMAGES_DIFFER = Caveat(
    "The images differ",
    "the papers' rows are over the images that they name, and for the training data that they "
    "name.",
)


def evaluate_voc(
    predictions: Path,
    images: Sequence[VocImage],
    output: Path | None = None,
    on_image: Callable[[int, int, str], None] | None = None,
) -> ConfusionMatrix:
    """Score `<name>.png` of every image.

    Write voc_metrics.csv, voc_metrics.json and voc_comparison.md.

    Args:
        predictions: folder of label maps, as indices or in the palette of VOC.
        images: with label maps.
        output: folder of the reports, made when absent; None writes nothing.
        on_image: called with (number done, number of all, name) after each image.

    Returns:
        The scores of all images together; nothing is written unless all of them exist.

    Raises:
        InputError: a prediction that is missing, of another size, or no label map.
        ResourceError: the output cannot be written.
    """
    folder = Path(predictions)
    missing = [image.name for image in images if not (folder / f"{image.name}.png").is_file()]
    if missing or not images:
        raise InputError(
            found=f"no label map for {len(missing)} of {len(images)} images "
            f"({', '.join(missing[:5])})",
            expected="NAME.png for each",
            action="predict them too, or name another list",
            path=folder,
        )
    total = ConfusionMatrix.empty(CLASSES)
    for done, image in enumerate(images, start=1):
        total += _score_image(folder / f"{image.name}.png", image)
        if on_image:
            on_image(done, len(images), image.name)
    if output is not None:
        _write(total, len(images), folder.resolve().name, Path(output))
    return total


def _score_image(path: Path, image: VocImage) -> ConfusionMatrix:
    if is_same_file(path, image.label_map):
        raise InputError(
            found="the ground truth itself",
            expected="a prediction",
            action="name the folder of the predictions",
            path=path,
        )
    truth, predicted = read_mask(image.label_map), read_mask(path)
    try:
        return ConfusionMatrix.of(truth, predicted, CLASSES, VOID)
    except InputError as error:
        raise error.at(path) from error


def comparison(scores: ConfusionMatrix, images: int, name: str) -> str:
    """Return the four metrics beside the papers' rows as Markdown, in percent."""
    rows = [own_row(scores, name, images), *map(printed_row, PAPER_ROWS)]
    classes = zip(scores.classes, scores.class_iu, scores.class_accuracy, strict=True)
    table = [[n, percent(100 * iu), percent(100 * accuracy)] for n, iu, accuracy in classes]
    beside = markdown_table(TITLES, map(markdown_cells, rows))
    tables = (beside, markdown_table(("Class", "IU", "Accuracy"), table))
    return "\n".join((IMAGES_DIFFER.markdown, "", *tables))


def own_row(scores: ConfusionMatrix, name: str, images: int) -> ComparedRow:
    """Return our scores over so many images as texts under TITLES."""
    values = (percent(100 * scores.summary[key]) for key in SUMMARIES)
    noun = "image" if images == 1 else "images"
    return ComparedRow((name, f"{images} {noun}, here", *values), is_ours=True)


def printed_row(row: VocRow) -> ComparedRow:
    """Return a printed row as texts under TITLES."""
    printed = (percent(getattr(row, key)) for key in SUMMARIES)
    return ComparedRow((row.title, row.images, *printed), is_ours=False)


def percent(value: float | None) -> str:
    """Return a percentage as tables show it."""
    return "-" if value is None or math.isnan(value) else f"{value:.1f}"


def known_scores(scores: ConfusionMatrix) -> dict[str, float | None]:
    """Return the four metrics for JSON, None where nothing counts."""
    return {key: None if math.isnan(value) else value for key, value in scores.summary.items()}


def _write(scores: ConfusionMatrix, images: int, name: str, output: Path) -> None:
    table: list[Sequence[object]] = [("class", "iu", "accuracy", "pixels")]
    pixels = scores.counts.sum(axis=1)
    lines = zip(scores.classes, scores.class_iu, scores.class_accuracy, pixels, strict=True)
    for title, iu, accuracy, number in lines:
        table.append((title, _number(iu), _number(accuracy), int(number)))
    content = {
        "name": name,
        "images": images,
        **known_scores(scores),
        "classes": list(scores.classes),
        "confusion": scores.counts.tolist(),
    }
    texts = {
        "voc_metrics.csv": csv_text(table),
        "voc_metrics.json": json.dumps(content, indent=2) + "\n",
        "voc_comparison.md": comparison(scores, images, name),
    }
    write_together(output, texts)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
