"""The tutorials: their lines run in order as they stand, on smaller cases and trainings."""

import re
import shlex
from pathlib import Path

import pytest
from model_fixtures import quick_model
from phantom_fixtures import write_doll

from scripted_models.cli import build_parser, main

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TINY = ("epochs=1", "steps_per_epoch=1")
SMALLER = {  # command -> what is added to its line
    "segment": ["--model", quick_model()],
    "train": ["--set", "training.output_size=16", *(f"training.phase1.{word}" for word in TINY)],
    "experiments": [
        *(f"training.phase{phase}.{word}" for phase in (1, 2) for word in TINY),
        *("training.output_size=2", "training.batch_size=1", "data.validation_slices=1"),
        'preprocessing=[{step="mark_brain"}, {step="crop_to_brain"}, {step="zscore"}]',
    ],
}


def page(name):
    return (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")


def lines(name):
    """Yield the words of each command; files that the page tells to save are written."""
    for kind, text in BLOCK.findall(page(name)):
        if kind == "toml":
            Path(text.split("\n")[0].lstrip("# ")).write_text(text, encoding="utf-8")
            continue
        for line in text.splitlines():
            program, command, *words = shlex.split(line, comments=True)
            assert program == "scripted-models"
            own = [] if command == "segment" and "--model" in words else SMALLER.get(command, [])
            yield command, [*words, *own]


def run(command, words):
    """Run a command; phantoms are dolls, the smallest patients."""
    if command != "phantom":
        return main([command, *words])
    options = build_parser().parse_args([command, *words])
    for number in range(options.cases):
        write_doll(options.output, options.seed + number)
    return 0


@pytest.mark.parametrize("name", ["folder-in-the-shell", "train-on-your-data", "repeat-the-paper"])
def test_every_line_runs_and_makes_what_the_page_says(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(tmp_path / "home"))
    commands = [(command, run(command, words)) for command, words in lines(name)]
    assert commands
    assert all(code == 0 for _, code in commands), (commands, capsys.readouterr().err)
    named = re.findall(r"`((?:results|scores|runs|diagrams)/[\w./-]+)`", page(name))
    assert named
    assert [path for path in named if not Path(path).exists()] == []
