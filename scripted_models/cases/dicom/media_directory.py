"""What a DICOMDIR lists and a copy of the disc lacks."""

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

NAME = "DICOMDIR"


def count_missing(directory: Path, present: Collection[Path]) -> tuple[int, int]:
    """Return how many files a DICOMDIR lists, and how many of them are not there.

    Names are compared without regard to capitals, as copies of discs change them.

    Args:
        directory: the DICOMDIR; one that cannot be read lists none.
        present: DICOM files that were found.
    """
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            records = pydicom.dcmread(directory, force=True).get("DirectoryRecordSequence") or []
            listed = {_place(record.get("ReferencedFileID")) for record in records} - {""}
        except Exception:  # pydicom raises what its parsers raise, of many kinds
            return 0, 0
    home = directory.parent
    found = {p.relative_to(home).as_posix().lower() for p in present if p.is_relative_to(home)}
    return len(listed), len(listed - found)


def _place(components: object) -> str:
    if isinstance(components, Sequence) and not isinstance(components, str):
        return "/".join(map(str, components)).lower()
    return str(components or "").lower()
