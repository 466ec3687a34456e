"""Text from outside, made safe to print: a name cannot move the cursor or turn a line around."""

import re

# Control characters and terminal escapes (C0 without tab and line feed, DEL, C1), marks that
# change the direction of text, separators of lines, halves of surrogate pairs (bytes of a file name
# that are no UTF-8), and the invisible tags of Unicode.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_BREAKS = {ord("\t"): "\\t", ord("\n"): "\\n"}


def printable(text: str) -> str:
    """Return a text with an escape such as ``\\x1b`` for every character that is not to be seen.

    Tabs and line ends stay.
    """
    return _UNPRINTABLE.sub(_escape, text)


def on_one_line(text: str) -> str:
    """Return a text as `printable`, with escapes for tabs and line ends too."""
    return printable(text).translate(_BREAKS)


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
