"""`scripted-models segment`: one case, four files, or a folder of cases."""

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_models.errors import InputError
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
    from scripted_models.labels import CODINGS

    parser = subparsers.add_parser("segment", help="segment one case or a folder of cases")
    add_cases(parser, "folder for the results")
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
    from scripted_models.bundle.description import read_description
    from scripted_models.bundle.model_folders import find_model
    from scripted_models.cases.skipped_files import skipped_files

    one_of = read_description(find_model(options.model)).needs_one_of
    cases = chosen_cases(options, one_of)
    tell_choices(cases, progress)
    if len(cases) == 1:
        cases[0].require_images(one_of)
    refuse_one_mask_for_many(options, cases)
    refuse_input_as_output(options.output, cases)
    for problem in skipped_files(options.folder, cases) if options.folder else ():
        progress.warning(problem.sentence, **problem.fields)
    progress.stage("load", 0.0)
    import torch

    from scripted_models.labels import CODINGS
    from scripted_models.segmentation.batch import Batch
    from scripted_models.segmentation.outputs import OutputOptions
    from scripted_models.segmentation.raw_cases import PreparationOptions
    from scripted_models.segmentation.segmenter import Segmenter

    if threads:
        torch.set_num_threads(threads)
    preparation = PreparationOptions(
        options.prepare, options.reference, options.result_grid, options.brain_mask
    )
    segmenter = Segmenter.load(options.model, options.device, preparation)
    progress.message(f"model {segmenter.model.name} on {segmenter.placement.reason}")
    coding = CODINGS[options.coding]
    wanted = OutputOptions(
        coding,
        options.probabilities,
        options.uncertainty,
        options.keep_prepared,
        options.necrosis,
    )
    batch = Batch(segmenter, options.output, wanted, options.resume)
    batch.run(cases, progress, lambda written: _tell(written, wanted, progress))
    return 0


def tell_choices(cases: "Sequence[Case]", progress: Progress) -> None:
    """Say which files and series were left out of the cases, and what should be checked."""
    from scripted_models.cases.dicom.named_series import doubts_of_series
    from scripted_models.cases.ignored_files import tell_ignored

    for text in (*tell_ignored(cases), *(text for c in cases for text in doubts_of_series(c))):
        progress.warning(text)


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
    from scripted_models.segmentation.result_folders import OVERLAY, PREPARED, REPORT, SEGMENTATION

    is_kept = wanted.prepared and written.segmentation.prepared is not None
    if wanted.prepared and not is_kept:
        progress.message(f"{written.case.name}: the volumes needed no preparation, none is kept")

    found, folder = written.segmentation, written.folder
    prepared = {"prepared": str(folder / PREPARED)} if is_kept else {}
    volumes = ", ".join(f"{name} {ml:.1f} mL" for name, ml in found.volumes_ml.items())
    progress.result(
        case=written.case.name,
        segmentation=str(folder / SEGMENTATION),
        report=str(folder / REPORT),
        overlay=str(folder / OVERLAY),
        volumes_ml=found.volumes_ml,
        known_labels=list(found.known_labels),
        device=found.placement.device.type,
        **prepared,
        text=f"{folder / SEGMENTATION}: {volumes}",
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
    if Path(name).name != name or name in (".", "..") or on_one_line(name) != name:
        raise InputError(
            found=f"--case-name {on_one_line(name)}",
            expected="a plain name without folders and control characters",
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
