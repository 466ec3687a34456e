"""The identity of what is segmented: the content of each sequence's file."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripted_models.cases.case import Case, ImageSource
from scripted_models.errors import InputError
from scripted_models.runtime.file_identity import WatchedFiles

_MOST_JOINED = 2  # files whose sums stand beside each other


@dataclass(frozen=True)
class CaseInputs:
    """The files of a case at the moment when they were looked at.

    Attributes:
        sources: sequence -> where it lies.
        parts: sequence -> its file, header and voxels where they are two, the slices of a series.
        files: all of them.
    """

    sources: Mapping[str, ImageSource]
    parts: Mapping[str, tuple[Path, ...]]
    files: WatchedFiles

    @classmethod
    def of(cls, case: Case) -> "CaseInputs":
        """Look at the files of a case; nothing but detached headers is read yet."""
        parts = {m: _parts(source) for m, source in case.images.items()}
        return cls(case.images, parts, WatchedFiles.of(p for some in parts.values() for p in some))

    @property
    def paths(self) -> dict[str, str]:
        """Sequence -> absolute path."""
        return {m: os.path.abspath(source.path) for m, source in self.sources.items()}

    @property
    def origin(self) -> dict[str, dict[str, object]]:
        """Patient, study and series of DICOM, for reports; empty for other files."""
        series = {m: source.series for m, source in self.sources.items() if source.series}
        if not series:
            return {}
        first = next(iter(series.values()))
        told = {
            m: {
                **{"uid": s.uid, "number": s.number, "description": s.description},
                **{"slices": s.slices, "study_uid": s.study_uid, "study_date": s.study_date},
            }
            for m, s in series.items()
        }
        return {
            "dicom": {
                "patient_id": first.patient_id,
                "study_uid": first.study_uid,
                "study_date": first.study_date,
                "series": told,
            }
        }

    @cached_property
    def contents(self) -> dict[str, str]:
        """Sequence -> SHA-256 of its file or files, of a 4-D file with the number of its volume.

        That of more than two files, a DICOM series, is the SHA-256 of theirs in order.

        Raises:
            InputError: a file that cannot be read, or has changed since it was looked at.
        """
        digests = self.files.contents
        joined = {m: _joined([digests[p] for p in parts]) for m, parts in self.parts.items()}
        found = {m: (joined[m], source.channel) for m, source in self.sources.items()}
        return {m: d if c is None else f"{d} volume {c}" for m, (d, c) in found.items()}

    def shares_file_with(self, report: Mapping[str, object]) -> bool:
        """Tell whether the result of a report comes from a file of this case.

        It does where a sequence has the same content, or lies where the report found it: then the
        user has changed the file.

        Args:
            report: content of a report.json.
        """
        places, contents = report.get("inputs"), report.get("inputs_sha256")
        if isinstance(places, dict) and any(
            os.path.realpath(path) == os.path.realpath(str(places.get(m)))
            for m, path in self.paths.items()
            if places.get(m)
        ):
            return True
        known = set(contents.values()) if isinstance(contents, dict) else set()
        return bool(known) and not known.isdisjoint(self.contents.values())


def _parts(source: ImageSource) -> tuple[Path, ...]:
    try:
        return source.files
    except InputError:  # reading the case will say why
        return (source.path,)


def _joined(digests: Sequence[str]) -> str:
    if len(digests) <= _MOST_JOINED:
        return "+".join(digests)
    return hashlib.sha256("".join(digests).encode()).hexdigest()
