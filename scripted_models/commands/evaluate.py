"""`scripted-models evaluate`: predictions against expert labels."""

from pathlib import Path

from scripted_models.progress import FORMATS, Progress


def add_parser(subparsers) -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    parser = subparsers.add_parser("evaluate", help="score predictions against expert labels")
    parser.add_argument("--predictions", type=Path, required=True, help="what `segment` wrote")
    parser.add_argument("--truth", type=Path, required=True, help="folder of cases with label maps")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for metrics.csv and .json"
    )
    parser.add_argument("--coding", choices=sorted(CODINGS), help="label coding of the truth")
    parser.add_argument("--prediction-coding", choices=sorted(CODINGS),
                        help="label coding of the predictions (default: internal labels 0-4)")  # fmt: skip
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options, progress: Progress) -> int:
    """Score all cases, write the metrics and print them beside the paper's."""
    from scripted_models.evaluation.folders import comparison_table, evaluate_folders
    from scripted_models.labels import CODINGS

    progress.stage("score", 0.0)
    evaluation = evaluate_folders(
        options.predictions,
        options.truth,
        options.output,
        truth_coding=CODINGS[options.coding] if options.coding else None,
        prediction_coding=CODINGS[options.prediction_coding] if options.prediction_coding else None,
        on_case=lambda done, total, name: progress.update(done / total),
    )
    print(comparison_table(evaluation))
    return 0
