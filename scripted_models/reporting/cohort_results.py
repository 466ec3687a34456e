"""What `segment` left of many cases: the folders of results, and a line of a table for each."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.labels import LABELS, REGIONS, name_in_files
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.result_folders import OVERLAY, REPORT, SEGMENTATION

Cell = str | float | int | None
_SIZES = {  # title of the column -> name in a report
    **{f"{name_in_files(label)}_ml": name for label, name in LABELS.items() if label},
    **{f"{region}_ml": region for region in REGIONS},
}
COLUMNS = (
    *("case", "folder", "model", "weights_sha256", "coding", "missing"),
    *_SIZES,
    *("ET_longest_mm", "ET_perpendicular_mm"),
    *("lesions", "measurable_lesions", "largest_lesion_ml"),
    *(f"estimated_dice_{region}" for region in REGIONS),
    *("seconds", "version", "warnings", "warning_texts"),
)


@dataclass(frozen=True)
class CaseResult:
    """The result of one case, without its volumes.

    Attributes:
        folder: of the result.
        cells: by the names in `COLUMNS`; None where the report does not say it.
        warnings: sentences.
        inputs: digest of the content of all inputs; empty where the report does not say it.
        model: name and weights, for comparisons.
        has_labels: the label map is there.
        has_picture: the overlay is there.
    """

    folder: Path
    cells: Mapping[str, Cell]
    warnings: tuple[str, ...]
    inputs: str
    model: tuple[str, str]
    has_labels: bool
    has_picture: bool


def result_folders(
    root: Path, on_unreadable: Callable[[OSError], object]
) -> Iterator[tuple[Path, set[str]]]:
    """Give each folder with a report or a label map, and the names in it, in order.

    Names that begin with a dot are left out; a folder to which several links lead comes once.

    Args:
        root: folder that is searched, itself included.
        on_unreadable: called for a folder that cannot be read.
    """
    seen: set[str] = set()
    for parent, folders, names in os.walk(root, onerror=on_unreadable, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if {REPORT, SEGMENTATION} & set(names):
            folders.clear()
            yield Path(parent), set(names)


def read_result(folder: Path, names: Iterable[str], root: Path) -> CaseResult:
    """Read the report of one case.

    Args:
        folder: of the result.
        names: of its files.
        root: folder that the cell 'folder' is relative to.

    Raises:
        InputError: there is no report, or none that `segment` writes.
    """
    there = set(names)
    if REPORT not in there:
        raise InputError(
            path=folder,
            found=f"{SEGMENTATION} without {REPORT}",
            expected="both",
            action="segment the case again, or move the folder away",
        )
    try:
        report = read_json(folder / REPORT)
        cells, warnings = _cells(report), _texts(report.get("warnings", []))
        inputs = _digest(report.get("inputs_sha256"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, KeyError):
            reason = f"no {error}"
        raise InputError(
            path=folder / REPORT,
            found=f"a report that cannot be read ({reason})",
            expected="one that segment wrote",
            action="segment the case again, or move the folder away",
        ) from error
    model = (str(cells["model"]), str(cells["weights_sha256"]))
    cells["folder"] = os.path.relpath(folder, root)
    return CaseResult(
        folder, cells, warnings, inputs, model, SEGMENTATION in there, OVERLAY in there
    )


def _cells(report: Mapping[str, object]) -> dict[str, Cell]:
    model, volumes = _table(report["model"]), _table(report["volumes_ml"])
    enhancing = _table(_table(report.get("measurements", {})).get("ET", {}))
    dice, versions = _table(report.get("estimated_dice", {})), _table(report.get("versions", {}))
    seconds = [_number(value) or 0.0 for value in _table(report.get("seconds", {})).values()]
    warnings = _texts(report.get("warnings", []))
    return {
        "case": _text(report["case"]),
        "model": _text(model["name"]),
        "weights_sha256": _text(model["weights_sha256"]),
        "coding": _text(report["coding"]),
        "missing": " ".join(_texts(report.get("missing", []))),
        **{title: _number(volumes.get(name)) for title, name in _SIZES.items()},
        "ET_longest_mm": _number(enhancing.get("longest_mm")),
        "ET_perpendicular_mm": _number(enhancing.get("perpendicular_mm")),
        **_lesion_cells(report.get("lesions")),
        **{f"estimated_dice_{region}": _number(dice.get(region)) for region in REGIONS},
        "seconds": round(sum(seconds), 3) if seconds else None,
        "version": _text(versions.get("scripted_models", "")),
        "warnings": len(warnings),
        "warning_texts": " | ".join(warnings),
    }


def _lesion_cells(lesions: object) -> dict[str, Cell]:
    """Return how many lesions there are, and the largest; nothing where a report has none yet."""
    if lesions is None:
        return {}
    items = [_table(item) for item in _list(_table(lesions)["items"])]
    volumes = [_number(item.get("volume_ml")) or 0.0 for item in items]
    return {
        "lesions": len(items),
        "measurable_lesions": sum(item.get("measurable") is True for item in items),
        "largest_lesion_ml": max(volumes, default=None),
    }


def _digest(contents: object) -> str:
    """Return one digest for the inputs of a case, "" where they are not stated."""
    if not isinstance(contents, Mapping) or not contents:
        return ""
    return sha256(repr(sorted(contents.items())).encode()).hexdigest()


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r:.40} for a number")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} for a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(part) for part in _list(value))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.40} for a list")
    return value


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r:.40} for a table")
    return value
