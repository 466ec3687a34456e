"""`scripted-models predict-voc`: label maps of pictures by a network trained on PASCAL VOC."""

import argparse
import os
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress

LARGEST_SCALE = 10


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("predict-voc", help="write label maps of pictures of PASCAL VOC")
    parser.add_argument("--model", required=True, help="folder of a model that was trained on VOC")
    parser.add_argument("--voc", type=Path, required=True, help="folder VOC20xx")
    parser.add_argument(
        "--split", default="", help="list of images (val, or a file; default: all with labels)"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="receives NAME.png, and predictions.json"
    )
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        default=[1.0],
        help="sizes of the picture whose probabilities are averaged",
    )
    parser.add_argument(
        "--overlays",
        action="store_true",
        help="also draw them over the pictures, in the folder overlays",
    )
    parser.add_argument(
        "--crf",
        action="store_true",
        help="run a dense CRF on the probabilities, also where the model has none",
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="also write probabilities/NAME.npy (classes, rows, columns)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Predict all images of the list."""
    if not all(0 < scale <= LARGEST_SCALE for scale in options.scales):  # NaN neither
        raise InputError(
            found=f"--scales {' '.join(f'{scale:g}' for scale in options.scales)}",
            expected=f"factors above 0, at most {LARGEST_SCALE}",
            action="correct it",
        )
    from scripted_models.bundle.weights import load_model
    from scripted_models.inference import place_network
    from scripted_models.runtime.atomic_files import make_folder, only_writer
    from scripted_models.tasks.voc.image_lists import find_voc, voc_images
    from scripted_models.tasks.voc.masks import write_mask, write_overlay
    from scripted_models.tasks.voc.picture_files import read_image
    from scripted_models.tasks.voc.prediction import PicturePredictor, write_probabilities
    from scripted_models.tasks.voc.prediction_record import PredictionRecord, entries_of

    images = voc_images(options.voc, options.split, with_masks=False)
    root, target = (Path(os.path.realpath(p)) for p in (find_voc(options.voc), options.output))
    if root in (target, *target.parents):
        raise InputError(
            found=f"--output {options.output} in the folder of VOC",
            expected="a folder where no label maps of VOC are replaced",
            action="choose another",
        )
    model = load_model(options.model, task="voc")
    _, reason = place_network(model.network, options.device)
    progress.message(f"model {model.name} on {reason}")
    predictor = PicturePredictor(model, options.scales, options.crf)
    wanted = entries_of(images, model, options.scales, options.crf)
    with only_writer(options.output) as output:
        record = PredictionRecord.of(output)
        record.refuse_others(wanted)
        record.begin(wanted)
        for done, image in enumerate(images, start=1):
            picture = read_image(image.picture)
            probabilities = predictor.probabilities(picture)
            if options.probabilities:
                folder = make_folder(output / "probabilities")
                write_probabilities(folder / f"{image.name}.npy", probabilities)
            indices = predictor.labels(picture, probabilities)
            write_mask(output / f"{image.name}.png", indices)
            if options.overlays:
                folder = make_folder(output / "overlays")
                write_overlay(folder / f"{image.name}.png", picture, indices)
            progress.update(done / len(images))
    progress.result(predictions=str(output), text=f"{len(images)} label maps: {output}")
    return 0
