"""Stand-ins for the application object, its dialogs, and the base classes of scripted modules."""

# ruff: noqa: N802, N803 - the names are Slicer's
import os
import sys
import types
from pathlib import Path

import slicer
import slicer.util
from PySide6 import QtGui, QtWidgets

from . import parameters, widgets
from .qt_names import make_qt


class Variables(dict):
    """QProcessEnvironment, as far as slicer.util.startupEnvironment asks."""

    def value(self, name):
        return self[name]


class LayoutManager:
    """A real layout node; the views that its description names have composite nodes alone."""

    threeDViewCount = 1  # noqa: N815 - a property of Qt

    def __init__(self):
        self.node, self.shown, self.centered = slicer.vtkMRMLLayoutNode(), {}, 0

    def layoutLogic(self):
        return self

    def GetLayoutNode(self):
        return self.node

    def setLayout(self, number):
        self.node.SetViewArrangement(number)

    def sliceWidget(self, name):
        assert f'singletontag="{name}"' in self.node.GetCurrentLayoutDescription(), name
        if name not in self.shown:
            self.shown[name] = slicer.mrmlScene.AddNode(slicer.vtkMRMLSliceCompositeNode())
            self.shown[name].SetLayoutName(name)
        composite = self.shown[name]
        logic = types.SimpleNamespace(
            GetSliceCompositeNode=lambda: composite, FitSliceToAll=lambda: None
        )
        return types.SimpleNamespace(sliceLogic=lambda: logic)

    def threeDWidget(self, index):
        return types.SimpleNamespace(threeDView=lambda: self)

    def resetFocalPoint(self):
        self.centered += 1


class Settings(dict):
    """QSettings, as far as they are asked."""

    def value(self, name):
        return self.get(name)

    def setValue(self, name, value):
        self[name] = value


class Application:
    """slicer.app: a home folder with a PythonSlicer that starts Python as its child."""

    def __init__(self, home: Path):
        self.slicerHome, self.connected = str(home), {}
        self.layouts = LayoutManager()
        self.settings = Settings({"BrainTumorSeg/WeightsTerms": "1"})  # of somebody who accepted
        self.applicationName, self.applicationVersion, self.revision = "Slicer", "5.12.0", "0"
        launcher = home / "bin" / "PythonSlicer"
        launcher.parent.mkdir(parents=True)
        launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\n', encoding="utf-8")
        launcher.chmod(0o755)

    def connect(self, signal, slot):
        self.connected[signal] = slot

    def userSettings(self):
        return self.settings

    def layoutManager(self):
        return self.layouts

    def moduleManager(self):
        return self

    def startupEnvironment(self):
        return Variables(os.environ)

    def testingEnabled(self):
        return False

    def clipboard(self):
        return QtGui.QGuiApplication.clipboard()

    def processEvents(self):
        QtWidgets.QApplication.processEvents()

    def setOverrideCursor(self, cursor):
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        QtWidgets.QApplication.restoreOverrideCursor()


class Dialogs:
    """Remembers what dialogs would show, and answers as the test wants."""

    def __init__(self):
        self.errors, self.details, self.questions, self.answer = [], [], [], True
        self.formats = []

    def error(self, text, windowTitle=None, parent=None, **options):
        self.errors.append(text)
        self.formats.append(options.get("textFormat"))
        self.details.append(options.get("detailedText", ""))

    def confirm(self, text, windowTitle=None, parent=None, **options):
        self.questions.append(text)
        self.formats.append(options.get("textFormat"))
        return self.answer


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        pass

    def resourcePath(self, name):
        folder = Path(sys.modules[type(self).__module__].__file__).parent
        return str(folder / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node = scene.AddNode(node)
        return node


class ScriptedLoadableModuleTest:
    def delayDisplay(self, message):
        self.said = message


def install(monkeypatch, home: Path) -> Dialogs:
    """Put everything where the module imports it from, until the test is over."""
    dialogs = Dialogs()

    def module(name, **content):
        made = types.ModuleType(name)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, made)

    monkeypatch.setitem(sys.modules, "qt", make_qt())
    module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    module(
        "slicer.parameterNodeWrapper",
        Choice=parameters.Choice,
        WithinRange=parameters.WithinRange,
        parameterNodeWrapper=parameters.parameterNodeWrapper,
    )
    bases = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    module("slicer.ScriptedLoadableModule", **{base.__name__: base for base in bases})
    monkeypatch.setattr(slicer, "app", Application(home), raising=False)
    monkeypatch.setattr(slicer, "qMRMLWidget", widgets.qMRMLWidget, raising=False)
    replaced = {
        "errorDisplay": dialogs.error,
        "confirmOkCancelDisplay": dialogs.confirm,
        "mainWindow": lambda verbose=True: None,
    }
    for name, function in replaced.items():
        monkeypatch.setattr(slicer.util, name, function)
    return dialogs
