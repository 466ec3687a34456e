"""`scripted-models predict-voc`: label maps of pictures by a network that was trained on PASCAL VOC."""

from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress


def add_parser(subparsers) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("predict-voc", help="write label maps of pictures of PASCAL VOC")
    parser.add_argument("--model", required=True, help="folder of a model that was trained on VOC")
    parser.add_argument("--voc", type=Path, required=True, help="folder VOC20xx")
    parser.add_argument("--split", default="",
                        help="list of images (val, or a file; default: all with labels)")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="receives NAME.png")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0],
                        help="sizes of the picture whose probabilities are averaged")  # fmt: skip
    parser.add_argument("--overlays", action="store_true",
                        help="also draw them over the pictures, in the folder overlays")  # fmt: skip
    parser.add_argument("--crf", action="store_true",
                        help="run a dense CRF on the probabilities, also where the model has none")  # fmt: skip
    parser.add_argument("--probabilities", action="store_true",
                        help="also write probabilities/NAME.npy (classes, rows, columns)")  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def run(options, progress: Progress) -> int:
    """Predict all images of the list."""
    if min(options.scales) <= 0:
        raise InputError(f"--scales: found {min(options.scales):g}, expected factors above 0.")
    from scripted_models.bundle.weights import load_model
    from scripted_models.inference import place_network
    from scripted_models.networks.crf.refinement import build_crf, refine
    from scripted_models.runtime.atomic_files import make_folder, only_writer
    from scripted_models.tasks.voc.classes import CLASSES
    from scripted_models.tasks.voc.image_lists import find_voc, voc_images
    from scripted_models.tasks.voc.masks import read_image, write_mask, write_overlay
    from scripted_models.tasks.voc.prediction import predict_picture, scaled, write_probabilities

    images = voc_images(options.voc, options.split, with_masks=False)
    root = find_voc(options.voc).resolve()
    if root in (options.output.resolve(), *options.output.resolve().parents):
        raise InputError(
            f"--output {options.output}: lies in the folder of VOC, where label maps would replace its own; "
            "choose another folder."
        )
    model = load_model(options.model, task="voc")
    _, reason = place_network(model.network, options.device)
    progress.message(f"model {model.name} on {reason}")
    scale = model.description.image_scale
    crf = model.crf or (build_crf(len(CLASSES), {}, "voc") if options.crf else None)
    with only_writer(options.output) as output:
        for done, image in enumerate(images, start=1):
            picture = read_image(image.picture)
            probabilities = predict_picture(model.network, scaled(picture, scale), options.scales)
            if options.probabilities:
                write_probabilities(
                    make_folder(output / "probabilities") / f"{image.name}.npy", probabilities
                )
            if crf is not None:
                probabilities = refine(crf, probabilities, picture.transpose(2, 0, 1))
            indices = probabilities.argmax(axis=0)
            write_mask(output / f"{image.name}.png", indices)
            if options.overlays:
                write_overlay(
                    make_folder(output / "overlays") / f"{image.name}.png", picture, indices
                )
            progress.update(done / len(images))
    progress.result(predictions=str(output), text=f"{len(images)} label maps: {output}")
    return 0
