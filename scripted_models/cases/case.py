"""A case: one patient at one time point, with the files of its sequences and its ground truth."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.ignored_files import IgnoredFile
from scripted_models.cases.label_maps import LabelMap, read_labels
from scripted_models.cases.label_statements import stated_coding
from scripted_models.cases.naming import OF_NO_KNOWN_FORM
from scripted_models.cases.sequence_assignment import Guess
from scripted_models.cases.slicer_segments import segment_notes
from scripted_models.errors import InputError, Problem
from scripted_models.geometry import Grid
from scripted_models.images.dicom_series import DicomSeries
from scripted_models.images.headers import volume_parts
from scripted_models.images.volume_files import read_channel, read_volume
from scripted_models.labels import CODINGS, REGIONS, LabelCoding
from scripted_models.sequences import SEQUENCES

# Kinds of files with a ground truth, the preferred one first, each with its coding.
# None: the naming of the data set tells it.
TRUTH_KINDS: dict[str, str | None] = {
    "truth5": "brats2013",
    "truth": None,
    "truth_atropos": "atropos",
    "truth_tissue": "brats2012sim",
}
_MOST_REASONS = 4  # in one sentence


@dataclass(frozen=True)
class ImageSource:
    """Where one sequence lies.

    Attributes:
        path: of the file, of a DICOM series the first one.
        channel: the volume inside a 4-D file.
        series: the DICOM series, None for other files.
    """

    path: Path
    channel: int | None = None
    series: DicomSeries | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that hold it: one, header and voxels, or the slices of a series.

        Raises:
            InputError: as `headers.volume_parts`.
        """
        return self.series.files if self.series else volume_parts(self.path)

    @property
    def title(self) -> str:
        """What people know it by: name of the file, or number and description of the series."""
        return self.series.title if self.series else self.path.name

    def read(self) -> sitk.Image:
        """Read the 3-D image."""
        if self.series:
            return self.series.read()
        return (
            read_volume(self.path)
            if self.channel is None
            else read_channel(self.path, self.channel)
        )


@dataclass(frozen=True, kw_only=True)
class FileProblem(Problem):
    """Files of a case that could not be placed.

    Attributes:
        kind: what they are: a sequence, or one of `TRUTH_KINDS`.
    """

    kind: str

    @property
    def fields(self) -> dict[str, str]:
        """The parts that are stated, for JSON."""
        return {"kind": self.kind, **super().fields}


@dataclass(frozen=True)
class Case:
    """One patient at one time point.

    Attributes:
        name: unique within the folder that was searched.
        images: sequence ("t1", "t1c", "t2", "flair") -> source.
        truth: file of the ground truth, None when there is none.
        coding: coding of `truth`, None when the naming does not tell.
        problems: files that could not be placed.
        guesses: sequence -> guess with a path as key, where file names are loose; `images` holds
            the sure ones only.
        ignored: files that look like a part of the case by their names and are none.
        date: of the examination, YYYY-MM-DD; "" where nothing states it.
    """

    name: str
    images: dict[str, ImageSource]
    truth: Path | None = None
    coding: LabelCoding | None = None
    problems: tuple[FileProblem, ...] = ()
    guesses: dict[str, Guess[Path]] = field(default_factory=dict)
    ignored: tuple[IgnoredFile, ...] = ()
    date: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Sequences without a file."""
        return tuple(m for m in SEQUENCES if m not in self.images)

    def without(self, sequences: Collection[str]) -> "Case":
        """Return the case as if it had no files of these sequences."""
        return replace(
            self,
            images={m: source for m, source in self.images.items() if m not in sequences},
            problems=tuple(p for p in self.problems if p.kind not in sequences),
            guesses={m: guess for m, guess in self.guesses.items() if m not in sequences},
        )

    def truth_coding(self, chosen: LabelCoding | None = None) -> LabelCoding | None:
        """Return the coding of the ground truth without reading it; None where nothing tells it.

        Args:
            chosen: of the option; see `label_maps`, which refuses it where the file states another.
        """
        statement = stated_coding(self.truth) if self.truth else None
        return chosen or (statement.coding if statement else self.coding)

    def truth_notes(self) -> list[str]:
        """Return sentences about how the ground truth is read, without reading it."""
        statement = stated_coding(self.truth) if self.truth else None
        if statement is None:
            return []
        notes = [f"{self.truth}: {note}." for note in segment_notes(statement.segments)]
        told = statement.coding.regions
        if len(told) < len(REGIONS):
            known = ", ".join(told) or "none of the regions"
            notes.append(f"{self.truth}: its labels tell {known} only; others are left open.")
        return notes

    def read_truth(self, coding: LabelCoding | None = None) -> tuple[np.ndarray, Grid]:
        """Read the ground truth as internal labels; see `read_truth_map`.

        Returns:
            uint8 array (z, y, x) with values 0-5, and its grid.
        """
        truth = self.read_truth_map(coding)
        return truth.labels, truth.grid

    def read_truth_map(self, coding: LabelCoding | None = None) -> LabelMap:
        """Read the ground truth as internal labels, with what is known of its coding.

        Args:
            coding: overrides the coding of the naming.

        Raises:
            InputError: no ground truth, several, an unknown coding, one that the file contradicts,
                or a file that cannot be read.
        """
        if self.truth is None:
            raise InputError(
                found="no ground truth",
                expected="a label map beside the images",
                action=f"add {self.name}_seg.nii.gz or leave the case out",
                path=self._title,
            )
        self._refuse_problems(TRUTH_KINDS)
        return read_labels(self.truth, coding, self._implied_coding)

    def _implied_coding(self) -> LabelCoding:
        if self.coding is None:
            raise InputError(
                found="a name that does not tell the label coding",
                expected="that of a BraTS year or MSD, or a file that states it",
                action=f"choose one of {', '.join(sorted(CODINGS))} with --coding",
                path=self.truth,
            )
        return self.coding

    def require_images(self, one_of: Collection[str] = ()) -> None:
        """Check that the needed sequences are there, once each and without doubt.

        Args:
            one_of: sequences of which one suffices; empty: all four are needed.

        Raises:
            InputError: they are not.
        """
        self._refuse_problems(SEQUENCES)
        open_guesses = [self.guesses[m] for m in self.missing if m in self.guesses]
        doubtful = any(guess.key is not None for guess in open_guesses)
        if not self.missing or (set(one_of) & set(self.images) and not doubtful):
            return
        have = ", ".join(f"{m} ({s.title})" for m, s in self.images.items()) or "none"
        sure = "sure " if self.guesses else ""
        left_out = [
            f"{f.title or f.path.name}: {f.why}" for f in self.ignored if f.why != OF_NO_KNOWN_FORM
        ]
        why = " | ".join([*(guess.why for guess in open_guesses), *left_out[:_MOST_REASONS]])
        raise InputError(
            found=f"{have} and no {sure}{', '.join(self.missing)}{f' ({why})' if why else ''}",
            expected=f"{' or '.join(one_of)} at least" if one_of else "all four sequences",
            action="add the files or name them with --t1 --t1c --t2 --flair",
            path=self._title,
        )

    @property
    def _title(self) -> str:
        return f"Case {self.name}"

    def _refuse_problems(self, kinds: Collection[str]) -> None:
        for problem in self.problems:
            if problem.kind in kinds:
                raise InputError.of(problem, self._title)
