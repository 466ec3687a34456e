"""`scripted-models phantom`: write artificial cases as a BraTS-style folder."""

import argparse
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.runtime.printable_text import on_one_line
from scripted_models.runtime.progress import Progress
from scripted_models.runtime.standard_streams import say


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("phantom", help="write artificial cases with known labels")
    parser.add_argument("--output", type=Path, required=True, help="folder for the cases")
    parser.add_argument("--cases", type=int, default=1, help="number of cases (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case (default 0)")
    parser.add_argument(
        "--size",
        type=int,
        nargs=3,
        metavar=("X", "Y", "Z"),
        default=(240, 240, 155),
        help="voxels (default 240 240 155)",
    )
    parser.add_argument("--low-grade", action="store_true", help="gliomas that hardly enhance")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Write the cases."""
    from scripted_models.cases.phantom.phantom_case import write_phantom_case
    from scripted_models.runtime.atomic_files import make_folder

    if options.cases < 1:
        raise InputError(found=f"--cases {options.cases}", expected="at least 1")
    output = make_folder(options.output)
    progress.stage("write", 0.0)
    for index in range(options.cases):
        folder = write_phantom_case(
            output, options.seed + index, tuple(options.size), options.low_grade
        )
        progress.update((index + 1) / options.cases)
        say(on_one_line(str(folder)))
    return 0
