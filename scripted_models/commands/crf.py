"""`scripted-models crf`: a dense CRF on probabilities that a network has left in files."""

from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress


def add_parser(subparsers) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("crf", help="run a dense CRF on class probabilities in files")
    parser.add_argument(
        "probabilities",
        type=Path,
        help="NAME.npy (classes, rows, columns), or a case's folder that `segment --probabilities` wrote",
    )
    parser.add_argument("images", type=Path, nargs="+",
                        help="the picture; of a case its sequences, one or more volumes")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True,
                        help="label map: .png of VOC's palette, or .nii.gz, .nrrd or .mha")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], nargs="+", metavar="KEY=VALUE",
                        help="settings, for example position_width=60 backend=window")  # fmt: skip
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options, progress: Progress) -> int:
    """Write the label map."""
    settings = _settings([text for group in options.set for text in group])
    if not options.probabilities.exists():
        raise InputError(f"{options.probabilities}: no such file or folder; check the path.")
    if options.output.resolve() in [path.resolve() for path in options.images]:
        raise InputError(f"--output {options.output}: would replace an input; choose another name.")
    if options.probabilities.is_dir():
        from scripted_models.tasks.crf_files import refine_case as refine_files
    else:
        from scripted_models.tasks.crf_files import refine_picture as refine_files
    progress.stage("crf", 0.0)
    refine_files(options.probabilities, options.images, options.output, settings)
    progress.update(1.0)
    progress.result(labels=str(options.output), text=f"label map: {options.output}")
    return 0


def _settings(texts: list[str]) -> dict:
    """Read KEY=VALUE: whole numbers, other numbers and words."""
    settings: dict = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not (key and separator and value):
            raise InputError(f"--set {text}: expected KEY=VALUE, for example position_width=60.")
        settings[key] = _number(value)
    return settings


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
