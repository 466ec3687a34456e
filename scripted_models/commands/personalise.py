"""`scripted-models personalise`: a model trained further on its user's own corrected cases."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripted_models.commands.segment import wanted_threads
from scripted_models.commands.train import PATIENTS_HELP
from scripted_models.runtime.parent_process import end_with
from scripted_models.runtime.process_priority import give_way
from scripted_models.runtime.progress import FORMATS, Progress
from scripted_models.runtime.standard_streams import say

if TYPE_CHECKING:
    from scripted_models.experiments.personal_scores import BeforeAfter


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    text = "train a model further on your own corrected cases, and keep it if it is better"
    parser = subparsers.add_parser("personalise", help=text)
    parser.add_argument("cases", type=Path, help="folder of at least 3 cases with corrected labels")
    parser.add_argument(
        "--model", default="default", help="name or folder of the model to begin with"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the new model")
    parser.add_argument("--epochs", type=int, help="passes of 100 steps (default: 16)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    parser.add_argument("--seed", type=int, default=0, help="other cases are held out with another")
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="override a setting of the training, such as training.phase1.learning_rate=0.0001",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--coding", choices=sorted(CODINGS), help="label coding of the cases")
    parser.add_argument(
        "--cache", type=Path, help="folder of preprocessed cases (default: removed at the end)"
    )
    parser.add_argument("--patients", type=Path, help=PATIENTS_HELP)
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    text = "end when this process is gone (for programs that start this one)"
    parser.add_argument("--end-with", type=int, metavar="PID", help=text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Train, show the scores before and after, and say where the model is."""
    if options.end_with is not None:
        end_with(options.end_with)
    give_way()
    threads = wanted_threads(options, progress)
    import torch

    from scripted_models.experiments.personal_model import PersonalRun, personalise
    from scripted_models.labels import CODINGS

    if threads:
        torch.set_num_threads(threads)
    wanted = PersonalRun(
        cases=options.cases,
        model=options.model,
        output=options.output,
        progress=progress,
        seed=options.seed,
        device=options.device,
        overrides=overrides(options),
        patients=str(options.patients or ""),
        coding=CODINGS[options.coding] if options.coding else None,
        cache=options.cache,
        resume=options.resume,
    )
    scores = personalise(wanted)
    _tell(scores, options, progress)
    if not scores.is_better:
        raise scores.refusal()
    return 0


def _tell(scores: "BeforeAfter", options: argparse.Namespace, progress: Progress) -> None:
    """Print the scores; programs get them as an event."""
    facts = {**scores.facts, "model": str(options.output) if scores.is_better else None}
    progress.result(**facts, table=scores.table())
    if options.progress != "json":
        say(scores.table())
    if scores.is_better:
        for sentence in scores.doubts:
            progress.warning(sentence)
        progress.message(f"model: {options.output}")


def overrides(options: argparse.Namespace) -> list[str]:
    """Return the settings that options state, as --set has them."""
    stated = [override for group in options.set for override in group]
    if options.patients:
        stated.append(f"data.patients={json.dumps(str(options.patients))}")
    if options.epochs is not None:
        stated.append(f"training.phase1.epochs={options.epochs}")
    return stated
