"""Errors that the user can fix, each with the exit code of the command line."""

from pathlib import Path
from typing import TypeVar

Error = TypeVar("Error", bound="ScriptedModelsError")


class ScriptedModelsError(Exception):
    """Base of all expected errors: what was found, what was expected, what to do.

    Programs read the fields; people read the sentence that `str` makes of them.

    Args:
        found: what is wrong, for example "3 volumes of 5 x 5 x 5 voxels".
        expected: what should be there; empty where that is plain.
        action: what the user can do; empty where there is nothing to do.
        path: file or folder that the error is about.

    Attributes:
        exit_code: exit status of the command line.
        code: short name used in JSON events.
    """

    exit_code = 1
    code = "internal"

    def __init__(
        self,
        text: str = "",
        *,
        found: str = "",
        expected: str = "",
        action: str = "",
        path: Path | str | None = None,
    ):
        self.found, self.expected, self.action = found or text, expected, action
        self.path = None if path is None else str(path)
        super().__init__(text or self._sentence())

    def _sentence(self) -> str:
        where = "Found" if self.path is None else f"{self.path}: found"
        expected = f", expected {self.expected}" if self.expected else ""
        action = f"; {self.action}" if self.action else ""
        return f"{where} {self.found}{expected}{action}."

    def at(self: Error, path: Path | str) -> Error:
        """Return the same error about another path."""
        return type(self)(found=self.found, expected=self.expected, action=self.action, path=path)

    @property
    def fields(self) -> dict[str, str]:
        """The fields that are stated, for JSON events."""
        stated = {
            "found": self.found,
            "expected": self.expected,
            "action": self.action,
            "path": self.path,
        }
        return {name: value for name, value in stated.items() if value}


class InputError(ScriptedModelsError):
    """The user's files, folders or options cannot be used as they are."""

    exit_code = 2
    code = "input"


class ModelError(ScriptedModelsError):
    """A model folder is missing, damaged or does not fit the program."""

    exit_code = 3
    code = "model"


class ResourceError(ScriptedModelsError):
    """The machine lacks something: memory, disk, a device."""

    exit_code = 4
    code = "resource"


class Cancelled(ScriptedModelsError):  # noqa: N818 - not a fault, an outcome
    """The run was cancelled by the user or by a signal."""

    exit_code = 130
    code = "cancelled"
