"""Rules of the house that a program can check."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "scripted_models"


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def test_import_contracts_hold():
    """The layers and the ban on cycles stand in pyproject.toml (import-linter)."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from scripted_models.cli import build_parser; build_parser(); "
        "print([m for m in ('torch', 'monai', 'SimpleITK') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["bundle", "transforms"])
def test_only_names_that_a_package_offers_are_used_outside(package):
    offered = importlib.import_module(f"scripted_models.{package}").__all__
    rooms = [
        path for room in ("BrainTumorSeg", "benchmarks") for path in (ROOT / room).rglob("*.py")
    ]
    used = set()
    for path in [*modules(), *rooms]:
        if PACKAGE / package not in path.parents:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                module = str(getattr(node, "module", "")) + "."
                if module.startswith(f"scripted_models.{package}."):
                    used |= {alias.name for alias in node.names}
    submodules = {path.stem for path in (PACKAGE / package).glob("*.py")}
    assert set(offered) <= used <= set(offered) | submodules


def test_files_stay_small():
    others = (path for room in ("Testing", "BrainTumorSeg") for path in (ROOT / room).rglob("*.py"))
    files = [*modules(), *others]
    long = {
        p.name: n for p in files if (n := len(p.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert not long


def test_ruff_is_content():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_types_hold():
    """The settings stand in pyproject.toml (mypy), for both packages."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout


def test_ruff_has_nothing_to_format():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_errors_of_the_package_have_parts():
    """A whole sentence instead of parts is for texts of other programs and languages."""
    kinds = {"InputError", "ModelError", "ResourceError", "Cancelled", "ScriptedModelsError"}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                assert not node.args, f"{path}:{node.lineno}"


def test_no_two_modules_of_one_name():
    """But for a command, which has its name in `commands/`, and `__init__`."""
    names = [path.stem for path in modules() if path.parent.name != "commands"]
    twice = {name for name in names if names.count(name) > 1} - {"__init__"}
    assert not twice


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


class TestPages:
    def test_two_set_up_commands(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        assert len(re.findall(r"^python3 -m venv.*$", text, re.MULTILINE)) == 2
        assert len(text.splitlines()) <= 120

    def test_commands_named_exist(self):
        from scripted_models.cli import COMMANDS

        known = {command.__name__.rsplit(".", 1)[1].replace("_", "-") for command in COMMANDS}
        used = {
            page: set(
                re.findall(r"scripted-models (?!/)([a-z]+(?:-[a-z]+)*)", page.read_text("utf-8"))
            )
            for page in PAGES
        }
        assert all(commands <= known for commands in used.values())
        assert used[ROOT / "docs" / "commands.md"] == known

    @pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
    def test_pictures_and_links_exist(self, page):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
            place = link.partition("#")[0]
            assert link.startswith("https://") or (page.parent / place).exists(), link


def test_networks_command_prints_the_counts(capsys):
    import json

    from scripted_models.cli import main

    assert main(["networks", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["TwoPathCNN"]["trainable_parameters"] == 809_637
    assert rows["InputCascadeCNN"]["trainable_parameters"] == 1_111_397
    assert rows["InputCascadeCNN"]["receptive_field"] == 65


def test_models_command_lists_the_default(capsys):
    import json

    from scripted_models.cli import main

    assert main(["models", "--json"]) == 0
    assert "default" in [row["name"] for row in json.loads(capsys.readouterr().out)]
