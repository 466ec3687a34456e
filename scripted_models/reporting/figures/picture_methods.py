"""Label maps of several methods side by side on pictures of PASCAL VOC.

Sources: Long et al. 2015, figure 6 (methods beside the truth); Yu & Koltun 2016, figures 2 and 3
(front-ends, context and CRF) and 5 (failures: pictures of the least mean IU).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import ConfusionMatrix
from scripted_models.reporting.figures.panel_grid import TRUTH_TITLE, Cell, Row, draw_rows
from scripted_models.tasks.voc.classes import CLASSES, VOID, palette
from scripted_models.tasks.voc.image_lists import VocImage
from scripted_models.tasks.voc.masks import read_mask
from scripted_models.tasks.voc.picture_files import read_image

NOTE = "Mean IU of the picture over the classes that the truth or the label map has."


def mean_iu(truth: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean IU of one picture; void does not count.

    Args:
        truth: classes and void, integers (H, W).
        labels: classes, integers (H, W).
    """
    return ConfusionMatrix.of(truth, labels, CLASSES, VOID).summary["mean_iu"]


def chosen_images(
    images: Sequence[VocImage], folder: Path, order: str, count: int
) -> list[VocImage]:
    """Return the pictures to show.

    Args:
        images: with label maps.
        folder: of the label maps whose mean IU decides.
        order: 'list' takes the first ones, 'best' and 'worst' those of the highest and least mean
            IU.
        count: how many.
    """
    if order == "list":
        return list(images[:count])
    scores = {
        image.name: mean_iu(read_mask(image.label_map), read_labels(folder, image))
        for image in images
    }
    ranked = sorted(images, key=lambda image: scores[image.name], reverse=order == "best")
    return ranked[:count]


def read_labels(folder: Path, image: VocImage) -> np.ndarray:
    """Read the label map of a picture from a folder of predictions, integers (H, W).

    Raises:
        InputError: there is none, or no label map.
    """
    path = folder / f"{image.name}.png"
    if not path.is_file():
        raise InputError(
            path=path, found="no label map", expected="one of each picture", action="predict it"
        )
    return read_mask(path)


def draw_picture_methods(images: Sequence[VocImage], folders: Sequence[Path]) -> Figure:
    """Draw each picture, the label map of every method, and the truth.

    Args:
        images: with label maps, one row each.
        folders: of label maps NAME.png, one a method; the folder's name heads its column.

    Raises:
        InputError: a label map that is missing, of another size, or none.
    """
    rows, present = [], {VOID}
    for image in images:
        truth = read_mask(image.label_map)
        row = Row(image.name, [Cell(read_image(image.picture), "picture")])
        for folder in folders:
            labels = read_labels(folder, image)
            caption = f"{mean_iu(truth, labels):.2f}"
            row.cells.append(Cell(painted(labels), folder.resolve().name, caption))
            present |= set(np.unique(labels).tolist())
        row.cells.append(Cell(painted(truth), TRUTH_TITLE))
        present |= set(np.unique(truth).tolist())
        rows.append(row)
    names = {**dict(enumerate(CLASSES)), VOID: "void"}
    colors = {names[index]: tuple(palette()[index].tolist()) for index in sorted(present - {0})}
    return draw_rows(rows, "Methods side by side on PASCAL VOC", NOTE, colors)


def painted(labels: np.ndarray) -> np.ndarray:
    """Return a label map (H, W) in VOC's colors, uint8 RGB (H, W, 3)."""
    colors: np.ndarray = palette()[labels]
    return colors
