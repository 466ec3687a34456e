"""The one way for texts from outside into labels, tool tips and dialogs: as plain text.

Names of volumes and cases, what a model says of itself and what the child writes are such texts.
Qt takes a text with tags for a page otherwise, and loads the pictures in it, from a network share
too. The labels that such texts go to are plain by the .ui file; a test compares.
"""

import html

import qt
import slicer

from scripted_models.runtime.printable_text import printable

from ..slicer_types import Widget


def show_text(label: Widget, text: str) -> None:
    """Show a text in a label."""
    label.setTextFormat(qt.Qt.PlainText)
    label.text = printable(text)


def fill_field(field: Widget, text: str) -> None:
    """Put a text into a field for one line; Qt shows these as they are."""
    field.text = printable(text)


def show_tool_tip(widget: Widget, text: str) -> None:
    """Give a widget a tool tip; Qt has no plain ones, so the text is escaped."""
    widget.toolTip = _escaped(text)


def fill_cell(table: Widget, row: int, column: int, text: str, tip: str) -> None:
    """Put a text and a tool tip into a cell of a QTableWidget; such texts are shown as they are."""
    if table.item(row, column) is None:
        table.setItem(row, column, qt.QTableWidgetItem())
    item, shown, escaped = table.item(row, column), printable(text), _escaped(tip)
    if item.text() != shown:
        item.setText(shown)
    if item.toolTip() != escaped:
        item.setToolTip(escaped)


def show_error(text: str, details: str = "") -> None:
    """Show a dialog about an error."""
    slicer.util.errorDisplay(
        printable(text), detailedText=printable(details), textFormat=qt.Qt.PlainText
    )


def confirmed(question: str) -> bool:
    """Ask a question with OK and Cancel."""
    return bool(slicer.util.confirmOkCancelDisplay(printable(question), textFormat=qt.Qt.PlainText))


def asked(title: str, question: str) -> str:
    """Ask for a line of text; "" when the user gives none."""
    parent = slicer.util.mainWindow()
    return str(qt.QInputDialog.getText(parent, title, _escaped(question)))


def _escaped(text: str) -> str:
    if not text:
        return ""
    escaped = html.escape(printable(text), quote=False)
    return "<qt>" + escaped.replace("\n", "<br>") + "</qt>"
