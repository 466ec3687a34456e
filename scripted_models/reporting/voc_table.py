"""The table of a list of experiments on PASCAL VOC as files, an HTML page among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.tasks.voc.list_table import VocResult, list_texts


def write_voc_table(
    results: Sequence[VocResult], facts: Mapping[str, object], folder: Path
) -> None:
    """Write table.csv, table.json, table.md and table.html into a folder, each whole or not at all.

    Args:
        results: at least one.
        facts: JSON values about the whole run, shown under their names.
        folder: made when absent.

    Raises:
        ResourceError: the folder cannot be written.
    """
    make_folder(folder)
    for name, text in list_texts(results, facts).items():
        write_file(Path(folder) / name, text)
