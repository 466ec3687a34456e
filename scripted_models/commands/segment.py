"""`scripted-models segment`: one case, four files, or a folder of cases."""

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_models.errors import InputError
from scripted_models.runtime.folder_names import can_be_folder
from scripted_models.runtime.parent_process import end_with
from scripted_models.runtime.printable_text import on_one_line
from scripted_models.runtime.process_priority import give_way
from scripted_models.runtime.processor_cores import useful_threads
from scripted_models.runtime.progress import FORMATS, Progress
from scripted_models.sequences import SEQUENCES

if TYPE_CHECKING:
    from scripted_models.cases.case import Case
    from scripted_models.segmentation.outputs import OutputOptions, WrittenCase

FILES = " ".join(f"--{sequence}" for sequence in SEQUENCES)


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    from scripted_models.cases.selection_options import add_selection

    parser = subparsers.add_parser("segment", help="segment one case or a folder of cases")
    add_cases(parser, "folder for the results")
    add_selection(parser)
    text = "write a BIDS derivative, of a BIDS data set"
    parser.add_argument("--bids", action="store_true", help=text)
    add_segmenting(parser)


def add_segmenting(parser: ArgumentParser) -> None:
    """Add the options about how cases are segmented and what is written."""
    from scripted_models.labels import CODINGS

    add = parser.add_argument
    add("--model", default="default", help="name or path of a model")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    writable = [name for name, coding in CODINGS.items() if coding.from_internal]
    add("--coding", choices=writable, default="internal", help="label coding of the result")
    add("--probabilities", action="store_true", help="write probabilities and uncertainty, too")
    text = "write the uncertainty of each voxel alone"
    add("--uncertainty", action="store_true", help=text)
    text = "write raw volumes as they were prepared, brain mask and transforms, too"
    add("--keep-prepared", action="store_true", help=text)
    text = "write a DICOM SEG and a DICOM SR with the measurements, too (of DICOM series)"
    add("--dicom-seg", action="store_true", help=text)
    text = "leave out cases whose very content the same model has segmented before into --output"
    add("--continue", action="store_true", dest="resume", help=text)
    text = "remove skulls, register and resample raw volumes: what each needs, all, or nothing"
    add("--prepare", choices=("auto", "always", "never"), default="auto", help=text)
    add_preparation(parser)
    text = "grid of the result of raw volumes: native (of the reference, of a sequence) or 1 mm"
    grids = ("reference", "working", *SEQUENCES)
    add("--result-grid", choices=grids, default="reference", help=text)
    text = "whether diameters may cross necrosis, cavities and bays (default: excluded, as RANO)"
    add("--necrosis", choices=("excluded", "included"), default="excluded", help=text)
    add("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    add("--progress", choices=FORMATS, default="bar")
    text = "end when this process is gone (for programs that start this one)"
    add("--end-with", type=int, metavar="PID", help=text)
    parser.set_defaults(run=run)


def add_cases(parser: ArgumentParser, output: str) -> None:
    """Add the options that name cases, for `chosen_cases`, and the folder that the user gets."""
    add = parser.add_argument
    add("folder", type=Path, nargs="?", help="case folder, folder of cases, or DICOM studies")
    for sequence in SEQUENCES:
        add(f"--{sequence}", type=Path, metavar="FILE", help=f"{sequence} volume or DICOM series")
    add("--without", nargs="+", choices=SEQUENCES, default=[], help="leave out unusable sequences")
    add("--output", type=Path, required=True, help=output)
    add("--case-name", help="name of the case given as single files")


def add_preparation(parser: ArgumentParser) -> None:
    """Add the options about raw volumes."""
    text = "sequence to which the others are registered (default: t1c, or the first there is)"
    parser.add_argument("--reference", choices=SEQUENCES, help=text)
    text = "brain of a sequence on its grid, else of the reference, instead of a brain extraction"
    parser.add_argument("--brain-mask", type=Path, metavar="FILE", help=text)


def run(options: Namespace, progress: Progress) -> int:
    """Segment all chosen cases; of several those that cannot be used are skipped and told."""
    if options.end_with is not None:
        end_with(options.end_with)
    give_way()
    threads = wanted_threads(options, progress)
    if options.dicom_seg:
        from scripted_models.segmentation.dicom_export.exported_files import require_packages

        require_packages()
    from scripted_models.bundle.description import read_description
    from scripted_models.bundle.model_folders import find_model
    from scripted_models.cases.selection_options import is_part, selected

    one_of = read_description(find_model(options.model)).needs_one_of
    found = chosen_cases(options, one_of)
    cases = selected(options, found)
    if not cases:
        progress.message(f"share {options.shard} of {len(found)} case(s) is empty")
        return 0
    tell_choices(cases, progress)
    if len(cases) == 1:
        cases[0].require_images(one_of)
    refuse_one_mask_for_many(options, cases)
    refuse_input_as_output(options.output, cases)
    tell_left_out(options, found, progress)
    progress.stage("load", 0.0)
    import torch

    from scripted_models.labels import CODINGS
    from scripted_models.runtime.atomic_files import one_of_writers, only_writer
    from scripted_models.segmentation.batch import Batch, refuse_shared_folders
    from scripted_models.segmentation.bids_export.derivatives import Derivatives
    from scripted_models.segmentation.outputs import OutputOptions
    from scripted_models.segmentation.raw_cases import PreparationOptions
    from scripted_models.segmentation.result_form import CASE_FOLDERS
    from scripted_models.segmentation.segmenter import Segmenter

    refuse_shared_folders(found)
    if threads:
        torch.set_num_threads(threads)
    preparation = PreparationOptions(
        options.prepare, options.reference, options.result_grid, options.brain_mask
    )
    coding = CODINGS[options.coding]
    wanted = OutputOptions(
        coding,
        options.probabilities,
        options.uncertainty,
        options.keep_prepared,
        options.dicom_seg,
        options.necrosis,
    )
    form = Derivatives.of(options.folder, wanted) if options.bids else CASE_FOLDERS
    segmenter = Segmenter.load(options.model, options.device, preparation)
    progress.message(f"model {segmenter.model.name} on {segmenter.placement.reason}")
    writer = one_of_writers if is_part(options) else only_writer
    batch = Batch(segmenter, options.output, wanted, options.resume, writer, form)
    batch.run(cases, progress, lambda written: _tell(written, wanted, progress))
    return 0


def tell_choices(cases: "Sequence[Case]", progress: Progress) -> None:
    """Say which files and series were left out of the cases, and what should be checked."""
    from scripted_models.cases.dicom.named_series import doubts_of_series
    from scripted_models.cases.ignored_files import tell_ignored

    for text in (*tell_ignored(cases), *(text for c in cases for text in doubts_of_series(c))):
        progress.warning(text)


def tell_left_out(options: Namespace, found: "Sequence[Case]", progress: Progress) -> None:
    """Say which volumes of the folder are part of no case; of several shares the first does."""
    from scripted_models.cases.selection_options import shard_of
    from scripted_models.cases.skipped_files import skipped_files

    is_first = not options.shard or shard_of(options.shard)[0] == 1
    if options.folder and is_first and not (options.participant_label or options.session_label):
        for problem in skipped_files(options.folder, found):
            progress.warning(problem.sentence, **problem.fields)


def wanted_threads(options: Namespace, progress: Progress) -> int:
    """Return how many threads to take; 0 leaves the choice to PyTorch."""
    if not options.threads:
        return 0
    threads, problem = useful_threads(options.threads, "--threads")
    if problem:
        progress.warning(problem.sentence, **problem.fields)
    return threads


def _tell(written: "WrittenCase", wanted: "OutputOptions", progress: Progress) -> None:
    """Say where the results of a case are, and what they are."""
    if wanted.prepared and "prepared" not in written.files:
        progress.message(f"{written.case.name}: the volumes needed no preparation, none is kept")
    found, files = written.segmentation, {k: str(path) for k, path in written.files.items()}
    volumes = ", ".join(f"{name} {ml:.1f} mL" for name, ml in found.volumes_ml.items())
    progress.result(
        case=written.case.name,
        **files,
        volumes_ml=found.volumes_ml,
        known_labels=list(found.known_labels),
        device=found.placement.device.type,
        text=f"{files['segmentation']}: {volumes}",
    )


def chosen_cases(options: Namespace, one_of: Sequence[str] = ()) -> "list[Case]":
    """Return the cases that the options name: files, or what a folder holds.

    Args:
        options: of the command line.
        one_of: sequences of which one suffices; empty: all four are needed.
    """
    from scripted_models.cases.case import Case
    from scripted_models.cases.discovery import find_cases

    files = {m: getattr(options, m) for m in SEQUENCES if getattr(options, m) is not None}
    if bool(files) == bool(options.folder):
        both = "both a case folder and files"
        raise InputError(
            found=both if files else "neither a case folder nor files",
            expected=f"either a folder or the files {FILES}",
        )
    if options.folder:
        return [case.without(options.without) for case in find_cases(options.folder)]
    if options.without:
        raise InputError(
            found="--without beside single files",
            expected="it with a case folder only",
            action="leave it out, and give no file of these sequences",
        )
    missing = [f"--{m}" for m in SEQUENCES if m not in files]
    if missing and not set(one_of) & set(files):
        needed = f"{' or '.join(one_of)} at least" if one_of else "all four sequences"
        raise InputError(found=f"no {' '.join(missing)}", expected=f"{needed} for this model")
    from scripted_models.cases.dicom.named_series import name_of_series, named_source

    sources = {m: named_source(path) for m, path in files.items()}
    own_name = name_of_series(sources)
    name = options.case_name or own_name or _common_name(files)
    if not can_be_folder(name) or on_one_line(name) != name:
        raise InputError(
            found=f"--case-name {on_one_line(name)}",
            expected="the name of a folder, without control characters",
        )
    return [Case(name, sources)]


def refuse_one_mask_for_many(options: Namespace, cases: "Sequence[Case]") -> None:
    """Refuse a brain mask that would be that of several patients, or of no use."""
    if options.brain_mask is None:
        return
    if len(cases) > 1:
        raise InputError(
            found=f"one --brain-mask for {len(cases)} cases",
            expected="one case",
            action="run the cases one by one, each with its mask",
        )
    if getattr(options, "prepare", "always") == "never":
        raise InputError(
            found="--brain-mask with --prepare never",
            expected="auto or always",
            action="leave one of both out",
        )


def _common_name(files: Mapping[str, Path]) -> str:
    """Return what the names of the files have in common, else the name of their folder."""
    from scripted_models.cases.naming import file_role
    from scripted_models.images.volume_files import volume_stem

    roles = [file_role(volume_stem(path)) for path in files.values()]
    stems = {role.stem for role in roles if role and role.stem}
    if len(stems) == 1:
        return stems.pop()
    return Path(os.path.realpath(next(iter(files.values())))).parent.name or "case"


def refuse_input_as_output(output: Path, cases: "Sequence[Case]") -> None:
    """Writing `output/<case>` must never replace the folder that holds a case's own files."""
    for case in cases:
        target = Path(os.path.realpath(output / case.name))  # no error for links in a circle
        sources = case.images.values()
        for path in (p for s in sources for p in (s.series.files if s.series else (s.path,))):
            if target in Path(os.path.realpath(path)).parents:
                raise InputError(
                    path=output,
                    found=f"the input of case {case.name} where its result would lie",
                    expected="an --output where it replaces nothing",
                    action="choose another folder",
                )
