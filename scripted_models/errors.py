"""Problems in parts and sentences, and errors that the user can fix with their exit codes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Error = TypeVar("Error", bound="ScriptedModelsError")


class Phrase(str):
    """A text that people read, which can be shown in another language than English.

    A program around the package looks `words` up in its dictionary and puts `values` in again,
    as the Slicer module does. To everything else it is the English text.

    Attributes:
        words: the text, with places for the values in braces.
        values: what stands in these places.
        context: module that the words are from, such as "images.checks".
    """

    words: str
    values: Mapping[str, object]
    context: str

    def __new__(
        cls, words: str, values: Mapping[str, object] | None = None, context: str = ""
    ) -> "Phrase":
        """Put the values in."""
        phrase = super().__new__(cls, words.format(**values) if values else words)
        phrase.words, phrase.values, phrase.context = words, dict(values or {}), context
        return phrase

    def format(self, *_: object, **values: object) -> "Phrase":
        """Return the phrase with its values."""
        return Phrase(self.words, values, self.context)


def phrases(module: str) -> Callable[[str], Phrase]:
    """Return the function that marks the phrases of a module; to be named ``_``.

    By that name Slicer's extraction finds them in the source.
    """
    context = ".".join(module.split(".")[-2:])
    return lambda words: Phrase(words, context=context)


def listed(names: Sequence[str]) -> str:
    """Return "", "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@dataclass(frozen=True)
class Problem:
    """Something the user should know: parts for programs, one sentence for people.

    Errors and the findings of `images.checks` share it.

    Attributes:
        found: what is wrong, for example "3 volumes of 5 x 5 x 5 voxels".
        expected: what should be there; empty where that is plain.
        action: what the user can do, or what will be done; may be empty.
        path: file, folder, case or volume concerned; None where there is none.
    """

    found: str
    expected: str = ""
    action: str = ""
    path: str | None = None

    @property
    def place(self) -> str:
        """What the sentence is about; empty where it names nothing first."""
        return self.path or ""

    @property
    def sentence(self) -> str:
        """The parts as "PLACE: found X, expected Y; do Z."."""
        where = f"{self.place}: found" if self.place else "Found"
        expected = f", expected {self.expected}" if self.expected else ""
        action = f"; {self.action}" if self.action else ""
        return f"{where} {self.found}{expected}{action}."

    @property
    def fields(self) -> dict[str, str]:
        """The parts that are stated, for JSON events; the path is the place."""
        stated = {
            "found": self.found,
            "expected": self.expected,
            "action": self.action,
            "path": self.place,
        }
        return {name: value for name, value in stated.items() if value}


class ScriptedModelsError(Exception):
    """Base of all expected errors: what was found, what was expected, what to do.

    Programs read the fields; people read the sentence that `str` makes of them.

    Args:
        text: a whole sentence from elsewhere, such as another program or a translation; then there
            are no parts.
        found: what is wrong, for example "3 volumes of 5 x 5 x 5 voxels".
        expected: what should be there; empty where that is plain.
        action: what the user can do; empty where there is nothing to do.
        path: file, folder, case or volume that the error is about.

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
        super().__init__(text or self.problem.sentence)

    @classmethod
    def of(cls: type[Error], problem: Problem, path: Path | str | None = None) -> Error:
        """Return a problem as an error, about a path or else about its own place."""
        where = path or problem.place or None
        return cls(
            found=problem.found, expected=problem.expected, action=problem.action, path=where
        )

    def at(self: Error, path: Path | str) -> Error:
        """Return the same error about another path."""
        return self.of(self.problem, path)

    @property
    def problem(self) -> Problem:
        """The parts of the error."""
        return Problem(self.found, self.expected, self.action, self.path)

    @property
    def fields(self) -> dict[str, str]:
        """The parts that are stated, for JSON events."""
        return self.problem.fields


class InputError(ScriptedModelsError):
    """The user's files, folders or options cannot be used as they are."""

    exit_code = 2
    code = "input"


class ModelError(ScriptedModelsError):
    """A model folder is missing, damaged or does not fit the program."""

    exit_code = 3
    code = "model"


class NotBetterError(ModelError):
    """A model that was trained is not better than the one that it began with."""

    code = "not_better"


class ResourceError(ScriptedModelsError):
    """The machine lacks something: memory, disk, a device."""

    exit_code = 4
    code = "resource"


class Cancelled(ScriptedModelsError):  # noqa: N818 - not a fault, an outcome
    """The run was cancelled by the user or by a signal."""

    exit_code = 130
    code = "cancelled"

    def __init__(
        self,
        *,
        found: str = "a cancelled run",
        expected: str = "",
        action: str = "nothing partial was written",
        path: Path | str | None = None,
    ):
        super().__init__(found=found, expected=expected, action=action, path=path)
