"""The documentation site: `sphinx-build -W docs output/site` builds it, and needs no network.

A line `<!-- page PATH -->` stands for a page elsewhere in the repository, `<!-- code NAME -->` for
text that `from_code` makes. So no sentence stands twice.
"""

import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]

from from_code import PAGES  # noqa: E402

from scripted_models import __version__  # noqa: E402

project, version = "BrainTumorSeg", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
default_role = "code"
exclude_patterns = ["conf.py", "from_code.py"]
suppress_warnings = ["misc.highlighting_failure"]  # schemes of commands, such as `[OPTION ...]`

html_theme = "furo"
html_title = project
html_logo = "../Resources/BrainTumorSeg.png"
html_static_path = ["static"]
html_css_files = ["site.css"]
smartquotes = False
html_show_copyright = html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints, autodoc_typehints_format = "description", "short"
autodoc_typehints_description_target = "documented_params"
python_use_unqualified_type_names = True
napoleon_custom_sections = ["Source"]
napoleon_use_ivar = True

_ELSEWHERE = re.compile(r"^<!-- page (\S+) -->$", re.MULTILINE)
_MADE = re.compile(r"^<!-- code (\w+) -->$", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
_FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def setup(app: Sphinx) -> None:
    """Let pages be completed when they are read."""
    app.connect("source-read", _complete)


def _complete(app: Sphinx, name: str, source: list[str]) -> None:
    """Put in what stands elsewhere, with links that lead to the pages of the site."""
    page = DOCS / f"{name}.md"
    text = _ELSEWHERE.sub(lambda found: _page(ROOT / found[1], page), source[0])
    text = _MADE.sub(lambda found: PAGES[found[1]](), text)
    source[0] = _with_links(text, page, page)


def _page(path: Path, page: Path) -> str:
    return _with_links(path.read_text(encoding="utf-8"), path, page)


def _with_links(text: str, written_in: Path, shown_in: Path) -> str:
    """Return a page whose links start from another one, or from the page that shows their aim."""

    def link(found: re.Match[str]) -> str:
        aim = (written_in.parent / found[1]).resolve()
        aim = _SHOWN.get(aim, aim)
        return Path(os.path.relpath(aim, shown_in.parent)).as_posix()

    parts = _FENCED.split(text)
    return "".join(part if at % 2 else _LINK.sub(link, part) for at, part in enumerate(parts))


def _shown() -> dict[Path, Path]:
    """Return pages elsewhere -> the page of the site that shows them."""
    texts = {page: page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")}
    return {ROOT / name: page for page, text in texts.items() for name in _ELSEWHERE.findall(text)}


_SHOWN = _shown()
