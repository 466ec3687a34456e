"""`scripted-models cases FOLDER`: what was found, and what is missing, or a data set of it."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripted_models.errors import InputError
from scripted_models.runtime.printable_text import on_one_line
from scripted_models.runtime.progress import Progress
from scripted_models.runtime.standard_streams import say

if TYPE_CHECKING:
    from scripted_models.cases.case import Case, ImageSource


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("cases", help="list the cases found in a folder")
    parser.add_argument(
        "folder", type=Path, help="BraTS (2012-2024), MSD Task01, a patient's files, or DICOM"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_export(parser)
    parser.set_defaults(run=run)


def _add_export(parser: argparse.ArgumentParser) -> None:
    """Add the options that write a data set."""
    from scripted_models.labels import CODINGS

    written = parser.add_argument_group("a data set for other programs, to train there")
    written.add_argument("--export", choices=("nnunet",), help="raw data set of nnU-Net 2")
    written.add_argument(
        "--output", type=Path, help="folder to be made, such as Dataset001_BrainTumor"
    )
    written.add_argument(
        "--regions", action="store_true", help="nested regions (WT, TC, ET) in place of labels"
    )
    written.add_argument(
        "--coding", choices=sorted(CODINGS), help="label coding where nothing states it"
    )


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Print the cases, or write a data set of them.

    A case without all four sequences is listed with what it lacks.
    """
    if bool(options.export) != bool(options.output) or (
        (options.regions or options.coding) and not options.export
    ):
        raise InputError(
            found="some of --export, --output, --regions and --coding",
            expected="--export and --output together, and the others with them only",
            action="add --export nnunet --output DATASET, or drop them",
        )
    return _export(options, progress) if options.export else _list(options, progress)


def _export(options: argparse.Namespace, progress: Progress) -> int:
    from scripted_models.cases.discovery import find_cases
    from scripted_models.cases.nnunet_data_set import sentence_of, write_data_set
    from scripted_models.labels import CODINGS

    found = find_cases(options.folder)
    chosen = CODINGS[options.coding] if options.coding else None
    progress.stage("write", 0.0)
    written = write_data_set(options.output, found, progress, chosen, options.regions)
    for name, error in written.skipped.items():
        progress.warning(f"{name} was left out: {error}", **error.fields)
    say(sentence_of(written.coding))
    for part, names in (("train", written.training), ("test, without ground truth", written.test)):
        say(f"{len(names)} cases to {part}")
    if written.skipped:
        raise InputError(
            found=f"{len(written.skipped)} of {len(found)} cases that were left out",
            expected="usable ones",
            action="the reasons are above; the others were written",
            path=options.output,
        )
    return 0


def _list(options: argparse.Namespace, progress: Progress) -> int:
    from scripted_models.cases.discovery import find_cases
    from scripted_models.cases.ignored_files import tell_ignored
    from scripted_models.cases.skipped_files import skipped_files

    found = find_cases(options.folder)
    for problem in skipped_files(options.folder, found):
        progress.warning(problem.sentence, **problem.fields)
    if options.json:
        say(json.dumps([_describe(case) for case in found], indent=2))
        return 0
    width = max(len(case.name) for case in found)
    for case in found:
        say("\n".join(map(on_one_line, _lines(case, width))))
    complete = sum(not case.missing for case in found)
    labeled = sum(case.truth is not None for case in found)
    say(f"{len(found)} cases, {complete} complete, {labeled} with ground truth")
    for text in tell_ignored(found):
        say(on_one_line(text))
    return 0


def _lines(case: "Case", width: int) -> list[str]:
    """Return a line for the case, and one for each guess where its files are loosely named."""
    coding = case.truth_coding()
    named = coding.name if coding else "unknown coding"
    truth = f"ground truth {case.truth.name} ({named})" if case.truth else "no ground truth"
    missing = f"missing {', '.join(case.missing)}" if case.missing else "complete"
    problems = [problem.sentence for problem in case.problems]
    lines = ["  ".join([case.name.ljust(width), missing, truth, *problems])]
    for sequence, guess in case.guesses.items():
        of_series = sequence in case.images and case.images[sequence].series
        file = f"{guess.key.name}: " if guess.key and not of_series else ""
        lines.append(f"    {sequence:<5}  {guess.confidence or 'open':<6}  {file}{guess.reason}")
    return lines


def _source(source: "ImageSource") -> dict[str, Any]:
    found: dict[str, Any] = {"path": str(source.path), "channel": source.channel}
    if source.series:
        found |= {"series": source.series.title, "study_uid": source.series.study_uid}
    return found


def _describe(case: "Case") -> dict[str, Any]:
    """Return the case for JSON."""
    coding = case.truth_coding()
    return {
        "name": case.name,
        "images": {m: _source(s) for m, s in case.images.items()},
        "missing": list(case.missing),
        "truth": str(case.truth) if case.truth else None,
        "coding": coding.name if coding else None,
        "coding_note": coding.note if coding else None,
        "problems": [problem.fields for problem in case.problems],
        "guesses": {
            m: {
                "path": str(guess.key) if guess.key else None,
                "confidence": guess.confidence,
                "reason": guess.reason,
            }
            for m, guess in case.guesses.items()
        },
        "ignored": [{"path": str(file.path), "reason": file.why} for file in case.ignored],
    }
