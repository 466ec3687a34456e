"""`scripted-models evaluate`: predictions against ground truth, of brains or of PASCAL VOC."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress
from scripted_models.runtime.standard_streams import say


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    from scripted_models.labels import CODINGS

    parser = subparsers.add_parser("evaluate", help="score predictions against ground truth")
    parser.add_argument(
        "--predictions",
        type=Path,
        required=True,
        help="what `segment` wrote; for VOC a folder of NAME.png",
    )
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--truth", type=Path, help="folder of cases with ground truth")
    truth.add_argument("--voc", type=Path, help="folder VOC20xx of PASCAL VOC: its four metrics")
    parser.add_argument(
        "--split", default="", help="VOC: list of images (val, seg11valid, a file; default: all)"
    )
    parser.add_argument("--sbd", type=Path, help="VOC: folder of SBD, which seg11valid needs")
    parser.add_argument(
        "--overlays",
        action="store_true",
        help="VOC: write the pictures with the predictions laid over them",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the metrics")
    parser.add_argument(
        "--coding", choices=sorted(CODINGS), help="label coding of the ground truth"
    )
    parser.add_argument(
        "--prediction-coding",
        choices=sorted(CODINGS),
        help="label coding of the predictions, where no file states it (default: internal labels)",
    )
    parser.add_argument(
        "--lesion-wise",
        action="store_true",
        help="add lesion-wise Dice and HD95, and HD95, as the BraTS 2023 challenge defines them",
    )
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Score all cases or images, write the metrics and print them beside the papers'."""
    _refuse_run_as_output(options.output)
    progress.stage("score", 0.0)
    if options.voc and options.lesion_wise:
        raise InputError(
            found="--lesion-wise with --voc", expected="it with --truth only", action="leave it out"
        )
    if options.voc:
        return _voc(options, progress)
    if options.split or options.sbd or options.overlays:
        raise InputError(
            found="--split, --sbd or --overlays without --voc",
            expected="them with --voc only",
            action="leave them out",
        )
    from scripted_models.evaluation.folder_scores import comparison_table, evaluate_folders
    from scripted_models.labels import CODINGS

    evaluation = evaluate_folders(
        options.predictions,
        options.truth,
        options.output,
        truth_coding=CODINGS[options.coding] if options.coding else None,
        prediction_coding=CODINGS[options.prediction_coding] if options.prediction_coding else None,
        lesion_wise=options.lesion_wise,
        on_case=lambda done, total, name: progress.update(done / total),
    )
    for text in evaluation.warnings:
        progress.warning(text)
    _tell(comparison_table(evaluation), options, progress)
    return 0


def _refuse_run_as_output(output: Path) -> None:
    """Refuse the folder of a training run, whose metrics.csv would be replaced."""
    if not output.exists():
        return
    from scripted_models.training.checkpoint import FILE_NAME

    if (output / FILE_NAME).exists():
        raise InputError(
            found="a training run, whose metrics.csv the scores would replace",
            expected="another folder for the scores",
            action="choose another --output",
            path=output,
        )


def _refuse_inputs_as_overlays(folder: Path, inputs: Iterable[Path]) -> None:
    """Refuse to draw overlays over pictures and label maps of the same names."""
    from scripted_models.runtime.file_identity import is_same_file

    for path in dict.fromkeys(inputs):
        if is_same_file(folder, path):
            raise InputError(
                found="inputs where the overlays would lie",
                expected="an --output where they replace nothing",
                action="choose another folder",
                path=folder,
            )


def _tell(table: str, options: argparse.Namespace, progress: Progress) -> None:
    """Print the table; programs get it as an event."""
    progress.result(output=str(options.output), table=table)
    if options.progress != "json":
        say(table)


def _voc(options: argparse.Namespace, progress: Progress) -> int:
    from scripted_models.runtime.atomic_files import make_folder
    from scripted_models.tasks.voc.image_lists import scored_images
    from scripted_models.tasks.voc.masks import read_mask, write_overlay
    from scripted_models.tasks.voc.picture_files import read_image
    from scripted_models.tasks.voc.scoring import comparison, evaluate_voc

    images = scored_images(options.voc, options.split, options.sbd)
    if options.overlays:
        files = [path for image in images for path in (image.picture, image.label_map)]
        inputs = [options.predictions, *(path.parent for path in files)]
        _refuse_inputs_as_overlays(options.output / "overlays", inputs)
    scores = evaluate_voc(
        options.predictions,
        images,
        options.output,
        on_image=lambda done, total, name: progress.update(done / total),
    )
    for image in images if options.overlays else ():
        path = make_folder(options.output / "overlays") / f"{image.name}.png"
        predicted = read_mask(options.predictions / f"{image.name}.png")
        write_overlay(path, read_image(image.picture), predicted)
    table = comparison(scores, len(images), options.predictions.resolve().name)
    _tell(table, options, progress)
    return 0
