"""A validator for the part of JSON Schema that `runtime.table_schema` writes; for tests alone."""

import re
from collections.abc import Iterator
from typing import Any

_KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
_BOUNDS = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
KNOWN = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "properties", "required"),
    *("additionalProperties", "propertyNames", "items", "prefixItems", "minItems", "maxItems"),
    *("enum", "const", "anyOf", "pattern", *_BOUNDS),
}


def faults(schema: dict, value: Any, whole: dict | None = None, where: str = "$") -> Iterator[str]:
    """Yield what is wrong with a value; a keyword that is not known here is an error."""
    whole = schema if whole is None else whole
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        yield from faults(whole["$defs"][schema["$ref"].rpartition("/")[2]], value, whole, where)
        return
    if "anyOf" in schema and all(list(faults(s, value, whole, where)) for s in schema["anyOf"]):
        yield f"{where}: none of the choices"
    stated = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if stated is not None and not any(value == s and type(value) is type(s) for s in stated):
        yield f"{where}: {value!r} is not of {stated}"
    if "type" in schema and not _is_kind(schema["type"], value):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    yield from _bounds(schema, value, where)
    if isinstance(value, dict):
        yield from _object(schema, value, whole, where)
    if isinstance(value, list):
        yield from _array(schema, value, whole, where)


def _is_kind(name: str, value: Any) -> bool:
    is_bool = isinstance(value, bool)
    return isinstance(value, _KINDS[name]) and (is_bool == (name == "boolean"))


def _bounds(schema: dict, value: Any, where: str) -> Iterator[str]:
    for word, holds in _BOUNDS.items():
        if word in schema and not holds(value, schema[word]):
            yield f"{where}: {value} against {word} {schema[word]}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} against {schema['pattern']}"


def _object(schema: dict, value: dict, whole: dict, where: str) -> Iterator[str]:
    own, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{where}: no {name}"
    for name, part in value.items():
        if "propertyNames" in schema:
            yield from faults(schema["propertyNames"], name, whole, f"{where}.{name}")
        if name not in own and others is False:
            yield f"{where}: unknown {name}"
        else:
            yield from faults(own.get(name, others), part, whole, f"{where}.{name}")


def _array(schema: dict, value: list, whole: dict, where: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{where}: {len(value)} items"
    first = schema.get("prefixItems", [])
    for index, part in enumerate(value):
        kind = first[index] if index < len(first) else schema.get("items", {})
        yield from faults(kind, part, whole, f"{where}[{index}]")
