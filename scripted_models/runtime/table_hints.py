"""Type hints as a schema: what the fields of a frozen dataclass may hold, as data and in words.

Numbers, text, tuples, mappings, `Literal`, optional values, other dataclasses, and unions of
dataclasses that a constant field tells apart; `Annotated` adds bounds. `typed_tables` reads and
writes tables by it, `table_schema` writes it as JSON Schema.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

MISSING = object()  # in the place of a default or a value that is not there
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a number, for `Annotated`; NaN and infinity are never inside."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: Any) -> bool:
        """Tell whether a number lies inside."""
        return not (
            (self.at_least is not None and value < self.at_least)
            or (self.at_most is not None and value > self.at_most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"from {self.at_least:g} to {self.at_most:g}"
        bounds = {
            "of at least": self.at_least,
            "above": self.above,
            "of at most": self.at_most,
            "below": self.below,
        }
        return " and ".join(f"{word} {v:g}" for word, v in bounds.items() if v is not None)


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A regular expression that a whole text must match, and what it means in words."""

    expression: str
    words: str

    def holds(self, value: Any) -> bool:
        """Tell whether a text matches."""
        return re.fullmatch(self.expression, value) is not None

    def __str__(self) -> str:
        return self.words


@dataclasses.dataclass(frozen=True)
class Choice:
    """The texts that a text may be; unlike `Literal` it stays a `str` for type checkers."""

    values: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Tell whether a text is one of them."""
        return value in self.values

    def __str__(self) -> str:
        return " or ".join(map(repr, self.values))


@dataclasses.dataclass(frozen=True)
class Complete:
    """For `Annotated`: a table must state all fields of the dataclass, with or without default."""


@lru_cache(maxsize=256)
def hints_of(kind: type) -> dict[str, Any]:
    """Return the type hints of a dataclass, with what `Annotated` adds."""
    return typing.get_type_hints(kind, include_extras=True)


def is_required(kind: type, name: str) -> bool:
    """Tell whether a table must state a field: it has no default, or is a constant."""
    return constant(hints_of(kind)[name]) is not None or default_of(kind, name) is MISSING


def constant(hint: object) -> object:
    """Return the only value that a hint allows, None when there are others."""
    values = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    return values[0] if len(values) == 1 else None


def tag_of(kind: type) -> tuple[str, object]:
    """Return the name and value of the constant field that tells a dataclass of a union apart."""
    fields = ((name, constant(hint)) for name, hint in hints_of(kind).items())
    return next((name, value) for name, value in fields if value is not None)


def default_of(kind: type, name: str) -> object:
    """Return the default of a field, MISSING where there is none."""
    field = next(f for f in dataclasses.fields(kind) if f.name == name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return MISSING if field.default is dataclasses.MISSING else field.default


def is_complete(hint: object) -> bool:
    """Tell whether a hint is marked with `Complete`."""
    return any(isinstance(mark, Complete) for mark in getattr(hint, "__metadata__", ()))


def words(hint: Any) -> str:
    """Say in words what a type hint asks for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        bounds = [str(mark) for mark in arguments[1:] if isinstance(mark, Range)]
        texts = [str(mark) for mark in arguments[1:] if isinstance(mark, Pattern | Choice)]
        return " ".join(texts or [words(arguments[0]), *bounds])
    if origin is typing.Literal:
        return " or ".join(repr(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(words(kind) for kind in arguments))
    if origin in (tuple, Sequence):
        fixed = origin is tuple and arguments[-1] is not Ellipsis
        parts = dict.fromkeys(words(kind) for kind in arguments if kind is not Ellipsis)
        return f"a list of {f'{len(arguments)} values, each ' if fixed else ''}{', '.join(parts)}"
    return "null" if hint is type(None) else _WORDS.get(hint, "a table")
