"""Scores of a folder of predicted label maps against those of VOC."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import SUMMARIES, VocScores, score
from scripted_models.evaluation.paper_tables import markdown_table
from scripted_models.runtime.atomic_files import write_together
from scripted_models.tasks.voc.image_lists import VocImage
from scripted_models.tasks.voc.masks import read_mask
from scripted_models.tasks.voc.paper_rows import PAPER_ROWS

TITLES = ("Method", "Images", "Pixel accuracy", "Mean accuracy", "Mean IU", "Frequency weighted IU")


def evaluate_voc(
    predictions: Path,
    images: Sequence[VocImage],
    output: Path | None = None,
    on_image: Callable[[int, int, str], None] | None = None,
) -> VocScores:
    """Score `<name>.png` of every image and write voc_metrics.csv, voc_metrics.json and voc_comparison.md.

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
            f"{folder}: found no label map for {len(missing)} of {len(images)} images "
            f"({', '.join(missing[:5])}), expected NAME.png for each; predict them too, or name another list."
        )
    total = None
    for done, image in enumerate(images, start=1):
        one = _score_image(folder / f"{image.name}.png", image)
        total = one if total is None else total + one
        if on_image:
            on_image(done, len(images), image.name)
    if output is not None:
        _write(total, len(images), folder.resolve().name, Path(output))
    return total


def _score_image(path: Path, image: VocImage) -> VocScores:
    try:
        return score(read_mask(image.mask), read_mask(path))
    except InputError as error:
        text = str(error)
        raise InputError(
            text if str(path) in text or str(image.mask) in text else f"{path}: {text}"
        ) from error


def comparison(scores: VocScores, images: int, name: str) -> str:
    """Return the four metrics beside the papers' rows as Markdown, in percent."""
    summary = scores.summary
    own = [name, f"{images} images, here", *(_percent(100 * summary[key]) for key in SUMMARIES)]
    rows = [[f"**{cell}**" for cell in own]]
    for row in PAPER_ROWS:
        printed = (getattr(row, key) for key in SUMMARIES)
        rows.append([f"{row.method} ({row.source})", row.images, *map(_percent, printed)])
    classes = zip(scores.classes, scores.class_iu, scores.class_accuracy, strict=True)
    table = [[n, _percent(100 * iu), _percent(100 * accuracy)] for n, iu, accuracy in classes]
    note = (
        "**The images differ**: the papers' rows are over the images that they name, and for the training "
        "data that they name."
    )
    tables = (markdown_table(TITLES, rows), markdown_table(("Class", "IU", "Accuracy"), table))
    return "\n".join((note, "", *tables))


def _write(scores: VocScores, images: int, name: str, output: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("class", "iu", "accuracy", "pixels"))
    lines = zip(
        scores.classes,
        scores.class_iu,
        scores.class_accuracy,
        scores.confusion.sum(axis=1),
        strict=True,
    )
    for title, iu, accuracy, pixels in lines:
        writer.writerow((title, _number(iu), _number(accuracy), int(pixels)))
    content = {
        "name": name,
        "images": images,
        **{key: None if math.isnan(value) else value for key, value in scores.summary.items()},
        "classes": list(scores.classes),
        "confusion": scores.confusion.tolist(),
    }
    texts = {
        "voc_metrics.csv": text.getvalue(),
        "voc_metrics.json": json.dumps(content, indent=2) + "\n",
        "voc_comparison.md": comparison(scores, images, name),
    }
    write_together(output, texts)


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.1f}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
