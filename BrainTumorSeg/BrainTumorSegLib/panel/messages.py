"""The status line, the log behind it, and dialogs about errors, which are in both as well."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import slicer.util

from scripted_models.errors import Cancelled
from scripted_models.runtime.printable_text import printable

from ..protocol import LOG, Event
from ..slicer_types import Ui
from ..words import error_in_words, in_words
from .plain_text import show_error, show_text


class Messages:
    """What the panel says; all sections share it, so that diagnostics hold every failure.

    Args:
        ui: the widgets of the panel by name.
    """

    def __init__(self, ui: Ui):
        self.ui = ui

    def setStatus(self, text: str) -> None:
        """Show a text in the status line alone."""
        show_text(self.ui.statusLabel, text)

    def log(self, text: str) -> None:
        """Add lines to the log."""
        if text:
            self.ui.logText.appendPlainText(printable(text))

    def say(self, text: str) -> None:
        """Show a text in the status line and add it to the log."""
        self.setStatus(text)
        self.log(text)

    def tell(self, event: Event) -> None:
        """Say what a child says meanwhile; its errors and results are told when it has ended."""
        text = event.text if event.problem is None else in_words(event.problem)
        if event.kind in ("message", "warning"):
            self.say(text)
        elif event.kind == LOG:
            self.log(text)

    def sayFailure(self, sentence: str, details: str = "") -> None:
        """Say in one sentence what went wrong, and show it in a dialog; wait until it is closed."""
        self.say(sentence)
        self.log(details)
        show_error(sentence, details)

    @contextmanager
    def errorsShown(self, failed: str, waitCursor: bool = False) -> Iterator[None]:
        """Show an error in the user's words, and let it go on.

        Args:
            failed: what has failed.
            waitCursor: show it meanwhile.
        """
        try:
            with slicer.util.tryWithErrorDisplay(show=False, waitCursor=waitCursor):
                yield
        except Cancelled:
            raise  # the user's own wish
        except Exception as error:
            self.sayFailure(f"{failed}\n\n{error_in_words(error)}", traceback.format_exc())
            raise
