"""The documentation site: builds without a warning and without a network, and misses no option."""

import html
import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from scripted_models.cli import build_parser
from scripted_models.training import experiment_config

pytest.importorskip("sphinx", reason="the extra [docs] is not installed")
pytest.importorskip("myst_parser", reason="the extra [docs] is not installed")

DOCS = Path(__file__).resolve().parents[1] / "docs"
BROKEN = "# A\n\n[a](absent.md), [b](#absent), ![c](absent.png), [d](reference/python.md#absent)\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `sphinx-build -W docs output/site` does."""
    folder = tmp_path_factory.mktemp("site")
    assert build(DOCS, folder) == ""
    return folder


def build(source, folder):
    """Return the warnings of a build."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    warnings = folder / "warnings.txt"
    with pytest.MonkeyPatch.context() as patch, docutils_namespace(), warnings.open("w") as told:
        patch.setattr("sys.path", __import__("sys").path[:])
        parts = (folder / "pages", folder / "doctrees")
        Sphinx(source, DOCS, *parts, "html", status=None, warning=told).build()
    return warnings.read_text(encoding="utf-8")


def page(site, name):
    return (site / "pages" / f"{name}.html").read_text(encoding="utf-8")


def text_of(site, name):
    return html.unescape(re.sub(r"<[^>]+>", "", page(site, name)))


def test_pages_load_nothing_from_elsewhere(site):
    loads = re.compile(
        r"""(?:src=|url\(|@import )["']?(?:https?:)?//|<link [^>]*href="(?:https?:)?//"""
    )
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(files) > 40
    assert not [path for path in files if loads.search(path.read_text(encoding="utf-8"))]


def test_every_page_is_in_the_site(site):
    made = {path.relative_to(site / "pages").with_suffix("") for path in site.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")} <= made


def test_every_command_and_option_is_in_the_reference(site):
    text = text_of(site, "reference/command-options")
    options = set(re.findall(r"--[a-z][\w-]+", text))
    for name, parser in parsers(build_parser()):
        assert name in text
        own = {word for action in parser._actions for word in action.option_strings}
        assert {word for word in own if word.startswith("--")} - {"--help", "--version"} <= options


def parsers(parser):
    for action in parser._actions:
        for name, child in (
            (getattr(action, "choices", None) or {}).items() if is_list(action) else ()
        ):
            yield name, child
            yield from parsers(child)


def is_list(action):
    return type(action).__name__ == "_SubParsersAction"


def test_every_setting_of_an_experiment_has_a_meaning(site):
    text = page(site, "reference/experiment-options")
    for kind in (experiment_config.DataConfig, experiment_config.TrainingConfig):
        for field in fields(kind):
            assert f'<span class="pre">{field.name}</span>' in text or "phase" in field.name
    assert "factor of |W|_2" not in text
    assert "The paper’s is ‘sgd’." in text
    assert "Pixels of the paper" not in text


def test_a_broken_link_is_a_warning(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(BROKEN, encoding="utf-8")
    told = build(tmp_path / "docs", tmp_path)
    assert told.count("absent") >= 4, told
    assert os.listdir(DOCS / "static")
