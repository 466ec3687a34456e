"""The identity of what is segmented: the content of each sequence's file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripted_models.cases.case import Case, ImageSource
from scripted_models.errors import InputError
from scripted_models.runtime.file_identity import State, content_digest, file_state


@dataclass(frozen=True)
class CaseInputs:
    """The files of a case at the moment when they were looked at.

    Attributes:
        sources: sequence -> where it lies.
        states: file -> its state then, None where it cannot be seen.
    """

    sources: Mapping[str, ImageSource]
    states: Mapping[Path, State | None]

    @classmethod
    def of(cls, case: Case) -> "CaseInputs":
        """Look at the files of a case; none is read yet."""
        return cls(case.images, {s.path: file_state(s.path) for s in case.images.values()})

    @property
    def paths(self) -> dict[str, str]:
        """Sequence -> absolute path."""
        return {m: os.path.abspath(source.path) for m, source in self.sources.items()}

    @cached_property
    def contents(self) -> dict[str, str]:
        """Sequence -> SHA-256 of its file, of a 4-D file with the number of its volume.

        Read once.

        Raises:
            InputError: a file that cannot be read, or has changed since it was looked at.
        """
        digests = {path: self._digest(path) for path in self.states}
        found = {m: (digests[source.path], source.channel) for m, source in self.sources.items()}
        return {m: d if c is None else f"{d} volume {c}" for m, (d, c) in found.items()}

    def _digest(self, path: Path) -> str:
        try:
            digest = content_digest(path)
        except (OSError, ValueError) as error:
            raise InputError(
                found=f"a file that cannot be read ({getattr(error, 'strerror', None) or error})",
                expected="a readable image",
                action="check its name and permissions",
                path=path,
            ) from error
        if file_state(path) != self.states[path]:
            raise InputError(
                found="a file that changed while it was read",
                expected="one that is complete",
                action="wait until it is written and run again",
                path=path,
            )
        return digest

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
