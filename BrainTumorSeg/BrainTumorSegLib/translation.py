"""Slicer's translation of texts, imported as ``_`` and ``translate`` by all that shows a text.

Slicer's extraction finds calls of ``_`` with one plain string, so values are put in by ``format``.
"""

try:
    from slicer.i18n import tr as _
    from slicer.i18n import translate
except ImportError:  # slicer-core has no application and so no other language than English

    def _(text: str) -> str:
        return text

    def translate(context: str, text: str) -> str:
        """Return the text of a context as it is."""
        return text


__all__ = ["_", "translate"]
