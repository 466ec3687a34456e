"""Rules of the house that a program can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "scripted_models"

# From the bottom up; a module may import only from lower layers and from its own.
LAYERS = (
    ("errors",),
    ("labels", "sequences", "geometry", "files", "progress", "config", "decision"),
    ("process_watch", "own_process", "sequence_images", "memory"),
    ("volumes", "space", "image_findings"),
    ("crf",),
    ("networks", "preprocessing", "postprocessing", "phantom", "pictures", "cases"),
    ("inference", "patchwise", "model_card", "model_description", "model_archive"),
    ("voc", "evaluation"),
    ("model_folder", "model_store", "measurement", "confidence", "report"),
    ("segmentation", "training", "crf_files"),
    ("case_output", "figures"),
    ("demonstration", "experiment_list"),
    ("missing_sequences", "failure_gallery"),
    ("cross_validation",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def room(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "scripted_models":
                yield from (f"scripted_models.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    if room(path) == "__init__":
        return
    assert room(path) in LEVEL, "give the new module a place in LAYERS"
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in ("slicer", "vtk", "qt", "ctk"), name
        if parts[0] == "scripted_models" and len(parts) > 1 and parts[1] != "__version__":
            assert LEVEL[parts[1]] <= LEVEL[room(path)], f"{path.name} reaches up to {name}"


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from scripted_models.cli import build_parser; build_parser(); "
        "print([m for m in ('torch', 'monai', 'SimpleITK') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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


class TestReadme:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_two_set_up_commands(self):
        commands = re.findall(r"^python3 -m venv.*$", self.text, re.MULTILINE)
        assert len(commands) == 2

    def test_commands_named_exist(self):
        from scripted_models.cli import COMMANDS

        known = {command.__name__.rsplit(".", 1)[1].replace("_", "-") for command in COMMANDS}
        used = set(re.findall(r"scripted-models (?!/)([a-z]+(?:-[a-z]+)*)", self.text))
        assert used <= known
        assert known <= used

    def test_pictures_and_links_exist(self):
        for link in re.findall(r"\]\(([^)]+)\)", self.text):
            assert (ROOT / link).exists(), link


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
