"""The four metrics of semantic segmentation from one confusion matrix over all images.

Source: Long et al. 2015, section 5, "Metrics"; void pixels of the truth do not count, and classes that neither
the truth nor the predictions have do not enter the mean IU, as in the authors' scorer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripted_models.errors import InputError
from scripted_models.tasks.voc.classes import CLASSES, VOID

SUMMARIES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


@dataclass(frozen=True)
class VocScores:
    """Scores of a set of images.

    Attributes:
        confusion: int64 (classes, classes), pixels of each true class (row) by predicted class (column).
        classes: their names.
    """

    confusion: np.ndarray
    classes: Sequence[str] = CLASSES

    @property
    def class_iu(self) -> np.ndarray:
        """Intersection over union of each class; NaN for a class that is nowhere."""
        right = np.diag(self.confusion)
        union = self.confusion.sum(axis=1) + self.confusion.sum(axis=0) - right
        return _ratio(right, union)

    @property
    def class_accuracy(self) -> np.ndarray:
        """Share of each class's pixels that are right; NaN for a class that the truth does not have."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def summary(self) -> dict[str, float]:
        """The four metrics by name; NaN where nothing counts."""
        total = self.confusion.sum()
        if not total:
            return dict.fromkeys(SUMMARIES, float("nan"))
        frequency, iu = self.confusion.sum(axis=1) / total, self.class_iu
        present = frequency > 0
        values = (
            np.diag(self.confusion).sum() / total,
            np.nanmean(self.class_accuracy),
            np.nanmean(iu),
            (frequency[present] * iu[present]).sum(),
        )
        return dict(zip(SUMMARIES, map(float, values), strict=True))

    def __add__(self, other: "VocScores") -> "VocScores":
        """Return the scores of both sets together."""
        return VocScores(self.confusion + other.confusion, self.classes)


def score(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str] = CLASSES) -> VocScores:
    """Score one image.

    Args:
        truth: integers (H, W), class indices and 255 for void.
        predicted: integers of the same shape, class indices where the truth is not void.
        classes: names, one for each index.

    Raises:
        InputError: shapes that differ, or a prediction that is no class where the truth is one.
    """
    if truth.shape != predicted.shape:
        raise InputError(
            f"Found a prediction of {predicted.shape} pixels for a truth of {truth.shape} (rows, columns), "
            "expected the same; predict at the image's own size."
        )
    counted, number = truth != VOID, len(classes)
    t, p = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    if p.size and not 0 <= p.min() <= p.max() < number:
        raise InputError(
            f"Found the index {int(p.max())} in a prediction where the truth is not void, expected 0 to "
            f"{number - 1}; write a class for every pixel."
        )
    return VocScores(
        np.bincount(number * t + p, minlength=number**2).reshape(number, number), classes
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
