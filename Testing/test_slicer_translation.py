"""What the module shows can be translated: by Slicer's own extraction, and at run time."""

import ast
import copy
import json
import re
import string
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import product
from pathlib import Path

import pytest
from slicer_fixtures import MODULE, ROOT

# isort: split
from BrainTumorSegLib import words as module_words
from BrainTumorSegLib.words import either, error_in_words, in_words, listed, translated

from scripted_models.errors import InputError, Problem, phrases

PACKAGE = ROOT / "scripted_models"
WITH_PHRASES = [
    file for file in PACKAGE.rglob("*.py") if "phrases(__name__)" in file.read_text("utf-8")
]
FILES = sorted([*MODULE.rglob("*.py"), *WITH_PHRASES])
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
PARTS = ("found", "expected", "action")
SHOWN = ("text", "toolTip", "format", "windowTitle")  # properties of widgets


def calls_of(tree, name):
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if getattr(call.func, "id", "") == name]


def context_of(file):
    """The context that slicer.i18n.getContext gives to the texts of a file."""
    in_package = (file.parent / "__init__.py").is_file()
    return f"{file.parent.name}.{file.stem}" if in_package else file.stem


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("file", FILES, ids=context_of)
def test_translated_texts_are_one_plain_string(file):
    """Slicer's extraction reads the source: no variables, no f-strings, one argument."""
    for call in calls_of(TREES[file], "_"):
        (text,) = call.args
        assert isinstance(text, ast.Constant), ast.unparse(call)
        assert text.value == text.value.strip(), ast.unparse(call)


@pytest.mark.parametrize("file", FILES, ids=context_of)
def test_values_fit_the_placeholders(file):
    for node in ast.walk(TREES[file]):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "format":
            continue
        if node.func.value in calls_of(TREES[file], "_"):
            text = ast.literal_eval(node.func.value.args[0])
            assert {keyword.arg for keyword in node.keywords} == placeholders(text)


@pytest.mark.parametrize("file", FILES, ids=context_of)
def test_parts_of_errors_and_texts_of_widgets_are_translated(file):
    for node in ast.walk(TREES[file]):
        values = []
        if isinstance(node, ast.Call):
            values = [keyword.value for keyword in node.keywords if keyword.arg in PARTS]
        elif isinstance(node, ast.Assign):
            targets = [getattr(target, "attr", "") for target in node.targets]
            values = [node.value] if set(targets) & set(SHOWN) else []
        for value in values:
            plain = isinstance(value, ast.Constant) and value.value
            words = isinstance(value, ast.JoinedStr) and "%p%" not in ast.unparse(value)
            assert not plain, ast.unparse(node)
            assert not words, ast.unparse(node)


def patched(source, context):
    """Do what Slicer's Utilities/Scripts/update_translations.py does before it calls lupdate."""
    for quote in ('"', "'"):
        call = rf"([^_])_\((\s*?{quote}.+?{quote}\s*?)\)"
        source = re.sub(call, rf'\1translate("{context}", \2)', source, flags=re.DOTALL)
    return source


def test_slicers_extraction_finds_every_text(tmp_path):
    pyside = pytest.importorskip("PySide6")
    lupdate = Path(pyside.__file__).parent / "lupdate"
    if not lupdate.is_file():
        pytest.skip("PySide6 comes without lupdate")
    expected, files = set(), []
    for file, tree in TREES.items():
        target = tmp_path / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        files.append(str(target))
        target.write_text(patched(file.read_text(encoding="utf-8"), context_of(file)), "utf-8")
        found = calls_of(tree, "_")
        expected |= {(context_of(file), ast.literal_eval(call.args[0])) for call in found}
    command = [str(lupdate), *files, "-ts", str(tmp_path / "module_en-US.ts")]
    subprocess.run(command, check=True, capture_output=True)
    extracted = {
        (context.find("name").text, message.find("source").text)
        for context in ElementTree.parse(tmp_path / "module_en-US.ts").iter("context")
        for message in context.iter("message")
    }
    extracted = {(c, text) for c, text in extracted if c != "qSlicerAbstractCoreModule"}
    assert len(expected) > 200
    assert extracted == expected


@pytest.mark.parametrize("parts", list(product(["", "x"], ["", "y"], ["", "p"])))
def test_english_frames_are_those_of_the_package(parts):
    expected, action, path = parts
    problem = Problem("f", expected, action, path or None)
    assert in_words(problem) == problem.sentence
    assert in_words(problem, "here") == Problem("f", expected, action, "here").sentence
    assert error_in_words(InputError.of(problem)) == problem.sentence


def test_error_that_is_but_a_sentence_stays_as_it_is():
    assert error_in_words(ValueError("odd")) == "odd"
    assert error_in_words(InputError("One sentence.")) == "One sentence."


def test_phrases_of_the_package_know_their_context_and_words():
    """The context is the one under which Slicer's extraction files them."""
    assert {file.stem for file in WITH_PHRASES} >= {"checks", "sequence_assignment"}
    from scripted_models.images.checks import _

    phrase = _("a thickness of {size} mm").format(size=3)
    assert (phrase, phrase.context) == ("a thickness of 3 mm", "images.checks")
    assert (phrase.words, phrase.values) == ("a thickness of {size} mm", {"size": 3})
    assert json.dumps(phrase) == '"a thickness of 3 mm"'
    assert translated(phrase) == phrase
    assert copy.deepcopy(phrase).values == phrase.values


@pytest.mark.parametrize(
    ("words", "told"),
    [("{size} mm Dicke", "Found 3 mm Dicke."), ("{groesse} mm Dicke", "Found 3 mm thick.")],
)
def test_phrases_are_looked_up_unless_their_places_differ(monkeypatch, words, told):
    dictionary = {("images.checks", "{size} mm thick"): words}
    monkeypatch.setattr(
        module_words, "translate", lambda context, text: dictionary.get((context, text), text)
    )
    phrase = phrases("scripted_models.images.checks")("{size} mm thick").format(size=3)
    assert in_words(Problem(phrase)) == told


def test_names_are_listed():
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert either(["a", "b", "c"]) == "a, b or c"


def test_problems_are_told_in_the_language_of_slicer():
    """A stand-in for slicer.i18n translates the frame and the parts of an error of the module."""
    code = (
        "import sys, types\n"
        "german = {\n"
        "    'Found {found}, expected {expected}; {action}.':\n"
        "    '{found} statt {expected}: {action}!',\n"
        "    'no previous result': 'kein altes Ergebnis',\n"
        "    'a segmentation that was filled twice': 'einer zweimal gefüllten Segmentierung',\n"
        "    'choose another segmentation': 'andere wählen',\n"
        "}\n"
        "translation = types.ModuleType('slicer.i18n')\n"
        "translation.tr = lambda text: german.get(text, text)\n"
        "translation.translate = lambda context, text: text\n"
        "sys.modules['slicer.i18n'] = translation\n"
        "from BrainTumorSegLib.previous_result import restore_previous\n"
        "from BrainTumorSegLib.words import error_in_words\n"
        "try:\n"
        "    restore_previous(None)\n"
        "except Exception as error:\n"
        "    print(ascii(error_in_words(error)))\n"
    )
    pytest.importorskip("slicer")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=MODULE, capture_output=True, text=True, check=True
    )
    told = "kein altes Ergebnis statt einer zweimal gefüllten Segmentierung: andere wählen!"
    assert ast.literal_eval(done.stdout) == told
