"""Small stand-ins for what slicer-core lacks, so that BrainTumorSeg.py can be loaded and driven.

They imitate only the names that the module uses: Slicer's base classes, its parameter node wrapper, Qt's
timer and the widgets of the .ui file. They are no Qt: layout, painting and event loop are not tested here.
"""

# ruff: noqa: N802, N803 - the names are Qt's and Slicer's
import contextlib
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path


class Signal:
    """A Qt signal: connected functions are called with the arguments."""

    def __init__(self):
        self.slots = []

    def connect(self, slot):
        self.slots.append(slot)

    def emit(self, *arguments):
        for slot in list(self.slots):
            slot(*arguments)


class Timer:
    """qt.QTimer without an event loop: a test calls `timeout.emit`."""

    def __init__(self):
        self.timeout = Signal()
        self.active = False

    def setInterval(self, interval):
        self.interval = interval

    def start(self):
        self.active = True

    def stop(self):
        self.active = False


class Widget(types.SimpleNamespace):
    """A widget with the signals and methods that the module uses."""

    def __init__(self, name):
        super().__init__(name=name, text="", toolTip="", enabled=True, value=0, format="", lines=[])
        self.clicked = Signal()

    def clear(self):
        self.lines.clear()

    def appendPlainText(self, line):
        self.lines.append(line)

    def setMRMLScene(self, scene):
        self.scene = scene


def load_ui(path):
    """Return the root widget of a .ui file; its named widgets are in `children`."""
    root = Widget("root")
    names = [element.get("name") for element in ElementTree.parse(path).iter("widget")]
    root.children = {name: Widget(name) for name in names}
    return root


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent

    def setup(self):
        self.layout = types.SimpleNamespace(addWidget=lambda widget: None)

    def resourcePath(self, name):
        folder = Path(sys.modules[type(self).__module__].__file__).parent
        return str(folder / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def getParameterNode(self):
        import slicer

        node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode")
        return node or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


class ScriptedLoadableModuleTest:
    def delayDisplay(self, message):
        self.said = message


def parameter_node_wrapper(parameter_class):
    """Give a class of annotations plain attributes that touch the node when they are set."""
    names = tuple(parameter_class.__annotations__)
    defaults = {name: getattr(parameter_class, name, None) for name in names}

    class Parameters:
        def __init__(self, node):
            self.__dict__.update(defaults, node=node, connected=None)

        def __setattr__(self, name, value):
            if name not in names:
                raise AttributeError(f"{parameter_class.__name__} has no parameter {name}")
            self.__dict__[name] = value
            self.node.Modified()

        def connectGui(self, ui):
            self.__dict__["connected"] = ui
            return "tag"

        def disconnectGui(self, tag):
            self.__dict__["connected"] = None

        def AddObserver(self, *arguments):
            return self.node.AddObserver(*arguments)

        def RemoveObserver(self, *arguments):
            return self.node.RemoveObserver(*arguments)

    return Parameters


class Choice(list):
    """Validator: one of the values."""


@contextlib.contextmanager
def try_with_error_display(message=None, show=True, waitCursor=False):
    """Collect the error as slicer.util does, instead of raising it."""
    import slicer.util

    try:
        yield
    except Exception as error:
        slicer.util.errorDisplay(f"{message} {error}")


def install(monkeypatch, errors):
    """Put the stand-ins where BrainTumorSeg.py imports them from; shown errors go to a list."""
    import slicer.util

    def module(name, **content):
        made = types.ModuleType(name)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, made)

    module("qt", QTimer=Timer)
    module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    module(
        "slicer.parameterNodeWrapper", Choice=Choice, parameterNodeWrapper=parameter_node_wrapper
    )
    module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )
    replaced = {
        "loadUI": load_ui,
        "childWidgetVariables": lambda root: types.SimpleNamespace(**root.children),
        "tryWithErrorDisplay": try_with_error_display,
        "errorDisplay": lambda text, **options: errors.append((text, options)),
    }
    for name, function in replaced.items():
        monkeypatch.setattr(slicer.util, name, function)
