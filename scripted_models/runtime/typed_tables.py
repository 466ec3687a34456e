"""Tables of JSON and TOML into frozen dataclasses and back; every value is checked.

The type hints of a dataclass are its schema, see `table_hints`. Hand-written, because a library for
it would have to be installed into 3D Slicer.
"""

import dataclasses
import difflib
import math
import re
import reprlib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from scripted_models.errors import InputError, ScriptedModelsError
from scripted_models.runtime.table_hints import (
    MISSING,
    Choice,
    Pattern,
    Range,
    default_of,
    hints_of,
    is_complete,
    is_required,
    tag_of,
    words,
)

Kind = TypeVar("Kind")
_UNKNOWN = object()  # in the place of the value of an unknown key
_LONGEST_KEY = 160
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 3, 6, 8


class UnfitError(ValueError):
    """A value that does not fit; a dataclass raises it in `__post_init__` with its own key.

    Args:
        key: path of the value, with dots.
        value: what was found there.
        expected: what should be there.
        action: what the user can do.
    """

    def __init__(self, key: str, value: object, expected: str, action: str = "change it"):
        self.key, self.value, self.expected, self.action = key, value, expected, action
        super().__init__(f"{self.found}, expected {expected}; {action}")

    @property
    def found(self) -> str:
        """What was found, in words."""
        key = self.key if len(self.key) <= _LONGEST_KEY else f"{self.key[:_LONGEST_KEY]}..."
        if self.value is MISSING:
            return f"no '{key}'"
        if self.value is _UNKNOWN:
            return f"the unknown key '{key}'"
        return f"'{key}' = {shown(self.value)}"


def shown(value: object) -> str:
    """Return a value as messages show it, in bounded length whatever it holds."""
    return _SHORT.repr(value)


def read_table(
    kind: type[Kind],
    content: object,
    error: type[ScriptedModelsError] = InputError,
    path: Path | str | None = None,
    action: str = "",
) -> Kind:
    """Make a dataclass from a plain table.

    Args:
        kind: dataclass.
        content: mappings, lists, text, numbers, None.
        error: raised for a value that does not fit.
        path: of the file, for the error.
        action: what the user can do, where that is the same whatever is wrong.

    Raises:
        ScriptedModelsError: `error`, for an unknown key or a value of another type or out of range.
    """
    with refusing(error, path, action):
        return typing.cast(Kind, read_value(kind, content))


@contextmanager
def refusing(
    error: type[ScriptedModelsError], path: Path | str | None = None, action: str = ""
) -> Iterator[None]:
    """Turn `UnfitError` into an error for the user; arguments as for `read_table`."""
    try:
        yield
    except UnfitError as unfit:
        raise error(
            found=unfit.found, expected=unfit.expected, action=action or unfit.action, path=path
        ) from unfit


def as_table(value: object, defaults: bool = False) -> Any:
    """Return the plain table of a dataclass, which `read_table` reads back.

    Args:
        value: dataclass, or a value inside one.
        defaults: also state what equals its default.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        stated = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        hints = hints_of(type(value))
        return {
            name: as_table(part, defaults or is_complete(hints[name]))
            for name, part in stated.items()
            if defaults or is_required(type(value), name) or part != default_of(type(value), name)
        }
    if isinstance(value, Mapping):
        return {str(key): as_table(part, defaults) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_table(part, defaults) for part in value]
    return value


def read_value(hint: Any, value: object, where: str = "", complete: bool = False) -> object:
    """Return a value as a type hint asks for it.

    Args:
        hint: type hint.
        value: plain.
        where: path of the value, with dots.
        complete: of a dataclass, all fields must be stated.

    Raises:
        UnfitError: the value is of another type or out of range.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _annotated(hint, value, where)
    if dataclasses.is_dataclass(hint):
        return _dataclass(typing.cast(type, hint), value, where, complete)
    if origin in (typing.Union, types.UnionType):
        return _union(hint, value, where)
    if origin is typing.Literal:
        if any(value == known and type(value) is type(known) for known in arguments):
            return value
    elif origin in (tuple, Sequence):
        return _tuple(hint, value, where)
    elif origin in (Mapping, dict):
        return _mapping(hint, value, where)
    elif hint in (object, dict, Any):
        return _plain(hint, value, where)
    elif _is_scalar(hint, value):
        return float(value) if hint is float else value  # type: ignore[arg-type]
    raise UnfitError(where, value, words(hint))


def _is_scalar(hint: type, value: object) -> bool:
    """Tell whether a value is of a plain type; true, NaN and infinity are no numbers."""
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return math.isfinite(float(value))
        except OverflowError:  # a whole number beyond all floats
            return False
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _annotated(hint: Any, value: object, where: str) -> object:
    with _in_words_of(hint, where):
        read = read_value(hint.__origin__, value, where, is_complete(hint))
    for mark in hint.__metadata__:
        if isinstance(mark, Range | Pattern | Choice) and not mark.holds(read):
            raise UnfitError(where, value, words(hint))
    return read


