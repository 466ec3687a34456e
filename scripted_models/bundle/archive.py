"""Copy a foreign model folder or zip file: plain files of the right names only, within bounds.

Names are matched against those of a model folder; see `foreign_files` for what else is refused.
"""

import re
from pathlib import Path

from scripted_models.bundle.foreign_files import Entry, opened_entries, refusal, shown_name
from scripted_models.bundle.model_folders import MAX_OTHER_BYTES, MAX_WEIGHTS_BYTES

MAX_ENTRIES = 100
_FILES = re.compile(
    r"LICENSE(\.txt|\.md)?|configs/[\w-]+\.json|models/(model\.pt|SHA256SUMS)|"
    r"docs/[\w-]+\.(md|txt|png|jpg)",
    re.ASCII,
)


def copy_model(source: Path, target: Path) -> None:
    """Copy the files of a model folder.

    Args:
        source: folder or zip file; the files may lie in a single folder inside it.
        target: existing empty folder; the caller removes it after an error.

    Raises:
        ModelError: `source` is neither, is damaged, or holds anything but the files of a model
            folder.
    """
    most = MAX_WEIGHTS_BYTES + MAX_OTHER_BYTES
    with opened_entries(source, MAX_ENTRIES, most) as entries:
        _copy_entries(source, entries, target)


def _copy_entries(source: Path, entries: list[Entry], target: Path) -> None:
    for name, entry in _by_place(source, entries).items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        limit = MAX_WEIGHTS_BYTES if name.endswith(".pt") else MAX_OTHER_BYTES
        with entry.open() as stream, path.open("xb") as copy:
            while chunk := stream.read(1 << 20):
                if copy.tell() + len(chunk) > limit:
                    raise refusal(source, f"more than {limit >> 20} MiB in {name}")
                copy.write(chunk)


def _by_place(source: Path, entries: list[Entry]) -> dict[str, Entry]:
    """Return the entries by their path in a model folder."""
    tops = {entry.name.partition("/")[0] for entry in entries}
    inside = len(tops) == 1 and tops.isdisjoint({"configs", "models", "docs"})
    places: dict[str, Entry] = {}
    for entry in entries:
        name = entry.name.partition("/")[2] if inside else entry.name
        if not _FILES.fullmatch(name):
            raise refusal(source, f"the file {shown_name(entry.name)}")
        if name.lower() in map(str.lower, places):  # one file on Windows and macOS
            raise refusal(source, f"{shown_name(name)} twice")
        places[name] = entry
    if not places:
        raise refusal(source, "no file")
    return places
