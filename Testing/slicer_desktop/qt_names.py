"""Slicer's module ``qt`` on PySide6: all classes in one module, Qt properties as attributes."""

import types
import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from . import widgets

SOURCES = (QtCore, QtGui, QtWidgets)
# Qt calls these through their Python names, and a property in that place would call itself
VIRTUAL = {("QWidget", "sizeHint"), ("QWidget", "minimumSizeHint"), ("QProgressBar", "text")}
STATIC = {("QTimer", "singleShot")}


class UiLoader(QtUiTools.QUiLoader):
    """Knows the widgets of CTK and MRML, and makes the connections between scene and selectors."""

    def createWidget(self, class_name, parent=None, name=""):  # noqa: N802 - Qt's name
        made = getattr(widgets, class_name, None)
        if made is None:
            return super().createWidget(class_name, parent, name)
        widget = made(parent)
        widget.setObjectName(name)
        return widget

    def load(self, file, parent=None):
        root = super().load(file, parent)
        for connection in ElementTree.parse(file.fileName()).iter("connection"):
            slot, receiver = connection.find("slot").text, connection.find("receiver").text
            assert slot == "setMRMLScene(vtkMRMLScene*)", slot
            child = root.findChild(QtWidgets.QWidget, receiver)
            root.mrmlSceneChanged.connect(child.setMRMLScene)
        for section in root.findChildren(widgets.ctkCollapsibleButton):
            section.arrange()
        return root


class FileDialog(QtWidgets.QFileDialog):
    """Answers at once; PythonQt gives the path alone."""

    answers: list[str] = []  # noqa: RUF012 - filled by tests

    @classmethod
    def _answer(cls, *_):
        return cls.answers.pop(0)

    getOpenFileName = getSaveFileName = getExistingDirectory = _answer  # noqa: N815 - Qt's names


class InputDialog(QtWidgets.QInputDialog):
    """Answers at once; PythonQt gives the text alone, "" for Cancel."""

    answers: list[str] = []  # noqa: RUF012 - filled by tests
    questions: list[str] = []  # noqa: RUF012

    @classmethod
    def getText(cls, parent, title, label):  # noqa: N802 - Qt's name
        cls.questions.append(label)
        return cls.answers.pop(0)


def make_qt() -> types.ModuleType:
    """Return the module ``qt``; from then on the properties of all Qt objects are attributes."""
    module = types.ModuleType("qt")
    for source in SOURCES:
        for name in dir(source):
            value = getattr(source, name)
            setattr(module, name, value)
            if isinstance(value, type) and issubclass(value, QtCore.QObject):
                _turn_properties_into_attributes(name, value)
    QtCore.QObject.name = QtCore.QObject.objectName
    QtCore.QObject.className = lambda widget: widget.metaObject().className()
    module.QUiLoader, module.QFileDialog = UiLoader, FileDialog
    module.QInputDialog = InputDialog
    return module


def _turn_properties_into_attributes(class_name: str, cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if (class_name, name) not in VIRTUAL | STATIC:
            setattr(cls, name, _attribute(name))


def _attribute(name: str) -> property:
    def read(self):
        return QtCore.QObject.property(self, name)

    def write(self, value):
        assert QtCore.QObject.setProperty(self, name, value), f"{self} takes no {name} = {value}"

    return property(read, write)
