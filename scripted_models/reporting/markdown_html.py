"""The little of Markdown that this program writes, as HTML: tables, bullets, paragraphs, bold, `\\*`."""

import html
import re
from itertools import groupby


def markdown_to_html(text: str) -> str:
    """Return escaped HTML of a Markdown text; what is not understood stays visible as text.

    Understood are pipe tables with a header line, bullets with a hyphen, paragraphs, `**bold**` and a
    backslash before punctuation. Markup inside the text is escaped, never passed through.
    """
    blocks = []
    for kind, lines in groupby(text.splitlines(), _kind):
        lines = [line.strip() for line in lines]
        if kind == "table":
            blocks.append(_table(lines))
        elif kind == "list":
            blocks.append("<ul>" + "".join(f"<li>{_inline(x[2:])}</li>" for x in lines) + "</ul>")
        elif kind == "text":
            blocks.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "\n".join(blocks)


def _kind(line: str) -> str:
    line = line.strip()
    if not line:
        return "blank"
    if line.startswith("|"):
        return "table"
    return "list" if line.startswith("- ") else "text"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    has_header = len(rows) > 1 and all(re.fullmatch(r":?-+:?", cell) for cell in rows[1])
    head = rows[0] if has_header else []
    parts = ["<div class='wide'><table class='text'>"]
    if head:
        cells = "".join(f"<th scope='col'>{_inline(cell)}</th>" for cell in head)
        parts.append(f"<thead><tr>{cells}</tr></thead>")
    parts.append("<tbody>")
    for row in rows[2 if has_header else 0 :]:
        cells = "".join(f"<td>{_inline(cell)}</td>" for cell in row)
        marked = " class='own'" if row[0].startswith("**") else ""
        parts.append(f"<tr{marked}>{cells}</tr>")
    return "".join(parts) + "</tbody></table></div>"


def _inline(text: str) -> str:
    """Escape a text, then set bold and take the backslashes off."""
    # Escaped punctuation is put aside as a private-use character, so that \* never opens bold.
    text = re.sub(r"\\([*|\\_`-])", lambda match: chr(0xE000 + ord(match[1])), text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text))
    return re.sub("[\ue02a\ue02d\ue05c\ue05f\ue060\ue07c]", lambda m: chr(ord(m[0]) - 0xE000), text)
