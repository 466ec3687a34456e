"""Files of one folder that are named as scanners and people do: which is which, and whether of one patient."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import SimpleITK as sitk

from scripted_models.cases.sequence_assignment import Candidate, Guess, assign_sequences
from scripted_models.images.volume_files import read_volume, volume_stem


def guess_files(paths: Iterable[Path]) -> dict[str, Guess]:
    """Decide which file is which sequence; the keys of the guesses are the paths."""
    return assign_sequences(
        Candidate(
            path,
            volume_stem(path),
            read=lambda path=path: sitk.GetArrayFromImage(read_volume(path)),
        )
        for path in paths
    )


def are_several_patients(parts: Iterable[tuple[str, set[str]]]) -> bool:
    """Tell whether parts of a folder, each a stem with its sequences, are patients.

    They are where stems differ in their numbers only (p1, p2), where two stems have several sequences, or
    where one has several and shares one with another. Otherwise they may be the files of one patient.
    """
    parts = list(parts)
    bare = [re.sub(r"\d+", "#", stem.lower()) for stem, _ in parts]
    numbered = any(n > 1 and re.search("[a-z]", stem) for stem, n in Counter(bare).items())
    counts = Counter(sequence for _, sequences in parts for sequence in sequences)
    several = sum(len(sequences) > 1 for _, sequences in parts)
    return numbered or several > 1 or (several == 1 and max(counts.values()) > 1)
