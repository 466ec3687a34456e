"""`scripted-models collect`: the results of many cases as one table and one page."""

import argparse
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress

TABLE = "cases.csv"


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    text = "join the reports of many segmented cases in one table and one page"
    parser = subparsers.add_parser("collect", help=text)
    parser.add_argument("folder", type=Path, help="what `segment` wrote, also several such folders")
    text = f"table to write (NAME.csv; the page is NAME.html), or a folder for {TABLE}"
    parser.add_argument("--output", type=Path, required=True, help=text)
    text = "folder of cases that should have a result each; those without are told"
    parser.add_argument("--cases", type=Path, metavar="FOLDER", help=text)
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Write table and page; tell each result that is incomplete, and fail if there is one."""
    if not options.folder.is_dir():
        raise InputError(
            path=options.folder,
            found="no such folder",
            expected="one that segment wrote into",
            action="check the path",
        )
    is_table = options.output.suffix.lower() == ".csv"
    table = options.output if is_table else options.output / TABLE
    page = table.with_suffix(".html")
    from scripted_models.reporting.cohort_table import collect_results

    cohort = collect_results(
        options.folder,
        table,
        page,
        _names(options.cases) if options.cases else (),
        lambda problem: progress.warning(problem.sentence, **problem.fields),
    )
    progress.result(
        table=str(table),
        page=str(page),
        cases=cohort.results,
        with_warnings=cohort.warned,
        faults=cohort.faults,
        doubts=cohort.doubts,
        text=f"{table}, {page}: {cohort.results} cases, {cohort.warned} with warnings; "
        f"{cohort.faults} faults, {cohort.doubts} doubts",
    )
    if cohort.faults:
        raise InputError(
            path=options.folder,
            found=f"{cohort.faults} fault(s) in the results",
            expected="whole results",
            action=f"the reasons are above, all that can be read is in {table}",
        )
    return 0


def _names(folder: Path) -> list[str]:
    from scripted_models.cases.discovery import find_cases

    return [case.name for case in find_cases(folder)]
