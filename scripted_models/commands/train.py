"""`scripted-models train EXPERIMENT.toml`: two-phase training, resumable."""

from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress

EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "recipes"


def add_parser(subparsers) -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    parser = subparsers.add_parser("train", help="train a network as an experiment file says")
    parser.add_argument("experiment", help="TOML file, or the name of a shipped experiment")
    parser.add_argument("--data", type=Path, help="folder of cases (else data.folder of the file)")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument("--cache", type=Path,
                        help="folder of preprocessed cases (default: cases in the run folder)")  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run folder's checkpoint"
    )
    parser.add_argument("--set", action="append", default=[], nargs="+", metavar="KEY=VALUE",
                        help="override a setting, for example training.seed=1")  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--coding", choices=sorted(CODINGS), help="label coding of the data")
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options, progress: Progress) -> int:
    """Train and say where the model is."""
    from scripted_models.labels import CODINGS
    from scripted_models.training import distributed
    from scripted_models.training.experiment_config import load_experiment
    from scripted_models.training.training_run import TrainingRun, train_experiment

    path = Path(options.experiment)
    shipped = EXPERIMENTS / f"{options.experiment}.toml"
    if not path.exists() and not shipped.is_file():
        names = sorted(
            p.relative_to(EXPERIMENTS).with_suffix("") for p in EXPERIMENTS.rglob("*.toml")
        )
        raise InputError(
            f"{path}: found no such experiment file, expected a TOML file or one of the shipped "
            f"{', '.join(name.as_posix() for name in names)}; check the name."
        )
    experiment = load_experiment(
        shipped if not path.is_file() and shipped.is_file() else path,
        [override for group in options.set for override in group],
    )
    data = options.data or (Path(experiment.data.folder) if experiment.data.folder else None)
    if data is None:
        raise InputError(f"{path}: names no data.folder; give the folder of cases with --data.")
    output = options.output or Path("runs") / experiment.name
    coding = CODINGS[options.coding] if options.coding else None
    with distributed.process_group(options.device):
        progress = progress if distributed.rank() == 0 else Progress()
        run = TrainingRun(
            data, output, progress, options.resume, options.device, coding, options.cache
        )
        model = train_experiment(experiment, run)
    progress.result(model=str(model), run=str(output))
    progress.message(f"model: {model}")
    return 0
