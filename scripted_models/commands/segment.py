"""`scripted-models segment`: one case, four files, or a folder of cases."""

import os
from collections.abc import Sequence
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.runtime.parent_process import end_with
from scripted_models.runtime.process_priority import give_way
from scripted_models.runtime.progress import FORMATS, Progress

SEQUENCE_OPTIONS = ("t1", "t1c", "t2", "flair")


def add_parser(subparsers) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("segment", help="segment one case or a folder of cases")
    parser.add_argument("folder", type=Path, nargs="?", help="case folder, or a folder of cases")
    for sequence in SEQUENCE_OPTIONS:
        parser.add_argument(f"--{sequence}", type=Path, metavar="FILE", help=f"{sequence} volume")
    parser.add_argument("--without", nargs="+", choices=SEQUENCE_OPTIONS, default=[],
                        help="leave out sequences of a case folder that are of no use")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--case-name", help="name of the case given as four files")
    parser.add_argument("--model", default="default", help="name or path of a model")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--coding", choices=("internal", "brats2013", "brats2021", "brats2023", "msd"),
                        default="internal", help="label coding of the result")  # fmt: skip
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="write class probabilities and the uncertainty too",
    )
    parser.add_argument(
        "--continue",
        action="store_true",
        dest="go_on",
        help="leave out cases that the same model has segmented before into --output",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.add_argument("--end-with", type=int, metavar="PID",
                        help="end when this process is gone (for programs that start this one)")  # fmt: skip
    parser.set_defaults(run=run)


def run(options, progress: Progress) -> int:
    """Segment all chosen cases; of several cases those that cannot be used are left out and told."""
    if options.end_with is not None:
        end_with(options.end_with)
    give_way()
    from scripted_models.bundle.description import read_description
    from scripted_models.bundle.folders import find_model

    one_of = read_description(find_model(options.model)).needs_one_of
    cases = chosen_cases(options, one_of)
    if len(cases) == 1:
        cases[0].require_images(one_of)
    _refuse_input_as_output(options.output, cases)
    progress.stage("load", 0.0)
    import torch

    from scripted_models.bundle.weights import load_model
    from scripted_models.inference import place_network
    from scripted_models.runtime.atomic_files import only_writer

    if options.threads > 0:
        torch.set_num_threads(options.threads)
    model = load_model(options.model)
    _, reason = place_network(model.network, options.device)
    progress.message(f"model {model.name} on {reason}")
    with only_writer(options.output):
        failed = _segment_all(cases, model, reason, options, progress)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(cases)} cases were not segmented ({', '.join(failed)}), expected usable "
            "ones; the reasons are above, fix them and run again with --continue."
        )
    return 0


def _segment_all(cases: list, model, reason: str, options, progress: Progress) -> list[str]:
    """Segment and write case after case; return the names of those that could not be used."""
    from scripted_models.labels import CODINGS
    from scripted_models.segmentation.outputs import is_written

    form = (CODINGS[options.coding], options.probabilities)
    failed = []
    for index, case in enumerate(cases):
        span = (index / len(cases), (index + 1) / len(cases))
        if options.go_on and is_written(options.output, case, model, *form):
            progress.message(f"{case.name}: segmented before")
            progress.skip(span[1])
            continue
        try:
            reason = _segment_one(case, model, reason, form, options, progress, span)
        except InputError as error:
            if len(cases) == 1:
                raise
            failed.append(case.name)
            progress.warning(f"{case.name} was left out: {error}")
        progress.update(span[1])
    return failed


def _segment_one(case, model, reason, form, options, progress: Progress, span) -> str:
    """Segment and write one case; return the device that the network is on now."""
    from scripted_models.inference import CPU_AFTER_GPU
    from scripted_models.segmentation.outputs import OVERLAY, REPORT, SEGMENTATION, write_outputs
    from scripted_models.segmentation.segmenter import segment_case

    before = next(model.network.parameters()).device.type
    may_fall_back = options.device == "auto"
    result = segment_case(case, model, progress, span=span, cpu_fallback=may_fall_back)
    device = next(model.network.parameters()).device.type
    reason = reason if device == before else CPU_AFTER_GPU
    progress.stage("write", span[0] + 0.96 * (span[1] - span[0]))
    for warning in result.warnings:
        progress.warning(f"{case.name}: {warning}")
    report = write_outputs(options.output, case, result, model, reason, *form)
    folder = options.output / case.name
    progress.result(
        case=case.name,
        segmentation=str(folder / SEGMENTATION),
        report=str(folder / REPORT),
        overlay=str(folder / OVERLAY),
        volumes_ml=report["volumes_ml"],
        known_labels=report["known_labels"],
        device=device,
        text=f"{folder / SEGMENTATION}: {_summary(report['volumes_ml'])}",
    )
    return reason


def chosen_cases(options, one_of: Sequence[str] = ()) -> list:
    """Return the cases that the options name: files, or what a folder holds.

    Args:
        options: of the command line.
        one_of: sequences of which one suffices; empty: all four are needed.
    """
    from scripted_models.cases.case import Case, ImageSource
    from scripted_models.cases.discovery import find_cases

    files = {m: getattr(options, m) for m in SEQUENCE_OPTIONS if getattr(options, m) is not None}
    if bool(files) == bool(options.folder):
        raise InputError(
            "Expected either a case folder or the files --t1 --t1c --t2 --flair, and not both."
        )
    if options.folder:
        return [case.without(options.without) for case in find_cases(options.folder)]
    if options.without:
        raise InputError(
            "--without is for a case folder, expected none beside --t1 --t1c --t2 --flair; leave it out, and "
            "give no file of these sequences."
        )
    missing = [f"--{m}" for m in SEQUENCE_OPTIONS if m not in files]
    if missing and not set(one_of) & set(files):
        needed = f"{' or '.join(one_of)} at least" if one_of else "all four sequences"
        raise InputError(f"Missing {' '.join(missing)}; the model needs {needed}.")
    name = options.case_name or _common_name(files)
    if Path(name).name != name or name in (".", ".."):
        raise InputError(f"--case-name {name}: expected a plain name without folders.")
    return [Case(name, {m: ImageSource(path) for m, path in files.items()})]


def _common_name(files: dict[str, Path]) -> str:
    from scripted_models.cases.naming import file_role
    from scripted_models.images.volume_files import volume_stem

    roles = [file_role(volume_stem(path)) for path in files.values()]
    stems = {role.stem for role in roles if role and role.stem}
    return (
        stems.pop()
        if len(stems) == 1
        else Path(os.path.realpath(next(iter(files.values())))).parent.name or "case"
    )


def _refuse_input_as_output(output: Path, cases: list) -> None:
    """Writing `output/<case>` must never replace the folder that holds a case's own files."""
    for case in cases:
        target = Path(os.path.realpath(output / case.name))  # no error for links in a circle
        for source in case.images.values():
            if target in Path(os.path.realpath(source.path)).parents:
                raise InputError(
                    f"--output {output}: found the folder of the input of case {case.name}, expected another "
                    "one, where its result replaces nothing; choose another output folder."
                )


def _summary(volumes_ml: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} mL" for name, value in volumes_ml.items())
