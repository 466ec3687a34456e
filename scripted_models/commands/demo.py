"""`scripted-models demo`: a phantom through the shipped model, scored, with a report to open."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from scripted_models.runtime.progress import FORMATS, Progress
from scripted_models.runtime.standard_streams import say


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("demo", help="segment a procedural case and open the report")
    parser.add_argument(
        "--output", type=Path, default=Path("output") / "demo", help="folder (default output/demo)"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the phantom")
    parser.add_argument(
        "--size", type=int, nargs=3, metavar=("X", "Y", "Z"), default=(240, 240, 52)
    )
    parser.add_argument("--model", default="default", help="shipped name or path of a model folder")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options: Namespace, progress: Progress) -> int:
    """Run the whole path and say where the report is."""
    from scripted_models.experiments.demonstration import run_demo

    report, table = run_demo(
        options.output, options.seed, tuple(options.size), options.model, options.device, progress
    )
    if options.progress != "json":
        say(table)
    progress.result(report=str(report))
    progress.message(f"report: {report}")
    return 0
