"""The tutorial of Slicer: its words stand on the panel, its lines run in a real scene."""

import re
import sys
from pathlib import Path

import pytest
from model_fixtures import quick_model
from slicer_fixtures import (
    MODULE,
    add_volume,
    head,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
)

from scripted_models.sequences import TITLES  # noqa: E402

pytestmark = pytest.mark.slicer
PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorials" / "raw-scans-in-slicer.md"
TEXT = PAGE.read_text(encoding="utf-8")
OF_SLICER = {"Sample Data"}


def test_words_in_italics_stand_on_the_panel():
    files = [path for path in MODULE.rglob("*") if path.suffix in (".py", ".ui")]
    shown = "\n".join(path.read_text(encoding="utf-8") for path in files)
    words = {" ".join(word.split()) for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", TEXT)}
    assert len(words) > 8
    assert {word for word in words - OF_SLICER if word not in shown} == set()


def test_the_lines_for_the_console_run(module, slicer_scene, monkeypatch, capsys):
    from BrainTumorSegLib.resampling import ras_matrix

    matrix = ras_matrix(head().grid)
    for sequence, title in TITLES.items():
        add_volume(slicer_scene, f"Phantom {title}", head().volumes[sequence], matrix)
    monkeypatch.setitem(sys.modules, "BrainTumorSeg", module)
    (lines,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    exec(lines.replace('"fast"', repr(quick_model())), {"slicer": slicer})
    assert "tumor" in capsys.readouterr().out
