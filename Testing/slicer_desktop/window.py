"""The module's panel in a window, and what a user does with it."""

import importlib.util
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
from PySide6 import QtCore, QtTest, QtWidgets

from . import widgets

LEFT = QtCore.Qt.MouseButton.LeftButton
PATIENCE_S = 240  # a busy machine is no fault


def application() -> QtWidgets.QApplication:
    """Return the one QApplication of the process."""
    found = QtWidgets.QApplication.instance()
    if found is None:
        found = QtWidgets.QApplication(["Slicer"])
        found.setStyle("Fusion")
    return found


def load_module(file: Path, monkeypatch):
    """Import a scripted module as Slicer does."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, loaded)
    spec.loader.exec_module(loaded)
    return loaded


class Window:
    """An opened module.

    Args:
        module: as `load_module` returns it.
        dialogs: as `application.install` returns it.
    """

    def __init__(self, module, dialogs):
        self.dialogs = dialogs
        self.parent = widgets.qMRMLWidget()
        QtWidgets.QVBoxLayout(self.parent)
        self.module = module.BrainTumorSegWidget(self.parent)
        self.module.setup()
        self.ui = self.module.ui
        self.parent.resize(540, 790)
        self.parent.show()

    @property
    def parameters(self):
        """The parameter node that the panel shows."""
        return self.module._parameterNode

    def click(self, name: str) -> None:
        """Press a button with the mouse."""
        button = getattr(self.ui, name)
        assert button.enabled, f"{name} is disabled: {button.toolTip}"
        QtTest.QTest.mouseClick(button, LEFT)

    def spin(self, until=lambda: False, seconds: float = PATIENCE_S) -> None:
        """Run Qt's event loop until a condition holds; a given time is waited out."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            QtWidgets.QApplication.processEvents(QtCore.QEventLoop.AllEvents, 20)
            time.sleep(0.002)
        assert until() or seconds != PATIENCE_S, f"nothing happened; log: {self.log}"

    def settle(self) -> None:
        """Let the panel react to what changed."""
        self.spin(seconds=0.02)
        self.spin(lambda: not self.module.inputs._timer.isActive())

    def run_to_end(self) -> None:
        """Wait until no segmentation runs."""
        self.spin(lambda: self.module.run.job is None)

    @property
    def log(self) -> str:
        """What the log shows."""
        return self.ui.logText.plainText

    def screenshot(self, name: str) -> None:
        """Save a picture of the window when $SCREENSHOT_FOLDER asks for it."""
        folder = os.environ.get("SCREENSHOT_FOLDER")
        if folder:
            self.spin(seconds=0.1)
            self.parent.resize(540, self.parent.sizeHint().height())  # as in Slicer's scroll area
            self.spin(seconds=0.1)
            assert self.parent.grab().save(str(Path(folder) / f"{name}.png"))

    def close(self) -> None:
        """Unload the module and destroy its widgets, before the scene goes."""
        self.module.cleanup()
        for root in self.parent.findChildren(widgets.qMRMLWidget):
            root.setMRMLScene(None)
        self.parent.close()
        self.parent.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
        assert slicer.mrmlScene is not None
