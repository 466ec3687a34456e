"""Tables into frozen dataclasses and back: types, bounds, unknown keys, sentences."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_schema import faults

import scripted_models.experiments
from scripted_models.errors import InputError, ModelError
from scripted_models.runtime.table_hints import Choice, Complete, Pattern, Range
from scripted_models.runtime.table_schema import json_schema
from scripted_models.runtime.typed_tables import UnfitError, as_table, read_table
from scripted_models.training.experiment_config import Experiment, load_experiment

RECIPES = sorted((Path(scripted_models.experiments.__file__).parent / "recipes").rglob("*.toml"))


@dataclass(frozen=True)
class Cube:
    """A cube.

    Attributes:
        kind: that it is one.
        edge: its length.
    """

    kind: Literal["cube"] = "cube"
    edge: Annotated[float, Range(above=0)] = 1.0


@dataclass(frozen=True)
class Ball:
    """A ball.

    Attributes:
        kind: that it is one.
    """

    kind: Literal["ball"] = "ball"


@dataclass(frozen=True)
class Box:
    """What all kinds of fields look like.

    Attributes:
        size: three numbers,
            in mm.
        name: two letters.
        things: in it.
        inner: one cube.
        counts: by number.
        color: one of two.
        most: None for any number.
        share: or the word.
        free: anything.
    """

    size: tuple[int, float, float]
    name: Annotated[str, Pattern("[a-z]{2}", "two letters")] = "ab"
    things: tuple[Cube | Ball, ...] = ()
    inner: Annotated[Cube, Complete()] = field(default_factory=Cube)
    counts: Mapping[int, bool] = field(default_factory=dict)
    color: Annotated[str, Choice(("red", "blue"))] = "red"
    most: Annotated[int, Range(1, 9)] | None = None
    share: Annotated[float, Range(0, below=1)] | Literal["best"] = "best"
    free: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.things) > 2:
            raise UnfitError("things", len(self.things), "two at most")


FULL = {
    "size": [1, 2, 3.5],
    "name": "xy",
    "things": [{"kind": "ball"}, {"kind": "cube", "edge": 2}],
    "inner": {"kind": "cube", "edge": 1},
    "counts": {"0": True, "12": False},
    "color": "blue",
    "most": 9,
    "share": 0.5,
    "free": {"a": [1, {"b": None}]},
}


def test_every_kind_of_field_is_read():
    box = read_table(Box, FULL)
    assert box.size == (1, 2.0, 3.5)
    assert [type(x) for x in box.size] == [int, float, float]
    assert box.things == (Ball(), Cube(edge=2.0))
    assert box.counts == {0: True, 12: False}
    assert (box.most, box.share, box.free) == (9, 0.5, FULL["free"])
    with pytest.raises(TypeError):
        box.counts[1] = True
    assert read_table(Box, json.loads(json.dumps(as_table(box)))) == box


def test_defaults_are_written_only_when_asked_for_or_needed():
    box = read_table(Box, {"size": [1, 2, 3]})
    assert as_table(box) == {"size": [1, 2.0, 3.0]}
    whole = as_table(box, defaults=True)
    assert whole["inner"] == {"kind": "cube", "edge": 1.0}
    assert (whole["most"], whole["counts"]) == (None, {})
    assert read_table(Box, {**whole, "inner": {"kind": "cube", "edge": 1}}) == box
    inner = read_table(Box, {**FULL, "inner": {"kind": "cube", "edge": 3}})
    assert as_table(inner)["inner"] == {"kind": "cube", "edge": 3.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"size": None},
            "'size' = None, expected a list of 3 values, each a whole number, a number",
        ),
        ({"size": [1, 2]}, "'size' = [1, 2]"),
        ({"size": [True, 2, 3]}, "'size[0]' = True, expected a whole number"),
        ({"size": [1, math.nan, 3]}, "'size[1]' = nan, expected a number"),
        ({"size": [1, 10**400, 3]}, "'size[1]' = 1000"),
        ({"name": "abc"}, "'name' = 'abc', expected two letters"),
        ({"name": 1}, "'name' = 1, expected two letters"),
        ({"things": [{}]}, "no 'things[0].kind', expected one of ['ball', 'cube']"),
        (
            {"things": [{"kind": "cube", "edge": 0}]},
            "'things[0].edge' = 0, expected a number above 0",
        ),
        (
            {"things": [{"kind": "cube", "egde": 1}]},
            "the unknown key 'things[0].egde', expected 'edge'",
        ),
        ({"things": [{"kind": "ball"}] * 3}, "'things' = 3, expected two at most"),
        ({"inner": {"kind": "cube"}}, "no 'inner.edge', expected a number above 0; state it"),
        ({"counts": {"x": True}}, "the unknown key 'counts.x'"),
        ({"counts": {"1": 1}}, "'counts.1' = 1, expected true or false"),
        ({"color": "green"}, "'color' = 'green', expected 'red' or 'blue'"),
        ({"most": 10}, "'most' = 10, expected a whole number from 1 to 9 or null"),
        ({"share": 1}, "'share' = 1, expected a number of at least 0 and below 1 or 'best'"),
        ({"free": {"a": [1, {"b": math.inf}]}}, "'free.a[1].b' = inf, expected a finite number"),
        ({"free": []}, "'free' = [], expected a table"),
        ({"sizes": 1}, "the unknown key 'sizes', expected 'size', the nearest of the known ones"),
        ({"x" * 500: 1}, "the unknown key 'xxx"),
    ],
)
def test_what_does_not_fit_is_said_in_parts(changes, said):
    with pytest.raises(ModelError) as caught:
        read_table(Box, {**FULL, **changes}, ModelError, "box.json")
    error = caught.value
    assert f"found {said}" in str(error)
    assert (error.path, bool(error.expected), bool(error.action)) == ("box.json", True, True)
    assert len(str(error)) < 500


def test_an_action_can_be_the_same_for_all():
    with pytest.raises(InputError, match="; ask for another box"):
        read_table(Box, {}, action="ask for another box")
    with pytest.raises(InputError, match="Found 'the whole file' = 3, expected a table"):
        read_table(Box, 3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(FULL)), json_values)
def test_what_is_read_can_be_written_and_is_valid(key, value):
    table = {**FULL, key: value}
    try:
        box = read_table(Box, table)
    except InputError:
        return
    assert read_table(Box, as_table(box)) == box
    assert list(faults(json_schema(Box), table)) == []


def test_the_schema_tells_what_the_docstring_tells():
    schema = json_schema(Box)
    assert schema["description"] == "What all kinds of fields look like."
    assert schema["properties"]["size"]["description"] == "three numbers, in mm."
    assert schema["required"] == ["size"]
    assert schema["$defs"]["Cube"]["required"] == ["kind"]
    assert schema["properties"]["inner"]["required"] == ["kind", "edge"]
    assert list(faults(schema, FULL)) == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_survive_being_written(path):
    experiment = load_experiment(path)
    for defaults in (True, False):
        again = json.loads(json.dumps(as_table(experiment, defaults)))
        assert read_table(Experiment, again) == experiment
