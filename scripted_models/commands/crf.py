"""`scripted-models crf`: a dense CRF on probabilities that a network has left in files."""

import argparse
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("crf", help="run a dense CRF on class probabilities in files")
    parser.add_argument(
        "probabilities",
        type=Path,
        help="NAME.npy (classes, rows, columns), or a case's folder that `segment "
        "--probabilities` wrote",
    )
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        help="the picture; of a case its sequences, one or more volumes",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="label map: .png of VOC's palette, or .nii.gz, .nrrd or .mha",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="settings, for example position_width=60 backend=window",
    )
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Write the label map."""
    settings = _settings([text for group in options.set for text in group])
    if not (options.probabilities.is_dir() or options.probabilities.is_file()):
        raise InputError(
            found="no such file or folder", action="check the path", path=options.probabilities
        )
    _refuse_input_as_output(options.output, [options.probabilities, *options.images])
    progress.stage("crf", 0.0)
    if options.probabilities.is_dir():
        from scripted_models.segmentation.crf_files import refine_case

        refine_case(options.probabilities, options.images, options.output, settings)
    else:
        from scripted_models.tasks.voc.crf_pictures import refine_picture

        refine_picture(options.probabilities, options.images, options.output, settings)
    progress.update(1.0)
    progress.result(labels=str(options.output), text=f"label map: {options.output}")
    return 0


def _refuse_input_as_output(output: Path, inputs: list[Path]) -> None:
    """Refuse to replace an input, or what `segment` wrote beside the probabilities."""
    from scripted_models.runtime.file_identity import is_same_file
    from scripted_models.segmentation.result_folders import own_files

    inputs = [
        *inputs,
        *(path for folder in inputs if folder.is_dir() for path in own_files(folder)),
    ]
    if any(is_same_file(output, path) for path in inputs):
        raise InputError(
            found=f"--output {output}, which would replace an input or a result of `segment`",
            expected="another file",
            action="choose another name",
        )


def _settings(texts: list[str]) -> dict[str, int | float | str]:
    """Read KEY=VALUE: whole numbers, other numbers and words."""
    settings: dict[str, int | float | str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not (key and separator and value):
            raise InputError(
                found=f"--set {text}",
                expected="KEY=VALUE, for example position_width=60",
                action="complete it",
            )
        settings[key] = _number(value)
    return settings


def _number(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
