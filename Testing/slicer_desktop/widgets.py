"""Stand-ins for the widgets of CTK and MRML that the panel uses: real Qt over a real scene."""

# ruff: noqa: N801, N802, N815 - the names are those of CTK, MRML and Qt
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

TITLE_HEIGHT = 26


def stored(kind, name, default=None):
    """Make a Qt property that is only kept."""

    def read(self):
        return getattr(self, f"_{name}", default)

    def write(self, value):
        setattr(self, f"_{name}", value)

    return QtCore.Property(kind, read, write)


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.isEntered = True

    def setMRMLScene(self, scene):
        self.mrmlSceneChanged.emit(scene)


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A title that shows and hides what is below it."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text, self._collapsed = "", False

    def _set_text(self, text):
        self._text = text
        self.update()

    def _set_collapsed(self, collapsed):
        self._collapsed = collapsed
        self.arrange()
        self.contentsCollapsed.emit(collapsed)

    text = QtCore.Property(str, lambda self: self._text, _set_text)
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)

    def arrange(self):
        """Make room for the title; hide the content of a collapsed section."""
        if self.layout() is not None:
            self.layout().setContentsMargins(9, TITLE_HEIGHT + 6, 9, 6)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not self._collapsed)
        unlimited = 16777215  # QWIDGETSIZE_MAX
        self.setMaximumHeight(TITLE_HEIGHT if self._collapsed else unlimited)
        self.setMinimumHeight(TITLE_HEIGHT if self._collapsed else 0)

    def mousePressEvent(self, event):
        if event.position().y() <= TITLE_HEIGHT:
            self._set_collapsed(not self._collapsed)

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        title = QtCore.QRect(0, 0, self.rect.width(), TITLE_HEIGHT - 2)
        painter.fillRect(title, self.palette.color(QtGui.QPalette.ColorRole.Mid).lighter(135))
        sign = "\u25b8" if self._collapsed else "\u25be"
        flags = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.drawText(title.adjusted(8, 0, 0, 0), flags, f"{sign}  {self._text}")


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box of one number."""

    valueChanged = QtCore.Signal(float)
    STEPS = 1000

    def __init__(self, parent=None):
        super().__init__(parent)
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, self.STEPS)
        self.spinBox = QtWidgets.QDoubleSpinBox(self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider)
        row.addWidget(self.spinBox)
        self.spinBox.valueChanged.connect(self._follow)
        self.slider.sliderMoved.connect(self._moved)

    def _range(self):
        return QtCore.QObject.property(self.spinBox, "maximum") - self._low()

    def _low(self):
        return QtCore.QObject.property(self.spinBox, "minimum")

    def _follow(self, value):
        self.slider.setValue(round((value - self._low()) / (self._range() or 1) * self.STEPS))
        self.valueChanged.emit(value)

    def _moved(self, step):
        self.spinBox.setValue(self._low() + step / self.STEPS * self._range())

    def _of_spin_box(name):  # noqa: N805 - makes properties of the class
        def read(self):
            return QtCore.QObject.property(self.spinBox, name)

        def write(self, value):
            QtCore.QObject.setProperty(self.spinBox, name, value)

        return QtCore.Property(float, read, write)

    value, minimum = _of_spin_box("value"), _of_spin_box("minimum")
    maximum, singleStep = _of_spin_box("maximum"), _of_spin_box("singleStep")
    decimals = _of_spin_box("decimals")


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """Nodes of the scene, by real observers.

    As in Slicer, the row of a node goes before the node (priority -10), and Qt chooses the next row
    or, behind the last one, the row before.
    """

    currentNodeChanged = QtCore.Signal(object)
    nodeTypes = stored("QStringList", "nodeTypes", [])
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True)
    noneEnabled = stored(bool, "noneEnabled", False)
    addEnabled = stored(bool, "addEnabled", True)
    removeEnabled = stored(bool, "removeEnabled", True)
    renameEnabled = stored(bool, "renameEnabled", False)
    baseName = stored(str, "baseName", "")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._tags, self._nodes, self._current = None, [], [], None
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self.activated.connect(lambda index: self.setCurrentNode(self._entries()[index]))

    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        for event in ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent") if scene else ():
            self._tags.append(scene.AddObserver(getattr(scene, event), lambda *_: self._fill()))
        if scene:
            about = scene.NodeAboutToBeRemovedEvent
            self._tags.append(scene.AddObserver(about, self._forget, -10.0))
        self._fill()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _forget(self, scene, event, node):
        if node is not None and node is self._current:
            index = self._entries().index(node)
            self._nodes.remove(node)
            left = self._entries()
            self.setCurrentNode(left[min(index, len(left) - 1)] if left else None)

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        changed = node is not self._current
        self._current = node
        self._fill()
        if changed:
            self.currentNodeChanged.emit(node)

    def _entries(self):
        return ([None] if self._noneEnabled else []) + self._nodes

    def _fill(self):
        classes = self._nodeTypes if self._scene else []
        found = [node for c in classes for node in self._scene.GetNodesByClass(c)]
        exact = [n for n in found if self._showChildNodeTypes or n.GetClassName() in classes]
        self._nodes = [node for node in exact if not node.GetHideFromEditors()]
        self.clear()
        self.addItems([node.GetName() if node else "None" for node in self._entries()])
        if self._current is not None and self._current not in self._nodes:
            self._current = None
            self.currentNodeChanged.emit(None)
        if self._current in self._entries():
            self.setCurrentIndex(self._entries().index(self._current))


class qMRMLSegmentsTableView(QtWidgets.QTableWidget):
    """Eye, color and name of the segments, as they are when the node is set."""

    statusColumnVisible = stored(bool, "statusColumnVisible", True)
    filterBarVisible = stored(bool, "filterBarVisible", True)

    def __init__(self, parent=None):
        super().__init__(0, 3, parent)
        self.node = None
        self.verticalHeader().hide()
        self.horizontalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)

    def setMRMLScene(self, scene):
        self.setSegmentationNode(None)

    def setSegmentationNode(self, node):
        assert node is None or isinstance(node, slicer.vtkMRMLSegmentationNode)
        self.node = node
        held = node.GetSegmentation() if node else slicer.vtkSegmentation()
        self.setRowCount(held.GetNumberOfSegments())
        for row, segment in enumerate(map(held.GetSegment, held.GetSegmentIDs())):
            color = QtWidgets.QTableWidgetItem()
            color.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            eye, name = map(QtWidgets.QTableWidgetItem, ("\u25c9", segment.GetName()))
            for column, item in enumerate((eye, color, name)):
                self.setItem(row, column, item)
        for column in (0, 1):
            self.setColumnWidth(column, 30)
        for row in range(held.GetNumberOfSegments()):
            self.setRowHeight(row, 26)


class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    def __init__(self, parent=None):
        super().__init__(parent)
        self.node = None

    def setSegmentationNode(self, node):
        assert node is None or isinstance(node, slicer.vtkMRMLSegmentationNode)
        self.node = node
