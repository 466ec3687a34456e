"""The table of a list of experiments on PASCAL VOC as files, an HTML page among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripted_models.evaluation.experiment_rows import fact_columns, fact_text
from scripted_models.reporting.rendering import render
from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.tasks.voc.list_table import (
    PERCENT_NOTE,
    VocResult,
    class_columns,
    list_texts,
    notes_of,
    score_rows,
)
from scripted_models.tasks.voc.scoring import IMAGES_DIFFER, TITLES

TITLE = "PASCAL VOC: our table beside the papers'"


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
    texts = list_texts(results, facts) | {"table.html": voc_page(results, facts)}
    make_folder(folder)
    for name, text in texts.items():
        write_file(Path(folder) / name, text)


def voc_page(results: Sequence[VocResult], facts: Mapping[str, object]) -> str:
    """Return the page: scores beside the papers', IU of each class, training, facts, notes."""
    return render(
        "voc_table.html.j2",
        title=TITLE,
        caveat=IMAGES_DIFFER,
        note=PERCENT_NOTE,
        titles=TITLES,
        rows=score_rows(results),
        classes=class_columns(results),
        training=fact_columns(results),
        notes=notes_of(results),
        facts={name: fact_text(value) for name, value in facts.items()},
    )
