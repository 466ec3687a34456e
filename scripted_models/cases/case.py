"""A case: one patient at one time point, with the files of its sequences and its truth."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.sequence_assignment import Guess
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_channel, read_label_map, read_volume
from scripted_models.labels import CODINGS, LabelCoding, decode_labels
from scripted_models.sequences import SEQUENCES

# The first kind that a case has is its truth; each with its coding, None where the naming tells it.
TRUTH_KINDS = {
    "truth5": "brats2013",
    "truth": None,
    "truth_atropos": "atropos",
    "truth_tissue": "brats2012sim",
}


@dataclass(frozen=True)
class ImageSource:
    """Where one sequence lies: a file, and the volume inside it for 4-D files."""

    path: Path
    channel: int | None = None

    def read(self) -> sitk.Image:
        """Read the 3-D image."""
        return (
            read_volume(self.path)
            if self.channel is None
            else read_channel(self.path, self.channel)
        )


@dataclass(frozen=True)
class Case:
    """One patient at one time point.

    Attributes:
        name: unique within the folder that was searched.
        images: sequence ('t1', 't1c', 't2', 'flair') -> source.
        truth: label map of the experts, None when there is none.
        coding: coding of `truth`, None when the naming does not tell.
        problems: sentences about files that could not be placed, each starting with their kind.
        guesses: sequence -> guess with a path as key, where file names are loose; `images` holds the
            sure ones only.
    """

    name: str
    images: dict[str, ImageSource]
    truth: Path | None = None
    coding: LabelCoding | None = None
    problems: tuple[str, ...] = ()
    guesses: dict[str, Guess] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Sequences without a file."""
        return tuple(m for m in SEQUENCES if m not in self.images)

    def without(self, sequences: Collection[str]) -> "Case":
        """Return the case as if it had no files of these sequences."""
        return replace(
            self,
            images={m: source for m, source in self.images.items() if m not in sequences},
            problems=tuple(p for p in self.problems if p.split(":")[0] not in sequences),
            guesses={m: guess for m, guess in self.guesses.items() if m not in sequences},
        )

    def read_truth(self, coding: LabelCoding | None = None) -> tuple[np.ndarray, Grid]:
        """Read the expert labels as internal labels.

        Args:
            coding: overrides the coding of the naming.

        Returns:
            uint8 array (z, y, x) with values 0-4, and its grid.
        """
        chosen = coding or self.coding
        if self.truth is None:
            raise InputError(
                f"Case {self.name}: found no label map, expected one beside its images; add "
                f"{self.name}_seg.nii.gz or leave the case out."
            )
        if chosen is None:
            raise InputError(
                f"{self.truth}: found a name that does not tell the label coding, expected that of a BraTS "
                f"year or MSD; choose one of {', '.join(sorted(CODINGS))} with --coding."
            )
        self._refuse_problems(*TRUTH_KINDS)
        values, grid = read_label_map(self.truth)
        return decode_labels(values, chosen, str(self.truth)), grid

    def require_images(self, one_of: Sequence[str] = ()) -> None:
        """Raise InputError unless the sequences that are needed are there, once each and without doubt.

        Args:
            one_of: sequences of which one suffices; empty: all four are needed.
        """
        self._refuse_problems(*SEQUENCES)
        doubtful = any(self.guesses[m].key is not None for m in self.missing if m in self.guesses)
        if self.missing and (doubtful or not set(one_of) & set(self.images)):
            needed = (
                f"{' or '.join(one_of)} at least" if one_of else f"all of {', '.join(SEQUENCES)}"
            )
            have = ", ".join(f"{m} ({s.path.name})" for m, s in self.images.items()) or "none"
            sure = "sure " if self.guesses else ""
            why = [self.guesses[m].reason.rstrip(".") for m in self.missing if m in self.guesses]
            raise InputError(
                f"Case {self.name}: found {have} and no {sure}{', '.join(self.missing)}"
                f"{' (' + ' | '.join(why) + ')' if why else ''}, expected {needed}; add the files or name "
                "them with --t1 --t1c --t2 --flair."
            )

    def _refuse_problems(self, *kinds: str) -> None:
        for problem in self.problems:
            if problem.split(":")[0] in kinds:
                raise InputError(f"Case {self.name}: {problem}")
