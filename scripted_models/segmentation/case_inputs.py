"""The identity of what is segmented: the content of each sequence's file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from scripted_models.cases.case import Case, ImageSource
from scripted_models.runtime.file_identity import WatchedFiles


@dataclass(frozen=True)
class CaseInputs:
    """The files of a case at the moment when they were looked at.

    Attributes:
        sources: sequence -> where it lies.
        files: all of them.
    """

    sources: Mapping[str, ImageSource]
    files: WatchedFiles

    @classmethod
    def of(cls, case: Case) -> "CaseInputs":
        """Look at the files of a case; none is read yet."""
        return cls(case.images, WatchedFiles.of(source.path for source in case.images.values()))

    @property
    def paths(self) -> dict[str, str]:
        """Sequence -> absolute path."""
        return {m: os.path.abspath(source.path) for m, source in self.sources.items()}

    @cached_property
    def contents(self) -> dict[str, str]:
        """Sequence -> SHA-256 of its file, of a 4-D file with the number of its volume.

        Raises:
            InputError: a file that cannot be read, or has changed since it was looked at.
        """
        digests = self.files.contents
        found = {m: (digests[source.path], source.channel) for m, source in self.sources.items()}
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
