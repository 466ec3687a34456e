"""The folder of a case's results: whether it may be written, whose it is, how it is replaced."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.errors import InputError, ResourceError
from scripted_models.preparation.doubts import PICTURE
from scripted_models.preparation.prepared_files import prepared_names
from scripted_models.runtime.atomic_files import BEGUN, held_where_possible, put_in_place
from scripted_models.runtime.file_identity import same_on_any_disk
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.dicom_export.exported_files import SEG_FILE, SR_FILE

SEGMENTATION, REPORT, OVERLAY = "segmentation.nii.gz", "report.json", "overlay.png"
UNCERTAINTY = "uncertainty.nii.gz"
PREPARED = "prepared"  # subfolder


def check_place(output: Path, case: Case) -> None:
    """Ask before the work whether the result of a case can be put in its place.

    Raises:
        InputError: as `check_target`.
    """
    check_target(Path(output) / case.name)


def check_target(target: Path) -> None:
    """Ask whether files can be put into a folder, there or not.

    Raises:
        InputError: something is there that this user cannot read and write, or the name cannot be.
    """
    try:
        if os.path.lexists(target):
            os.listdir(target)
            with tempfile.TemporaryDirectory(prefix=BEGUN, dir=target):
                pass
        else:
            target.lstat()  # raises for names that are too long
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            found=f"a place that cannot hold the result ({error.strerror})",
            expected="a folder of former results, or none",
            action="move it away, change its permissions, or choose another --output",
            path=target,
        ) from error


def put_results(folder: Path, target: Path, case: Case, inputs: CaseInputs) -> None:
    """Put the new results of a case in their place, see `put_folder`.

    Args:
        folder: new results on the same disk; it is empty or gone afterwards.
        target: folder of the case.
        case: of the results.
        inputs: files of the case.

    Raises:
        InputError: another run has written results of another input, or is writing.
    """
    put_folder(folder, target, lambda: refuse_others(target.parent, case, inputs), replace_results)


def put_folder(
    folder: Path,
    target: Path,
    refuse: Callable[[], object],
    put: Callable[[Path, Path], object],
) -> None:
    """Put a folder in its place in one step, or its files into the folder that is there.

    Another run may do the same at this moment.

    Args:
        folder: on the same disk; it is empty or gone afterwards.
        target: its place.
        refuse: looks once more at what is there; it was looked at before the work.
        put: moves the files of one folder into another one.

    Raises:
        InputError: as `refuse`, or another run is writing.
    """
    if not target.exists():
        try:
            folder.rename(target)
            return
        except OSError:
            if not target.is_dir():
                raise
    refuse()
    try:
        with held_where_possible(target):
            put(folder, target)
    except ResourceError as error:
        raise InputError(
            path=target,
            found="another run that writes the same case at this moment",
            expected="one run for each case",
            action="run this again with --continue",
        ) from error


def replace_results(folder: Path, target: Path) -> None:
    """Put new results in the place of former ones.

    The report goes first, the label map last. So no label map ever lies beside the report of
    another one.

    Args:
        folder: new results; it is empty afterwards.
        target: folder of former ones; files that the program does not know stay.

    Raises:
        InputError: a file is where a subfolder would be; the former results are as they were.
    """
    kept, there = folder / PREPARED, target / PREPARED
    if kept.is_dir() and os.path.lexists(there) and not there.is_dir():
        raise InputError(
            path=there,
            found="a file",
            expected="a folder for prepared volumes, or none",
            action="move it away, or choose another --output",
        )
    for path in own_files(target):
        if path.name != REPORT:
            path.unlink(missing_ok=True)
    (folder / REPORT).replace(target / REPORT)
    if kept.is_dir():
        there.mkdir(exist_ok=True)
        put_in_place(kept, there, ())
        kept.rmdir()
    elif there.is_dir() and not any(there.iterdir()):
        there.rmdir()
    put_in_place(folder, target, ())


def refuse_others(output: Path, case: Case, inputs: CaseInputs) -> None:
    """Refuse to replace results of another input, or files that nobody knows.

    The folder of a case is its own when its report names one of the case's files, or the content of
    one. On some systems names are one that differ in capitals alone; so they count as one.

    Args:
        output: folder that receives the folder of the case.
        case: names its folder.
        inputs: files of the case.

    Raises:
        InputError: the folder holds results of another input.
    """
    for folder in _folders_named(Path(output), case.name):
        refuse_other_results(folder, case, inputs, report_in(folder), own_files(folder))


def refuse_other_results(
    folder: Path,
    case: Case,
    inputs: CaseInputs,
    report: Mapping[str, object] | None,
    found: Sequence[Path],
) -> None:
    """Refuse to replace files that are not former results of a case.

    Args:
        folder: that the results would go to.
        case: whose.
        inputs: files of the case.
        report: of the results that are there, if any.
        found: files of the program's names in the folder.

    Raises:
        InputError: the report is of another input, or there is none.
    """
    if not found or (report is not None and inputs.shares_file_with(report)):
        return
    places = report.get("inputs") if report else None
    other = next(iter(places.values()), "") if isinstance(places, dict) else ""
    names = sorted(path.name for path in found)
    raise InputError(
        found=f"results of another input{f', {other}' if other else ''}"
        if report
        else f"{', '.join(names[:3])} without a report that says of what",
        expected=f"a folder for the results of {case.name}, empty or with former ones of it",
        action="choose another --output, or move this folder away",
        path=folder,
    )


def _folders_named(output: Path, name: str) -> list[Path]:
    """Return the folders of a name, however it is spelled."""
    key = same_on_any_disk(name)
    try:
        names = [entry.name for entry in os.scandir(output)]
    except OSError:  # not there yet, or writing will say why
        return []
    return [output / other for other in sorted(names) if same_on_any_disk(other) == key]


def own_files(folder: Path) -> list[Path]:
    """Return the files of a folder with names that the program gives."""
    names = (SEGMENTATION, REPORT, OVERLAY, UNCERTAINTY, PICTURE, SEG_FILE, SR_FILE)
    written = [folder / name for name in names]
    kept = [folder / PREPARED / name for name in prepared_names()]
    found = (*written, *kept, *folder.glob("probability_*.nii.gz"))
    return [path for path in found if os.path.lexists(path)]


def report_in(folder: Path) -> dict[str, object] | None:
    """Return the content of a folder's report, None where there is none to be read."""
    try:
        report = read_json(folder / REPORT)
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None
