"""Predictions whose numbers may mean other labels than those of the ground truth."""

from dataclasses import dataclass, field

import numpy as np

from scripted_models.cases.label_maps import LabelMap
from scripted_models.errors import InputError
from scripted_models.labels import ENHANCING, NON_ENHANCING

IMPLIED_NOTE = (
    "No file and no option states the label coding of the predictions: they are read as 1 "
    "necrosis, 2 edema, 3 non-enhancing, 4 enhancing tumor. A label map that 3D Slicer exports "
    "without its color table numbers the segments in their order instead."
)


@dataclass
class SeenLabels:
    """Which labels the truths and the predictions of a folder hold.

    Attributes:
        truth: internal labels of all truths.
        prediction: of all predictions.
        implied: of those predictions whose coding nothing states.
        count: number of the latter.
    """

    truth: set[int] = field(default_factory=set)
    prediction: set[int] = field(default_factory=set)
    implied: set[int] = field(default_factory=set)
    count: int = 0

    def add(self, truth: LabelMap, prediction: LabelMap) -> None:
        """Note the labels of a case."""
        self.truth |= set(np.unique(truth.labels).tolist())
        predicted = set(np.unique(prediction.labels).tolist())
        self.prediction |= predicted
        if not prediction.stated:
            self.implied |= predicted
            self.count += 1

    def refuse_exchanged(self) -> None:
        """Refuse predictions with one of 3 and 4 where the truth has the other.

        BraTS 2023, MSD and 3D Slicer number the enhancing tumor 3, other years 4.

        Raises:
            InputError: the coding must be stated.
        """
        for held, absent in ((NON_ENHANCING, ENHANCING), (ENHANCING, NON_ENHANCING)):
            others = absent in self.truth and (held == NON_ENHANCING or held not in self.truth)
            if held in self.implied and absent not in self.implied and others:
                raise InputError(
                    found=f"label {held} and never {absent} in {self.count} prediction(s) whose "
                    f"label coding nothing states, where the ground truth holds {absent}",
                    expected="one meaning of the numbers; enhancing tumor is 4 in some years of "
                    "BraTS, and 3 in others, in MSD and often in label maps of 3D Slicer",
                    action="state the coding with --prediction-coding, and that of the ground "
                    "truth with --coding",
                )
