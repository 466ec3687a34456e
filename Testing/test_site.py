"""The documentation site: builds without a warning, loads nothing from elsewhere, is whole."""

import html
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from scripted_models.cli import COMMANDS, build_parser
from scripted_models.training.experiment_config import DataConfig, TrainingConfig

pytest.importorskip("sphinx", reason="the extra [docs] is not installed")
pytest.importorskip("myst_parser", reason="the extra [docs] is not installed")
pytest.importorskip("furo", reason="the extra [docs] is not installed")

DOCS = Path(__file__).resolve().parents[1] / "docs"
BROKEN = "# A\n\n[a](absent.md), [b](#absent), ![c](absent.png)\n"
LOADED = re.compile(r"""(src=|url\(|@import |<link [^>]*href=)["']?(https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the pages, built as `sphinx-build -W docs output/site` does."""
    folder = tmp_path_factory.mktemp("site")
    assert warnings_of_building(DOCS, folder) == ""
    return folder / "pages"


def warnings_of_building(source, folder):
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    told = folder / "warnings.txt"
    with pytest.MonkeyPatch.context() as patch, docutils_namespace(), told.open("w") as stream:
        patch.setattr(sys, "path", list(sys.path))  # to which conf.py adds
        parts = (folder / "pages", folder / "doctrees")
        Sphinx(source, DOCS, *parts, "html", status=None, warning=stream).build()
    return told.read_text(encoding="utf-8")


def text_of(page):
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_pages_load_nothing_from_elsewhere(site):
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert len(files) > 40
    assert [path for path in files if LOADED.search(path.read_text(encoding="utf-8"))] == []


def test_every_page_is_there(site):
    made = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")} <= made


def test_every_option_of_every_command_is_in_the_reference(site):
    shown = set(re.findall(r"--[a-z][\w-]+", text_of(site / "reference" / "command-options.html")))
    subparsers = build_parser()._subparsers._group_actions[0].choices
    assert len(subparsers) == len(COMMANDS)
    options = {
        word
        for parser in subparsers.values()
        for action in parser._actions
        for word in action.option_strings
        if word.startswith("--")
    }
    assert options - shown == {"--help"}


def test_settings_of_an_experiment_stand_with_their_comments(site):
    text = text_of(site / "reference" / "experiment-options.html")
    names = {field.name for kind in (DataConfig, TrainingConfig) for field in fields(kind)}
    assert {name for name in names if name not in text} == set()
    assert "Patches of one step, of each process." in text  # beside the field
    assert "Distance of slices that cases are resampled to; 0: as it is." in text  # above it


def test_a_broken_link_is_a_warning(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(BROKEN, encoding="utf-8")
    assert warnings_of_building(tmp_path / "docs", tmp_path).count("WARNING") == 3
