"""`scripted-models experiments`: a list of experiments, and its table beside the papers'."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripted_models.commands.train import EXPERIMENTS, PATIENTS_HELP, overrides
from scripted_models.errors import InputError
from scripted_models.runtime.plain_files import read_text
from scripted_models.runtime.progress import FORMATS, Progress
from scripted_models.runtime.standard_streams import say

if TYPE_CHECKING:
    from scripted_models.tasks.list_run import ListRun
    from scripted_models.training.experiment_config import Experiment


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    parser = subparsers.add_parser(
        "experiments",
        help="train and test a list of experiments, print the table beside the papers'",
    )
    parser.add_argument(
        "experiments",
        nargs="*",
        default=["havaei2017"],
        help="TOML files, folders of them, or shipped names, all for brains or all for VOC "
        "(default: havaei2017, the paper's tables 1 and 2)",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of cases with ground truth, or VOC20xx"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of all runs; a stopped list resumes"
    )
    _add_folds(parser)
    parser.add_argument(
        "--cache", type=Path, help="folder of preprocessed cases (default: cases in the output)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="override a setting of all experiments",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--coding", choices=sorted(CODINGS), help="label coding of the data")
    parser.add_argument("--patients", type=Path, help=PATIENTS_HELP)
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def _add_folds(parser: argparse.ArgumentParser) -> None:
    folds = parser.add_mutually_exclusive_group()
    folds.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="cross-validate: each of N parts of the cases is tested once",
    )
    folds.add_argument(
        "--by-site",
        action="store_true",
        help="cross-validate: the cases of each site are tested once",
    )
    folds.add_argument(
        "--groups",
        nargs=2,
        metavar=("TABLE", "COLUMN"),
        help="cross-validate: the cases of each group in a column of a CSV or TSV table, which "
        "also has the column case, are tested once; a case without a group is tested with its "
        "patient's, or never if the patient has none",
    )
    parser.add_argument(
        "--fold",
        action="append",
        default=[],
        metavar="NAME",
        help="run only this fold (fold1, ..., a site or a group); may be repeated",
    )
    parser.add_argument(
        "--sequences",
        action="store_true",
        help="cross-validate without some sequences, too, where models can",
    )


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Run the list and print its table."""
    from scripted_models.experiments.cross_validation import cross_validate
    from scripted_models.experiments.folds import fold_warnings
    from scripted_models.experiments.runner import TABLE, load_list, run_list
    from scripted_models.labels import CODINGS
    from scripted_models.tasks.list_run import ListRun
    from scripted_models.training import distributed

    paths = [path for name in options.experiments for path in _files(name)]
    experiments = load_list(paths, overrides(options))
    folds = _folds(options, experiments)
    coding = CODINGS[options.coding] if options.coding else None
    command = shlex.join(["scripted-models", *sys.argv[1:]])
    with distributed.process_group(options.device):
        main = distributed.rank() == 0
        run = ListRun(
            options.data,
            options.output,
            progress if main else Progress(),
            command,
            options.device,
            coding,
            options.cache,
        )
        _warn(experiments, run, parted=bool(folds))
        if options.groups:
            for sentence in fold_warnings(options.data, folds, tuple(options.groups)):
                run.progress.warning(sentence)
        if folds:
            cross_validate(experiments, run, folds, options.fold, options.sequences)
        else:
            run_list(experiments, run)
    if main:
        table = options.output / TABLE
        if options.progress != "json":
            say(read_text(table / "table.md"))
        progress.result(table=str(table / "table.html"), text=f"table: {table / 'table.html'}")
    return 0


def _warn(experiments: "list[Experiment]", run: "ListRun", parted: bool) -> None:
    """Tell what of the data is left out or in doubt, each sentence once."""
    from scripted_models.tasks.known_tasks import common_task

    task = common_task(experiments)
    said: set[str] = set()
    for sentence in (text for e in experiments for text in task.warnings(e, run.data, parted)):
        if sentence not in said:
            run.progress.warning(sentence)
        said.add(sentence)


def _folds(options: argparse.Namespace, experiments: "list[Experiment]") -> dict[str, list[str]]:
    """Return the folds that the options ask for, none for a list without cross-validation."""
    from scripted_models.experiments.folds import folds_of
    from scripted_models.tasks.known_tasks import common_task

    task = common_task(experiments)
    of_folds = ("folds", "by_site", "groups", "fold", "sequences")
    stated = [f"--{name}".replace("_", "-") for name in of_folds if getattr(options, name)]
    if stated and task.name != "brains":
        raise InputError(
            found=f"{', '.join(stated)} with experiments for {task.name}",
            expected="cross-validation of experiments for brains only",
            action="leave it out",
        )
    if options.folds is None and not options.by_site and not options.groups:
        if stated:
            raise InputError(
                found=f"{', '.join(stated)} without a cross-validation",
                expected="--folds, --by-site or --groups with it",
                action="add one",
            )
        return {}
    if options.folds is not None and options.folds < 2:
        raise InputError(found=f"--folds {options.folds}", expected="at least 2", action="raise it")
    tables = {experiment.data.patients for experiment in experiments}
    if len(tables) > 1:
        raise InputError(
            found=f"different tables of patients in the experiments ({', '.join(sorted(tables))})",
            expected="one for all folds",
            action="name it with --patients",
        )
    groups = tuple(options.groups) if options.groups else None
    return folds_of(options.data, options.folds or 0, patients=tables.pop(), groups=groups)


def _files(name: str) -> list[Path]:
    """Return the experiment files behind a file, a folder or a shipped name."""
    for path in (Path(name), EXPERIMENTS / name, EXPERIMENTS / f"{name}.toml"):
        if path.is_file():
            return [path]
        if path.is_dir():
            found = sorted(path.glob("*.toml"))
            if found:
                return found
    shipped = sorted(p.stem for p in EXPERIMENTS.iterdir())
    raise InputError(
        found="neither an experiment file nor a folder of them",
        expected=f"a path or one of {shipped}",
        action="check the name",
        path=name,
    )
