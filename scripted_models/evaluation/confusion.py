"""The four metrics of semantic segmentation from one confusion matrix over all images.

Source: Long et al. 2015, section 5, "Metrics"; pixels that the truth ignores do not count, and
classes that neither the truth nor the predictions have do not enter the mean IU, as in the authors'
scorer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripted_models.errors import InputError

SUMMARIES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


@dataclass(frozen=True)
class ConfusionMatrix:
    """Pixels, or voxels, of a set of images by true and predicted class.

    Attributes:
        counts: int64 (classes, classes), pixels of each true class (row) by predicted class
            (column).
        classes: their names.
    """

    counts: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def empty(cls, classes: Sequence[str]) -> "ConfusionMatrix":
        """Return the matrix of no image."""
        return cls(np.zeros((len(classes),) * 2, np.int64), tuple(classes))

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        predicted: np.ndarray,
        classes: Sequence[str],
        ignored: int | None = None,
    ) -> "ConfusionMatrix":
        """Count one image.

        Args:
            truth: integers of any shape, class indices or `ignored`.
            predicted: integers of the same shape, class indices where the truth is not ignored.
            classes: names, one for each index.
            ignored: value of the truth that does not count; None: all count.

        Raises:
            InputError: shapes that differ, or a prediction that is no class where the truth is one.
        """
        if truth.shape != predicted.shape:
            raise InputError(
                found=f"a prediction of {predicted.shape} pixels for a truth of {truth.shape}",
                expected="the same shape",
                action="predict at the image's own size",
            )
        counted = np.full(truth.shape, True) if ignored is None else truth != ignored
        t, p = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
        number = len(classes)
        if p.size and not 0 <= p.min() <= p.max() < number:
            raise InputError(
                found=f"the index {int(p.max())} in a prediction where the truth counts",
                expected=f"0 to {number - 1}",
                action="write a class for every pixel",
            )
        pairs = np.bincount(number * t + p, minlength=number**2)
        return cls(pairs.reshape(number, number), tuple(classes))

    @property
    def class_iu(self) -> np.ndarray:
        """Intersection over union of each class; NaN for a class that is nowhere."""
        right = np.diag(self.counts)
        union = self.counts.sum(axis=1) + self.counts.sum(axis=0) - right
        return _ratio(right, union)

    @property
    def class_accuracy(self) -> np.ndarray:
        """Share of each class's pixels that are right; NaN for a class that the truth lacks."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    @property
    def summary(self) -> dict[str, float]:
        """The four metrics by name; NaN where nothing counts."""
        total = self.counts.sum()
        if not total:
            return dict.fromkeys(SUMMARIES, float("nan"))
        frequency, iu = self.counts.sum(axis=1) / total, self.class_iu
        present = frequency > 0
        values = (
            np.diag(self.counts).sum() / total,
            np.nanmean(self.class_accuracy),
            np.nanmean(iu),
            (frequency[present] * iu[present]).sum(),
        )
        return dict(zip(SUMMARIES, map(float, values), strict=True))

    def __add__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        """Return the matrix of both sets of images together.

        Raises:
            ValueError: the classes differ.
        """
        if self.classes != other.classes:
            raise ValueError(f"the classes {self.classes} and {other.classes} differ")
        return ConfusionMatrix(self.counts + other.counts, self.classes)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