@contextmanager
def _in_words_of(hint: Any, where: str) -> Iterator[None]:
    """Say of a value that does not fit a part of its hint what the whole hint expects."""
    try:
        yield
    except UnfitError as unfit:
        expected = words(hint) if unfit.key == where else unfit.expected
        raise UnfitError(unfit.key, unfit.value, expected, unfit.action) from unfit


def _dataclass(kind: type, value: object, where: str, complete: bool) -> object:
    if not isinstance(value, Mapping):
        raise UnfitError(where or "the whole file", value, "a table")
    hints = hints_of(kind)
    below = f"{where}." if where else ""
    for key in value:
        if key not in hints:
            raise _unknown(f"{below}{key}", str(key), list(hints))
    read = {}
    for name, hint in hints.items():
        if name in value:
            read[name] = read_value(hint, value[name], below + name)
        elif complete or is_required(kind, name):
            raise UnfitError(below + name, MISSING, words(hint), "state it")
    try:
        return kind(**read)
    except UnfitError as unfit:
        raise UnfitError(below + unfit.key, unfit.value, unfit.expected, unfit.action) from unfit


def _unknown(where: str, key: str, known: Sequence[str]) -> UnfitError:
    near = difflib.get_close_matches(key[:80], known, 1)
    expected = f"'{near[0]}', the nearest of the known ones" if near else f"one of {sorted(known)}"
    return UnfitError(where, _UNKNOWN, expected, "correct its name")


def _union(hint: Any, value: object, where: str) -> object:
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if value is None and len(kinds) < len(typing.get_args(hint)):
        return None
    if len(kinds) == 1:
        with _in_words_of(hint, where):
            return read_value(kinds[0], value, where)
    if all(dataclasses.is_dataclass(kind) for kind in kinds):
        return _tagged(kinds, value, where)
    for kind in kinds:
        try:
            return read_value(kind, value, where)
        except UnfitError:
            continue
    raise UnfitError(where, value, words(hint))


def _tagged(kinds: Sequence[type], value: object, where: str) -> object:
    tag, _ = tag_of(kinds[0])
    if not isinstance(value, Mapping):
        raise UnfitError(where, value, f"a table with '{tag}'")
    known = {tag_of(kind)[1]: kind for kind in kinds}
    name = value.get(tag, MISSING)
    if not isinstance(name, str) or name not in known:
        raise UnfitError(
            f"{where}.{tag}", name, f"one of {sorted(map(str, known))}", "correct its name"
        )
    return read_value(known[name], value, where)


def _tuple(hint: Any, value: object, where: str) -> tuple[object, ...]:
    kinds = typing.get_args(hint)
    if not isinstance(value, list | tuple):
        raise UnfitError(where, value, words(hint))
    fixed = typing.get_origin(hint) is tuple and kinds[-1] is not Ellipsis
    if fixed and len(kinds) != len(value):
        raise UnfitError(where, value, words(hint))
    each = kinds if fixed else [kinds[0]] * len(value)
    parts = enumerate(zip(each, value, strict=True))
    return tuple(read_value(kind, part, f"{where}[{index}]") for index, (kind, part) in parts)


def _mapping(hint: Any, value: object, where: str) -> Mapping[object, object]:
    key_kind, kind = typing.get_args(hint)
    if not isinstance(value, Mapping):
        raise UnfitError(where, value, "a table")
    read = {
        _key(key_kind, key, where): read_value(kind, part, f"{where}.{key}")
        for key, part in value.items()
    }
    return read if typing.get_origin(hint) is dict else types.MappingProxyType(read)


def _key(hint: Any, key: object, where: str) -> object:
    try:
        if hint is int and isinstance(key, str) and re.fullmatch("0|[1-9][0-9]{0,8}", key):
            return int(key)
        return read_value(hint, key)
    except UnfitError as unfit:
        raise UnfitError(f"{where}.{key}", _UNKNOWN, unfit.expected, "correct it") from unfit


def _plain(hint: object, value: object, where: str) -> object:
    """Copy a value without a schema: whatever JSON can hold, but finite numbers only."""
    if isinstance(value, Mapping):
        return {str(key): _plain(object, part, f"{where}.{key}") for key, part in value.items()}
    if hint is dict:
        raise UnfitError(where, value, "a table")
    if isinstance(value, list | tuple):
        return [_plain(object, part, f"{where}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise UnfitError(where, value, "a finite number")
    if value is not None and not isinstance(value, str | int | float):
        raise UnfitError(where, value, "text, a number, a list or a table")
    return value
