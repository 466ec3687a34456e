"""One frame for the sentences of problems, errors and findings."""

import pickle

import pytest

from scripted_models.errors import InputError, ModelError, Problem
from scripted_models.images.checks import WARNING, Finding


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"found": "a"}, "Found a."),
        ({"found": "a", "expected": "b"}, "Found a, expected b."),
        ({"found": "a", "action": "do c"}, "Found a; do c."),
        (
            {"found": "a", "expected": "b", "action": "do c", "path": "x/y"},
            "x/y: found a, expected b; do c.",
        ),
    ],
)
def test_the_sentence_has_the_stated_parts(parts, sentence):
    problem, error = Problem(**parts), InputError(**parts)
    assert problem.sentence == str(error) == sentence
    assert problem.fields == error.fields == parts
    assert error.problem == problem


def test_an_error_travels_to_another_process():
    error = InputError(found="a", expected="b", path="x")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.fields, again.exit_code) == (str(error), error.fields, 2)


def test_the_same_error_about_another_path():
    error = ModelError(found="a", action="do c", path="x").at("y")
    assert isinstance(error, ModelError)
    assert str(error) == "y: found a; do c."


def test_a_finding_names_its_volumes_and_becomes_an_error():
    finding = Finding(
        found="a", action="do c", severity=WARNING, slots=("t1", "t2"), volumes=("T1", "T2")
    )
    assert finding.sentence == "T1 and T2: found a; do c."
    assert finding.fields == {"found": "a", "action": "do c", "path": "T1 and T2"}
    assert str(InputError.of(finding)) == finding.sentence
    assert str(InputError.of(finding, "x")) == "x: found a; do c."


def test_a_finding_without_volumes_is_about_its_path():
    finding = Finding(found="a", path="x", severity=WARNING, slots=("t1",))
    assert finding.sentence == "x: found a."
