"""One table of the results of many cases, and a page about it; one case is in memory at a time."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from scripted_models.cases.patient_table import some
from scripted_models.errors import InputError, Problem, listed
from scripted_models.reporting.cohort_page import PAGE_SIGN, page_row, write_page
from scripted_models.reporting.cohort_results import (
    COLUMNS,
    CaseResult,
    read_result,
    result_folders,
)
from scripted_models.runtime.atomic_files import BEGUN, make_folder, replace_file
from scripted_models.runtime.csv_text import csv_text
from scripted_models.runtime.plain_files import open_file
from scripted_models.segmentation.result_folders import REPORT, SEGMENTATION

_SHOWN = 100  # sentences on the page


@dataclass
class Cohort:
    """What is known of all results together.

    Attributes:
        root: folder of the results.
        on_problem: called with each problem.
        results: lines of the table.
        faults: results that are incomplete or cannot be read, and cases without any.
        doubts: what makes lines hard to compare: duplicates, models, codings.
        warned: results with warnings.
        models: name and weights -> results.
        codings: name -> results.
        sentences: the first ones about faults and doubts.
    """

    root: Path
    on_problem: Callable[[Problem], object]
    results: int = 0
    faults: int = 0
    doubts: int = 0
    warned: int = 0
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    codings: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)
    _of_inputs: dict[tuple[str, ...], Path] = field(default_factory=dict)
    _of_names: dict[str, tuple[Path, str]] = field(default_factory=dict)

    def read(self) -> Iterator[CaseResult]:
        """Give the results that can be read, in the order of their folders, and tell the others."""
        for folder, names in result_folders(self.root, self._unreadable):
            try:
                result = read_result(folder, names, self.root)
            except InputError as error:
                self.fault(error.problem)
                continue
            self._count(result)
            yield result

    @property
    def facts(self) -> dict[str, object]:
        """What the head of the page says."""
        return {
            "cases": self.results,
            "with warnings": self.warned,
            "faults": self.faults,
            "doubts": self.doubts,
            "models": listed([f"{name} ({n})" for (name, _), n in self.models.most_common()]),
            "label codings": listed(sorted(self.codings)),
        }

    def fault(self, problem: Problem) -> None:
        """Count and tell something that the table lacks."""
        self.faults += 1
        self._tell(problem)

    def tell_missing(self, expected: Collection[str]) -> None:
        """Tell which of the expected cases have no result."""
        missing = sorted(set(expected).difference(self._of_names))
        if missing:
            found = f"no result of {len(missing)} of {len(set(expected))} cases ({some(missing)})"
            action = "run segment again with --continue"
            self.fault(Problem(found=found, action=action, path=str(self.root)))

    def tell_mixture(self) -> None:
        """Tell that results are of several models or codings."""
        models: Counter[str] = Counter()
        for (name, weights), count in self.models.items():
            same_name = sum(other == name for other, _weights in self.models) > 1
            models[f"{name} ({weights[:12]})" if same_name else name] += count
        for kind, counts in (("models", models), ("label codings", self.codings)):
            if len(counts) > 1:
                each = some([f"{name}: {count}" for name, count in counts.most_common()])
                self._doubt(self.root, f"results of {len(counts)} {kind} ({each})", "one")

    def _count(self, result: CaseResult) -> None:
        self.results += 1
        self.warned += bool(result.warnings)
        self.models[result.model] += 1
        coding, name = str(result.cells["coding"]), str(result.cells["case"])
        self.codings[coding] += 1
        if not result.has_labels:
            found = f"{REPORT} without {SEGMENTATION}"
            action = "segment the case again; its line in the table is as the report says"
            self.fault(Problem(found, "both", action, str(result.folder)))
        self._compare(result, name, (result.inputs, *result.model, coding))

    def _compare(self, result: CaseResult, name: str, same: tuple[str, ...]) -> None:
        """Tell results that count twice, and names that two patients share."""
        other, inputs = self._of_names.setdefault(name, (result.folder, result.inputs))
        first = self._of_inputs.setdefault(same, result.folder) if result.inputs else result.folder
        if first != result.folder:
            found = f"the result of the same volumes by the same model as in {first}"
            self._doubt(result.folder, found, "one, or the case counts twice")
        elif other != result.folder and inputs != result.inputs:
            found = f"a case {name} of other volumes than that in {other}"
            self._doubt(result.folder, found, "names that tell patients apart")

    def _unreadable(self, error: OSError) -> None:
        found = f"a folder that cannot be read ({error.strerror})"
        self.fault(Problem(found, action="check its permissions", path=str(error.filename)))

    def _doubt(self, path: Path, found: str, expected: str) -> None:
        self.doubts += 1
        self._tell(Problem(found, expected, "compare lines with care", str(path)))

    def _tell(self, problem: Problem) -> None:
        self.on_problem(problem)
        if len(self.sentences) < _SHOWN:
            self.sentences.append(problem.sentence)


def collect_results(
    root: Path,
    table: Path,
    page: Path,
    expected: Collection[str] = (),
    on_problem: Callable[[Problem], object] = lambda problem: None,
    on_result: Callable[[CaseResult], object] = lambda result: None,
) -> Cohort:
    """Write the table and the page of all results below a folder, both whole or not at all.

    Args:
        root: folder that is searched.
        table: CSV file with `COLUMNS`.
        page: HTML file in the same folder.
        expected: names of cases that should have a result.
        on_problem: called with each fault and doubt.
        on_result: called with each line.

    Raises:
        InputError: there is no result that can be read, or a file of the user is in the place.
        ResourceError: the folder cannot be written.
    """
    for path, sign in ((table, ",".join(COLUMNS[:3])), (page, PAGE_SIGN)):
        _refuse_other(path, sign)
    cohort = Cohort(root, on_problem)
    with tempfile.TemporaryDirectory(prefix=BEGUN, dir=make_folder(table.parent)) as scratch:
        lines, rows, new_page = (Path(scratch) / name for name in ("table", "rows", "page"))
        with _new(lines) as table_out, _new(rows) as rows_out:
            table_out.write(csv_text([COLUMNS]))
            for result in cohort.read():
                table_out.write(csv_text([[result.cells.get(name) for name in COLUMNS]]))
                rows_out.write(json.dumps(page_row(result, page.parent)) + "\n")
                on_result(result)
        if not cohort.results:
            raise InputError(
                path=root,
                found=f"{cohort.faults or 'no'} result(s){', none readable' * bool(cohort.faults)}",
                expected="folders that segment wrote",
                action="check the path",
            )
        cohort.tell_missing(expected)
        cohort.tell_mixture()
        with _new(new_page) as page_out, TextIOWrapper(open_file(rows), "utf-8") as read:
            write_page(page_out, read, cohort.facts, cohort.sentences, table.name)
        for new, path in ((lines, table), (new_page, page)):
            replace_file(new, path)
    return cohort


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    """Open a new file, which is on the disk in the end."""
    with path.open("x", encoding="utf-8", newline="") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _refuse_other(path: Path, sign: str) -> None:
    """Refuse to replace what is not a former table or page."""
    if not os.path.lexists(path):
        return
    try:
        with open_file(path) as stream:
            is_own = stream.read(len(sign)) == sign.encode()
    except OSError:
        is_own = False
    if not is_own:
        raise InputError(
            path=path,
            found="something else than a former table of results",
            expected="nothing, or that",
            action="choose another --output",
        )
