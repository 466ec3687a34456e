"""The schema of a frozen dataclass as JSON Schema (draft 2020-12), for people and programs."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from scripted_models.runtime.table_hints import (
    Choice,
    Pattern,
    Range,
    hints_of,
    is_complete,
    is_required,
)

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_BOUNDS = {
    "at_least": "minimum",
    "at_most": "maximum",
    "above": "exclusiveMinimum",
    "below": "exclusiveMaximum",
}
_INTEGER_KEY = "^(0|[1-9][0-9]{0,8})$"
Schema = dict[str, Any]


def json_schema(kind: type) -> Schema:
    """Return the JSON Schema of the tables that `read_table` makes a dataclass from.

    Checks of several values together, in `__post_init__`, have no place in it.
    """
    definitions: dict[str, Schema] = {}
    whole = _dataclass(kind, definitions, complete=False)
    return {"$schema": _DRAFT, "title": kind.__name__, **whole, "$defs": definitions}


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _annotated(hint, definitions)
    if dataclasses.is_dataclass(hint):
        return _reference(typing.cast(type, hint), definitions)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(kind, definitions) for kind in arguments]}
    if origin is typing.Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in (tuple, Sequence):
        return _array(hint, definitions)
    if origin in (Mapping, dict):
        return _table(arguments[0], arguments[1], definitions)
    if hint is dict:
        return {"type": "object"}
    return {"type": _TYPES[hint]} if hint in _TYPES else {}


def _annotated(hint: Any, definitions: dict[str, Schema]) -> Schema:
    if is_complete(hint):
        return _dataclass(hint.__origin__, definitions, complete=True)  # here alone
    schema = _schema(hint.__origin__, definitions)
    for mark in hint.__metadata__:
        if isinstance(mark, Pattern):
            schema |= {"pattern": f"^{mark.expression}$", "description": mark.words}
        if isinstance(mark, Choice):
            schema = {"enum": list(mark.values)}
        if isinstance(mark, Range):
            bounds = {name: getattr(mark, key) for key, name in _BOUNDS.items()}
            schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    return schema


def _array(hint: Any, definitions: dict[str, Schema]) -> Schema:
    kinds = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and kinds[-1] is not Ellipsis:
        items = [_schema(kind, definitions) for kind in kinds]
        length = {"minItems": len(items), "maxItems": len(items)}
        return {"type": "array", "prefixItems": items, **length}
    return {"type": "array", "items": _schema(kinds[0], definitions)}


def _table(key: Any, value: Any, definitions: dict[str, Schema]) -> Schema:
    names = {"pattern": _INTEGER_KEY} if key is int else _schema(key, definitions)
    stated = {} if key is str else {"propertyNames": names}
    return {"type": "object", **stated, "additionalProperties": _schema(value, definitions)}


def _reference(kind: type, definitions: dict[str, Schema]) -> Schema:
    if kind.__name__ not in definitions:
        definitions[
            kind.__name__
        ] = {}  # keeps its place, and a dataclass inside itself from looping
        definitions[kind.__name__] = _dataclass(kind, definitions, complete=False)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _dataclass(kind: type, definitions: dict[str, Schema], complete: bool) -> Schema:
    summary, told = _docstring(kind)
    properties = {}
    for name, hint in hints_of(kind).items():
        words = {"description": told[name]} if name in told else {}
        properties[name] = {**_schema(hint, definitions), **words}
    required = [name for name in properties if complete or is_required(kind, name)]
    return {
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _docstring(kind: type) -> tuple[str, dict[str, str]]:
    """Return the first line of a docstring, and what its section on attributes says of each."""
    text = inspect.getdoc(kind) or ""
    section = text.partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.+(?:\n {5,}.+)*)", section, re.MULTILINE)
    return text.partition("\n")[0], {name: " ".join(words.split()) for name, words in entries}
