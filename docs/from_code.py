"""Reference pages in Markdown, made from the code that they describe."""

import argparse
import ast
import functools
import inspect
import io
import json
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import MISSING, is_dataclass
from pathlib import Path
from typing import Any

from scripted_models.cli import build_parser
from scripted_models.runtime.table_hints import default_of, hints_of, words
from scripted_models.training.experiment_config import Experiment

_SCHEMA = Path(__file__).with_name("model-description.schema.json")
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}
Schema = dict[str, Any]


# ---------------------------------------------------------------- commands


def commands() -> str:
    """Return all commands with their options, from the parsers of the command line."""
    return "\n".join(_command(parser, help_, 2) for _, parser, help_ in _children(build_parser()))


def _children(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, child in action.choices.items():
                yield name, child, helps.get(name, "")


def _command(parser: argparse.ArgumentParser, help_: str, level: int) -> str:
    parser.formatter_class = functools.partial(argparse.HelpFormatter, width=92)
    name = parser.prog.removeprefix("scripted-models ")
    children = [_command(child, about, level + 1) for _, child, about in _children(parser)]
    parts = [f"{'#' * level} {name}", _sentence(help_)]
    if not children:
        parts.append(f"```text\n{parser.format_usage().removeprefix('usage: ')}```")
        rows = [_option(action) for action in parser._actions if action.dest != "help"]
        parts.append(_table(("option", "meaning", "default"), rows))
    return "\n\n".join([*parts, *children]) + "\n"


def _option(action: argparse.Action) -> tuple[str, str, str]:
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    shown = " ".join(value) if isinstance(value, tuple) else value
    if action.choices:
        shown = ""
    name = " ".join(filter(None, [", ".join(action.option_strings) or action.dest, shown]))
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    meaning = ": ".join(filter(None, [(action.help or "").replace("%%", "%"), choices]))
    if action.required and action.option_strings:
        return f"`{name}`", meaning, "needed"
    plain = action.default in (None, False, argparse.SUPPRESS, [], "")
    return f"`{name}`", meaning, "" if plain else f"`{_plain(action.default)}`"


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


# ---------------------------------------------------------------- experiments


def experiment() -> str:
    """Return the settings of an experiment, from its dataclasses and their comments."""
    return "\n".join(_settings(Experiment, ""))


def _settings(kind: type, key: str) -> Iterator[str]:
    notes, rows, inner = _comments(kind), [], []
    for name, hint in hints_of(kind).items():
        if is_dataclass(hint):
            inner.append((hint, f"{key}.{name}".lstrip(".")))
            continue
        rows.append((f"`{name}`", words(hint), _default(kind, name), notes.get(name, "")))
    title = f"`[{key}]`" if key else "At the top"
    about = inspect.cleandoc(kind.__doc__ or "")
    yield f"## {title}\n\n{about}\n\n{_table(('key', 'value', 'default', 'meaning'), rows)}\n"
    for hint, longer in inner:
        yield from _settings(hint, longer)


def _default(kind: type, name: str) -> str:
    value = default_of(kind, name)
    if value is MISSING or value is None:
        return ""
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return ", ".join(f"`{step.step}`" for step in value)
    return f"`{json.dumps(value, default=list)}`"


def _comments(kind: type) -> dict[str, str]:
    """Return what the comments before and beside each field of a dataclass say."""
    source = inspect.cleandoc(inspect.getsource(kind))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    said = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    whole = {line for line in said if source.splitlines()[line - 1].lstrip().startswith("#")}
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno
            while first - 1 in whole:
                first -= 1
            lines = range(first, (node.end_lineno or first) + 1)
            found[node.target.id] = _sentence(" ".join(said[n] for n in lines if n in said))
    return found


# ---------------------------------------------------------------- model.json


def model_format() -> str:
    """Return the keys of model.json, from its JSON Schema."""
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    parts = {"model.json": schema, **schema["$defs"]}
    return "\n".join(_keys(name, part) for name, part in parts.items())


def _keys(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{key}`", _kind(value), "needed" if key in required else "", _meaning(value))
        for key, value in schema["properties"].items()
    ]
    about = _sentence(schema["description"])
    return f"## {name}\n\n{about}\n\n{_table(('key', 'value', '', 'meaning'), rows)}\n"


def _meaning(schema: Schema) -> str:
    return _sentence(schema.get("description", ""))


def _kind(schema: Schema) -> str:
    """Return in words what a part of the schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{json.dumps(value)}`" for value in values)
    bounds = ", ".join(said.format(schema[key]) for key, said in _BOUNDS.items() if key in schema)
    kind = {"null": "none", "object": "table", "array": "list"}.get(
        schema.get("type", "any"), schema.get("type", "any")
    )
    items = schema.get("items") or schema.get("additionalProperties")
    if isinstance(items, dict):
        kind = f"{kind} of {_kind(items)}"
    elif "prefixItems" in schema:
        kind = f"list of {len(schema['prefixItems'])}: {_kind(schema['prefixItems'][0])}"
    return f"{kind}, {bounds}" if bounds else kind


# ---------------------------------------------------------------- Markdown


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    ended = text if not text or text.endswith((".", "?", "!")) else f"{text}."
    return ended[:1].upper() + ended[1:]


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "experiment": experiment,
    "model_format": model_format,
}
