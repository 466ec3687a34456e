"""Loosely named files of one folder: which is which, and whether they are of one patient."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.sequence_assignment import Candidate, Guess, assign_sequences
from scripted_models.images.volume_files import read_volume, volume_stem


def guess_files(paths: Iterable[Path]) -> dict[str, Guess[Path]]:
    """Decide which file is which sequence; the keys of the guesses are the paths."""
    return assign_sequences(
        Candidate(path, volume_stem(path), read=partial(_read_voxels, path)) for path in paths
    )


def _read_voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(read_volume(path))


def are_several_patients(parts: Iterable[tuple[str, set[str]]]) -> bool:
    """Tell whether parts of a folder, each a stem with its sequences, are patients.

    They are where stems differ in their numbers only (p1, p2), or where two stems have several
    sequences. They are too where one has several and shares one with another. Otherwise they may be
    the files of one patient.
    """
    parts = list(parts)
    bare = [re.sub(r"\d+", "#", stem.lower()) for stem, _ in parts]
    numbered = any(n > 1 and re.search("[a-z]", stem) for stem, n in Counter(bare).items())
    counts = Counter(sequence for _, sequences in parts for sequence in sequences)
    several = sum(len(sequences) > 1 for _, sequences in parts)
    return numbered or several > 1 or (several == 1 and max(counts.values()) > 1)
