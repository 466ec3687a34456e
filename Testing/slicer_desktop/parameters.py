"""Stand-in for slicer.parameterNodeWrapper: typed attributes that live in the parameter node.

As in Slicer, a wrapper remembers the values, and reads them anew when the node is modified.
"""

# ruff: noqa: N802, N803 - the names are Slicer's
import itertools
import typing
from dataclasses import dataclass
from functools import partial

import slicer.util
import vtk
from PySide6 import QtWidgets

from . import widgets


@dataclass(frozen=True)
class Choice:
    """Validator: one of the values."""

    choices: list

    def check(self, value):
        if value not in self.choices:
            raise ValueError(f"{value} is none of {self.choices}")


@dataclass(frozen=True)
class WithinRange:
    """Validator: a number between two."""

    minimum: float
    maximum: float

    def check(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")


class Parameter:
    """One attribute: how it is kept in the node and which validators it has."""

    def __init__(self, name, annotation, default):
        kind, *self.validators = typing.get_args(annotation) or (annotation,)
        self.name, self.kind, self.default = name, kind, default
        self.is_node = kind not in (str, bool, int, float)

    def __get__(self, wrapper, owner=None):
        return wrapper.values[self.name]

    def read(self, wrapper):
        node = wrapper.parameterNode
        if self.is_node:
            return node.GetNodeReference(self.name)
        self.write_default(wrapper)  # a closed scene empties the node
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)

    def __set__(self, wrapper, value):
        with slicer.util.NodeModify(wrapper.parameterNode):
            self.write(wrapper, value)
            wrapper.values[self.name] = self.read(wrapper)

    def write(self, wrapper, value):
        node = wrapper.parameterNode
        if self.is_node:
            assert value is None or isinstance(value, self.kind), (self.name, value)
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if not isinstance(value, self.kind) and (self.kind, type(value)) != (float, int):
            raise TypeError(f"{self.name} is {self.kind.__name__}, not {type(value).__name__}")
        for validator in self.validators:
            validator.check(value)
        node.SetParameter(self.name, str(self.kind(value)))

    def write_default(self, wrapper):
        node = wrapper.parameterNode
        if not self.is_node and node.GetParameter(self.name) == "":
            self.write(wrapper, self.kind() if self.default is None else self.default)


class Wrapper:
    """What the decorator adds to a class."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connected, self._updating = {}, False
        for parameter in self.allParameters.values():
            parameter.write_default(self)
        self._remember()
        parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._remember)

    def _remember(self, *_):
        self.values = {name: p.read(self) for name, p in self.allParameters.items()}

    def connectParametersToGui(self, mapping):
        """Bind widgets to parameters and return a tag; the node keeps its observer as in Slicer."""
        connected = []
        for name, widget in mapping.items():
            parameter = self.allParameters[name]
            signal, read, write = connector(parameter, widget)
            write(parameter.__get__(self))
            slot = partial(self._take, parameter, read)
            signal.connect(slot)
            connected.append((parameter, write, signal, slot))
        tag = len(self._connected)
        self._connected[tag] = connected
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_gui())
        return tag

    def disconnectGui(self, tag):
        for _, _, signal, slot in self._connected.pop(tag, ()):
            signal.disconnect(slot)

    def _take(self, parameter, read, *_):
        if not self._updating:
            with slicer.util.NodeModify(self.parameterNode):
                parameter.__set__(self, read())

    def _update_gui(self):
        if self._updating:
            return
        self._updating = True
        try:
            for parameter, write, *_ in itertools.chain(*self._connected.values()):
                write(parameter.__get__(self))
        finally:
            self._updating = False

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was):
        self.parameterNode.EndModify(was)


def connector(parameter, widget):
    """Return signal, reader and writer; only for pairs of types that Slicer connects, too."""

    def attribute(name):
        return lambda: getattr(widget, name), lambda value: setattr(widget, name, value)

    if parameter.is_node and type(widget) is widgets.qMRMLNodeComboBox:
        return widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
    if parameter.kind is bool and type(widget) is QtWidgets.QCheckBox:
        return widget.stateChanged, *attribute("checked")
    if parameter.kind is float and type(widget) is widgets.ctkSliderWidget:
        (limits,) = parameter.validators
        widget.minimum, widget.maximum = limits.minimum, limits.maximum
        return widget.valueChanged, *attribute("value")
    if parameter.kind is str and type(widget) is QtWidgets.QComboBox:
        (choice,) = parameter.validators
        widget.clear()
        widget.addItems(choice.choices)
        return (
            widget.currentIndexChanged,
            lambda: choice.choices[widget.currentIndex],
            lambda value: setattr(widget, "currentIndex", choice.choices.index(value)),
        )
    raise RuntimeError(f"no connection between {parameter.kind} and {type(widget)}")


def parameterNodeWrapper(cls):
    """Turn a class of annotations into one whose attributes are kept in a node."""
    annotations = typing.get_type_hints(cls, include_extras=True)
    parameters = {n: Parameter(n, a, getattr(cls, n, None)) for n, a in annotations.items()}
    return type(cls.__name__, (Wrapper,), {"allParameters": parameters, **parameters})
