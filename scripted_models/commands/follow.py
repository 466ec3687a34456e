"""`scripted-models follow`: several visits of one patient, what grew and by how much."""

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_models.errors import InputError
from scripted_models.runtime.parent_process import end_with
from scripted_models.runtime.process_priority import give_way
from scripted_models.runtime.progress import FORMATS, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripted_models.follow_up.assessment import FollowUp
    from scripted_models.follow_up.visit_source import Told, VisitSource

_SEGMENTING = 0.8  # share of a run that segments cases first


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    text = "compare visits of one patient: volumes, lesions, categories by RANO 2.0's imaging rules"
    parser = subparsers.add_parser("follow", help=text, description=f"{text}. Research only.")
    add = parser.add_argument
    text = (
        "results of `segment`, case folders or label maps, a folder of them, or a table (TSV, CSV)"
    )
    add("visits", type=Path, nargs="+", metavar="VISIT", help=text)
    add("--output", type=Path, required=True, help="folder for follow.json, tables and page")
    text = "day of each visit, in their order, instead of dates"
    add("--days", type=int, nargs="+", default=[], metavar="DAY", help=text)
    text = "visit from which on changes are judged (default: the first, or that after radiotherapy)"
    add("--baseline", default="", metavar="NAME", help=text)
    text = "visit to which the others are registered (default: the baseline)"
    add("--reference", default="", metavar="NAME", help=text)
    text = "region of the lesions (default: ET, or WT where nothing enhances)"
    add("--lesions", choices=("auto", "ET", "WT"), default="auto", help=text)
    text = "whether diameters may cross necrosis, cavities and bays (default: excluded, as RANO)"
    add("--necrosis", choices=("excluded", "included"), default="excluded", help=text)
    add_told(parser)
    text = "label coding of label maps (default: what their files state, else internal labels)"
    add("--coding", choices=sorted(CODINGS), help=text)
    add("--model", default="default", help="name or path of a model, for visits that are cases")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--progress", choices=FORMATS, default="bar")
    text = "end when this process is gone (for programs that start this one)"
    add("--end-with", type=int, metavar="PID", help=text)
    parser.set_defaults(run=run)


def add_told(parser: ArgumentParser) -> None:
    """Add the options for what images do not tell."""
    add = parser.add_argument
    text = "date (2024-01-31) or day on which a radiotherapy ended"
    add("--radiotherapy", metavar="DATE", help=text)
    text = "mg of dexamethasone (or equivalent) a day, one for each visit, - where not known"
    add("--steroids", nargs="+", default=[], metavar="MG", help=text)
    text = "clinical state, one for each visit: better, stable, worse, or -"
    add("--clinical", nargs="+", default=[], metavar="STATE", help=text)
    text = "whether something else confirmed what the visit shows: yes, no, or -, one for each"
    add("--confirmed", nargs="+", default=[], metavar="YES", help=text)


def run(options: Namespace, progress: Progress) -> int:
    """Compare the visits, write tables and page, and tell the categories."""
    if options.end_with is not None:
        end_with(options.end_with)
    give_way()
    from scripted_models.follow_up.assessment import assess
    from scripted_models.follow_up.choices import Wanted
    from scripted_models.follow_up.follow_outputs import refuse_others, write_follow_up
    from scripted_models.follow_up.visit_data import read_visit
    from scripted_models.reporting.follow_page import follow_page

    sources, radiotherapy = _sources(options)
    _refuse_visit_as_output(options, sources)
    refuse_others(options.output, [os.path.abspath(source.place) for source in sources])
    has_cases = any(source.case for source in sources)
    progress.stage("read", 0.0)
    if has_cases:
        sources = _segmented(options, sources, progress.part(0.0, _SEGMENTING))
    progress = progress.part(_SEGMENTING if has_cases else 0.0, 1.0)
    visits = [read_visit(source) for source in sources]
    progress.update(0.1)
    wanted = Wanted(
        options.baseline,
        options.reference,
        options.lesions,
        radiotherapy,
        necrosis=options.necrosis,
    )
    found = assess(visits, wanted, progress.part(0.1, 0.9))
    progress.stage("write", 0.9)
    files = write_follow_up(options.output, found, follow_page(found))
    for text in found.warnings:
        progress.warning(text)
    progress.update(1.0)
    for line in _summary(found):
        progress.message(line)
    page = files["follow.html"]
    progress.result(
        output=str(options.output),
        files={name: str(path) for name, path in files.items()},
        text=str(page),
    )
    return 0


