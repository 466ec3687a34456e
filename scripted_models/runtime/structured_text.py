"""JSON and TOML of strangers: one meaning for every text, in bounded depth.

Python reads a key that is stated twice, NaN, half a surrogate pair and any depth. These are
refused, because programs disagree about them or break on them later.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from scripted_models.runtime.plain_files import LARGEST_TEXT, read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEEPEST = 64  # tables and lists inside each other; the shipped descriptions have 5


def read_json(path: Path | str, at_most: int = LARGEST_TEXT) -> Any:
    """Read a JSON file.

    Raises:
        OSError: as `plain_files.read_bytes`.
        ValueError: it is not JSON in UTF-8, or is ambiguous or too deep.
    """
    return parse_json(read_bytes(path, at_most))


def parse_json(content: bytes | str) -> Any:
    """Return the content of a JSON text; a byte order mark before it is passed over.

    Raises:
        ValueError: it is not JSON in UTF-8, or is ambiguous or too deep.
    """
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_table)
    except RecursionError as error:
        raise _too_deep() from error
    _check(value)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML text.

    Raises:
        ValueError: it is not TOML, or too deep.
    """
    try:
        content = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    _check(content)
    return content


def _check(value: object, depth: int = 0) -> None:
    """Raise ValueError for a value that is too deep or holds half a surrogate pair."""
    if depth > DEEPEST:
        raise _too_deep()
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("half of a character (a lone surrogate)")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            _check(key, depth)
            _check(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check(part, depth + 1)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} twice")
    return table


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"the number {text}")


def _too_deep() -> ValueError:
    return ValueError(f"more than {DEEPEST} tables or lists inside each other")
