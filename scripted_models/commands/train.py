"""`scripted-models train EXPERIMENT.toml`: two-phase training, resumable."""

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress

PATIENTS_HELP = "table (TSV or CSV) of case and patient, where names do not tell the patient"
EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "recipes"


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    parser = subparsers.add_parser("train", help="train a network as an experiment file says")
    parser.add_argument("experiment", help="TOML file, or the name of a shipped experiment")
    parser.add_argument("--data", type=Path, help="folder of the data (else data.folder)")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument(
        "--cache", type=Path, help="folder of preprocessed cases (default: cases in the run folder)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue from the run folder's checkpoint"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="override a setting, for example training.seed=1",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--coding", choices=sorted(CODINGS), help="label coding of the data")
    parser.add_argument("--patients", type=Path, help=PATIENTS_HELP)
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Train and say where the model is."""
    from scripted_models.labels import CODINGS
    from scripted_models.tasks.known_tasks import task_of
    from scripted_models.training import distributed
    from scripted_models.training.assembly import trains
    from scripted_models.training.experiment_config import load_experiment
    from scripted_models.training.training_run import TrainingRun, train_experiment

    path = experiment_file(options.experiment)
    experiment = load_experiment(path, overrides(options))
    data = options.data or (Path(experiment.data.folder) if experiment.data.folder else None)
    if data is None:
        raise InputError(
            found="no data.folder",
            expected="the folder of the data",
            action="name it with --data",
            path=path,
        )
    output = options.output or Path("runs") / experiment.name
    coding = CODINGS[options.coding] if options.coding else None
    with distributed.process_group(options.device):
        progress = progress if distributed.rank() == 0 else Progress()
        task = task_of(experiment)
        with suppress(InputError):  # the run says so itself, after what is checked first
            for sentence in task.warnings(experiment, data) if trains(experiment) else ():
                progress.warning(sentence)
        run = TrainingRun(
            data, output, progress, options.resume, options.device, coding, options.cache
        )
        model = train_experiment(experiment, run, task)
    progress.result(model=str(model), run=str(output))
    progress.message(f"model: {model}")
    return 0


def overrides(options: argparse.Namespace) -> list[str]:
    """Return the settings that options override, as --set has them."""
    stated = [override for group in options.set for override in group]
    if options.patients:
        stated.append(f"data.patients={json.dumps(str(options.patients))}")
    return stated


def experiment_file(name: str) -> Path:
    """Return the experiment file of a path or a shipped name.

    Raises:
        InputError: there is none.
    """
    path, shipped = Path(name), EXPERIMENTS / f"{name}.toml"
    if path.is_file() or (path.exists() and not shipped.is_file()):
        return path
    if shipped.is_file():
        return shipped
    names = sorted(p.relative_to(EXPERIMENTS).with_suffix("") for p in EXPERIMENTS.rglob("*.toml"))
    raise InputError(
        found="no such experiment file",
        expected="a TOML file or one of the shipped "
        f"{', '.join(shipped_name.as_posix() for shipped_name in names)}",
        action="check the name",
        path=path,
    )