def _sources(options: Namespace) -> "tuple[list[VisitSource], date | int | None]":
    """Return the visits in the order of time, and when a radiotherapy ended."""
    from scripted_models.follow_up.visit_table import SUFFIXES, read_table
    from scripted_models.follow_up.visits import find_visits, is_label_map
    from scripted_models.labels import CODINGS

    first = options.visits[0]
    told = _told(options)
    is_table = first.suffix.lower() in SUFFIXES or (first.is_file() and not is_label_map(first))
    if len(options.visits) > 1 or not is_table:
        coding = CODINGS[options.coding] if options.coding else None
        found = find_visits(options.visits, options.days, told, coding)
        return found, _radiotherapy(options.radiotherapy)
    if options.days or told or options.coding:
        raise InputError(
            found="--days, --steroids, --clinical, --confirmed or --coding beside a table",
            expected="columns of the table",
            action="write them into the table",
        )
    sources, end = read_table(first)
    return sources, _radiotherapy(options.radiotherapy) or end


def _told(options: Namespace) -> "list[Told]":
    """Return steroids, clinical states and confirmations of the options; none: nothing is told."""
    from scripted_models.follow_up.visit_table import told_of

    given = [values for values in (options.steroids, options.clinical, options.confirmed)]
    count = max(map(len, given))
    if any(values and len(values) != count for values in given):
        raise InputError(
            found="--steroids, --clinical and --confirmed with different numbers of values",
            expected="one for each visit, in their order",
            action="write - where it is not known",
        )
    rows = zip(*(values or ["-"] * count for values in given), strict=True)
    try:
        return [told_of(*row) for row in rows]
    except ValueError as error:
        raise InputError(found=str(error), action="correct the option") from error


def _radiotherapy(text: str | None) -> "date | int | None":
    from scripted_models.follow_up.visit_dates import parse_date

    if text is None:
        return None
    found = parse_date(text)
    if found is not None:
        return found
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            found=f"--radiotherapy {text}", expected="a date such as 2024-01-31, or a day"
        ) from error


def _segmented(
    options: Namespace, sources: "Sequence[VisitSource]", progress: Progress
) -> "list[VisitSource]":
    from scripted_models.follow_up.new_visits import segment_new
    from scripted_models.segmentation.segmenter import Segmenter

    segmenter = Segmenter.load(options.model, options.device)
    progress.message(f"model {segmenter.model.name} on {segmenter.placement.reason}")
    return segment_new(sources, options.output, segmenter, progress)


def _refuse_visit_as_output(options: Namespace, sources: "Sequence[VisitSource]") -> None:
    """Refuse an output inside a visit, or the folder of visits itself."""
    output = Path(os.path.realpath(options.output))
    places = [Path(os.path.realpath(source.place)) for source in sources]
    named = [Path(os.path.realpath(path)) for path in options.visits]
    if output in named or any(place in (output, *output.parents) for place in places):
        raise InputError(
            path=options.output,
            found="a folder of visits",
            expected="an --output of its own",
            action="choose another folder",
        )


def _summary(found: "FollowUp") -> list[str]:
    """Return a line for each visit after the baseline."""
    lines = []
    for index, visit in enumerate(found.visits):
        told = [
            f"by {measure}: {by_visit[index].category}"
            for measure, by_visit in found.responses.items()
            if index in by_visit
        ]
        volume = f"{found.region} {found.regions[found.region].values[index]:.1f} mL"
        lines.append(", ".join([f"{visit.name}: {volume}", *told]))
    return lines
