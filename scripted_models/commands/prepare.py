"""`scripted-models prepare`: raw volumes registered, skull-stripped, resampled, to be checked."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_models.commands.segment import (
    add_cases,
    add_preparation,
    chosen_cases,
    refuse_input_as_output,
    refuse_one_mask_for_many,
    tell_choices,
)
from scripted_models.errors import InputError
from scripted_models.runtime.parent_process import end_with
from scripted_models.runtime.process_priority import give_way
from scripted_models.runtime.progress import FORMATS, Progress
from scripted_models.sequences import SEQUENCES

if TYPE_CHECKING:
    from scripted_models.cases.case import Case
    from scripted_models.segmentation.raw_cases import PreparationOptions


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    text = "register, skull-strip and resample raw volumes, without segmenting them"
    parser = subparsers.add_parser("prepare", help=text)
    add_cases(parser, "folder for the prepared volumes")
    add_preparation(parser)
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    text = "end when this process is gone (for programs that start this one)"
    parser.add_argument("--end-with", type=int, metavar="PID", help=text)
    parser.set_defaults(run=run)


def run(options: Namespace, progress: Progress) -> int:
    """Prepare all chosen cases; of several those that cannot be used are skipped and told."""
    if options.end_with is not None:
        end_with(options.end_with)
    give_way()
    cases = chosen_cases(options, SEQUENCES)
    tell_choices(cases, progress)
    refuse_one_mask_for_many(options, cases)
    refuse_input_as_output(options.output, cases)
    from scripted_models.runtime.atomic_files import only_writer
    from scripted_models.segmentation.raw_cases import PreparationOptions

    wanted = PreparationOptions("always", options.reference, mask=options.brain_mask)
    skipped = []
    with only_writer(options.output):
        for index, case in enumerate(cases):
            part = progress.part(index / len(cases), (index + 1) / len(cases))
            try:
                _prepare(case, options.output, wanted, part)
            except InputError as error:
                if len(cases) == 1:
                    raise
                skipped.append(case.name)
                progress.warning(f"{case.name} was skipped: {error}", **error.fields)
            part.update(1.0)
    if skipped:
        raise InputError(
            found=f"{len(skipped)} of {len(cases)} cases that were skipped ({', '.join(skipped)})",
            expected="usable ones",
            action="the reasons are above, fix them and run again",
        )
    return 0


def _prepare(case: "Case", output: Path, wanted: "PreparationOptions", progress: Progress) -> None:
    from scripted_models.reporting.preparation_page import refuse_other_files, write_preparation
    from scripted_models.segmentation.case_inputs import CaseInputs
    from scripted_models.segmentation.raw_cases import prepare_case
    from scripted_models.segmentation.result_folders import check_place

    inputs = CaseInputs.of(case)
    check_place(output, case)
    refuse_other_files(output / case.name, inputs)
    prepared = prepare_case(case, wanted, progress)
    warnings = [finding.sentence for finding in prepared.findings]
    for finding in prepared.findings:
        progress.warning(f"{case.name}: {finding.sentence}", **finding.fields)
    page = write_preparation(output, case.name, prepared, inputs, warnings)
    progress.result(case=case.name, folder=str(page.parent), page=str(page), text=str(page))
