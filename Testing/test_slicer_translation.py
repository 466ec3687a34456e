"""What the module shows can be translated: by Slicer's own extraction, and at run time."""

import ast
import re
import shutil
import string
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import product
from pathlib import Path

import pytest
from slicer_fixtures import MODULE, ROOT

# isort: split
from BrainTumorSegLib.words import either, error_in_words, in_words, listed

from scripted_models.errors import InputError, Problem

FILES = sorted(MODULE.rglob("*.py"))
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
    shutil.copytree(MODULE, tmp_path / MODULE.name)
    expected = set()
    for file, tree in TREES.items():
        copy = tmp_path / file.relative_to(ROOT)
        copy.write_text(patched(file.read_text(encoding="utf-8"), context_of(file)), "utf-8")
        found = calls_of(tree, "_")
        expected |= {(context_of(file), ast.literal_eval(call.args[0])) for call in found}
    files = [str(file) for file in (tmp_path / MODULE.name).rglob("*") if file.suffix == ".py"]
    command = [str(lupdate), *files, "-ts", str(tmp_path / "module_en-US.ts")]
    subprocess.run(command, check=True, capture_output=True)
    extracted = {
        (context.find("name").text, message.find("source").text)
        for context in ElementTree.parse(tmp_path / "module_en-US.ts").iter("context")
        for message in context.iter("message")
    }
    extracted = {(c, text) for c, text in extracted if c != "qSlicerAbstractCoreModule"}
    assert len(expected) > 150
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
