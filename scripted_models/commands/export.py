"""`scripted-models export MODEL`: a model for other programs."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from scripted_models.runtime.printable_text import on_one_line
from scripted_models.runtime.progress import Progress
from scripted_models.runtime.standard_streams import say

FORMATS = ("onnx", "torchscript", "bundle")


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("export", help="write a model for other programs")
    parser.add_argument("model", help="name or folder of a model")
    parser.add_argument(
        "--format", choices=FORMATS, required=True, help="what is written (docs/export.md)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to be made")
    parser.set_defaults(run=run)


def run(options: Namespace, progress: Progress) -> int:
    """Write the folder and print its files with their checksums."""
    from scripted_models.bundle import export_model

    written = export_model(options.model, options.format, options.output)
    say(on_one_line(str(written.folder)))
    for name, digest in written.checksums.items():
        say(f"{digest}  {name}")
    return 0
