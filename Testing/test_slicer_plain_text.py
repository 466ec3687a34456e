"""Names and texts of strangers in the panel: shown as what they are, nothing loaded, no links."""

import ast
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)
from model_fixtures import restate
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_children import HOSTILE
from slicer_desktop.fixtures import (
    import_module,  # noqa: F401 - the fixture module
    load_patient,
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)
from slicer_fixtures import (
    MODULE,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

from scripted_models.bundle.model_folders import SHIPPED

pytestmark = pytest.mark.slicer
PANEL_FILE = MODULE / "Resources" / "UI" / "BrainTumorSeg.ui"
ONE_WAY = MODULE / "BrainTumorSegLib" / "panel" / "plain_text.py"
# Their texts are the program's own: a question about packages, and a title
OWN_TEXTS = ("slicer_installer.py", "sample_data.py")
TEXT_METHODS = {
    *(
        "setText",
        "setHtml",
        "setMarkdown",
        "setToolTip",
        "appendHtml",
        "insertHtml",
        "setWhatsThis",
    ),
    *("setStatusTip", "setInformativeText", "showStatusMessage", "setToolTipText", "append_html"),
}
DIALOGS = {
    *("errorDisplay", "warningDisplay", "infoDisplay", "messageBox", "delayDisplay"),
    *("confirmOkCancelDisplay", "confirmYesNoDisplay", "tryWithErrorDisplay"),
}


@pytest.fixture
def hostile_window(dialogs, window, slicer_scene):
    """A panel over volumes, a model and a card with hostile texts."""
    folder = Path(os.environ["SCRIPTED_MODELS_HOME"]) / "models" / "<b>evil"
    shutil.copytree(SHIPPED / "TwoPathCNN", folder)
    restate(folder, summary=HOSTILE)
    (folder / "docs" / "README.md").write_text(f"![](file://host/x.png)\n{HOSTILE}", "utf-8")
    for sequence, volume in load_patient(slicer_scene).items():
        volume.SetName(f"{sequence} {HOSTILE}")
    window.settle()
    window.module.models.refresh()
    window.parameters.model = "<b>evil"
    window.module.models.refresh()
    window.settle()
    return window


def rendered(text):
    """Return the words, pictures and links of a text as Qt shows it where the format is open."""
    if not QtGui.Qt.mightBeRichText(text):
        return text, []
    page, loaded = QtGui.QTextDocument(), []
    page.setHtml(text)
    block = page.begin()
    while block.isValid():
        for part in block:
            form = part.fragment().charFormat()
            if form.isImageFormat() or form.isAnchor():
                loaded.append(form)
        block = block.next()
    return page.toPlainText(), loaded


def test_nothing_of_it_is_markup(hostile_window, dialogs):
    window = hostile_window
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    window.parameters.t2 = window.parameters.t1  # a finding and a tool tip with the name
    window.settle()
    assert shown in window.ui.findingsLabel.text
    assert shown in rendered(window.ui.segmentButton.toolTip)[0]
    assert shown in window.ui.modelSummaryLabel.text
    assert f"![](file://host/x.png)\n{shown}" == window.ui.cardText.plainText
    window.click("removeModelButton")
    assert dialogs.questions
    everything = window.parent.findChildren(QtWidgets.QWidget)
    assert not [w for w in everything if isinstance(w, QtWidgets.QTextEdit)]  # QTextBrowser is one
    for widget in everything:
        tip, loaded = rendered(widget.toolTip)
        assert not loaded, tip
        if isinstance(widget, QtWidgets.QLabel) and QtGui.Qt.mightBeRichText(widget.text):
            assert widget.textFormat == QtCore.Qt.PlainText, widget.text
    assert set(dialogs.formats) == {QtCore.Qt.PlainText}


def test_what_the_child_says_is_not_either(hostile_window, dialogs):
    window = hostile_window
    window.parameters.model = "TwoPathCNN"
    window.settle()
    window.acts("hostile")
    window.click("segmentButton")
    window.run_to_end()
    assert set(dialogs.formats) == {QtCore.Qt.PlainText}
    assert "<img" in dialogs.errors[0]
    assert window.ui.statusLabel.textFormat == QtCore.Qt.PlainText
    texts = (window.log, window.ui.statusLabel.text, *dialogs.errors, *dialogs.details)
    assert all(sign not in text for text in texts for sign in "\x1b\u202e")


def test_labels_are_plain_in_the_file_too():
    """Every label without words of its own gets them from the code, perhaps from outside."""
    for widget in ElementTree.parse(PANEL_FILE).iter("widget"):
        properties = {p.get("name"): "".join(p.itertext()).strip() for p in widget.iter("property")}
        if widget.get("class") == "QLabel" and not properties["text"]:
            assert properties.get("textFormat") == "Qt::PlainText", widget.get("name")
        assert widget.get("class") not in ("QTextBrowser", "QTextEdit")
        assert "openExternalLinks" not in properties


@pytest.mark.parametrize("path", sorted(MODULE.rglob("*.py")), ids=lambda path: path.name)
def test_texts_take_the_one_way(path):
    if path == ONE_WAY:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}: use panel.plain_text"
        if isinstance(node, ast.Assign):
            targets = [t for target in node.targets for t in ast.walk(target)]
            names = {t.attr for t in targets if isinstance(t, ast.Attribute)}
            if names & {"text", "toolTip", "whatsThis", "statusTip", "html", "markdown"}:
                assert is_own(node.value), where
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            is_clipboard = "clipboard()" in ast.unparse(node.func)
            assert is_clipboard or name not in TEXT_METHODS, where
            own = path.name in OWN_TEXTS or (node.args and is_own(node.args[0]))
            own = own or "show=False" in map(ast.unparse, node.keywords)  # says nothing itself
            assert own or name not in DIALOGS, where


def is_own(value):
    """True for a text of the program: a constant, or the translation of one."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "_":
        value = value.args[0]
    return isinstance(value, ast.Constant)
