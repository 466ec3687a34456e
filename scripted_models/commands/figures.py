"""`scripted-models figures`: the paper's figures, learning curves and diagrams of the networks."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_models.errors import InputError
from scripted_models.runtime.progress import FORMATS, Progress

if TYPE_CHECKING:  # `--help` imports neither torch nor matplotlib
    from matplotlib.figure import Figure

    from scripted_models.bundle.weights import Model
    from scripted_models.labels import LabelCoding
    from scripted_models.reporting.figures.shown_case import ShownCase

_LARGEST_COUNT = 12  # slices in one figure


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the sub-command with one sub-command for each kind of figure."""
    parser = subparsers.add_parser("figures", help="draw figures of models, runs and cases")
    kinds = parser.add_subparsers(metavar="KIND", required=True)
    _add_filters(kinds)
    _add_progression(kinds)
    _add_methods(kinds)
    _add_views(kinds)
    _add_pictures(kinds)
    _add_curves(kinds)
    _add_architecture(kinds)


def _add_filters(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("filters", help="first-layer filters (figure 5)")
    parser.add_argument("--model", default="TwoPathCNN", help="name or path of a model")
    _add_output(parser, "file, or a folder for one file per path", _filters)


def _add_progression(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("progression", help="one slice over the epochs of a run (figure 6)")
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        help="what `train` wrote, with snapshots",
        dest="run_folder",
    )
    _add_case(parser)
    parser.add_argument(
        "--slice",
        type=int,
        metavar="Z",
        help="axial slice, 1 is the lowest (default: the one with most tumor)",
    )
    _add_output(parser, "file", _progression)


def _add_methods(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("methods", help="models side by side on axial slices (figure 7)")
    parser.add_argument("--model", nargs="+", default=["default"], help="names or paths of models")
    _add_case(parser)
    parser.add_argument("--slices", type=int, default=3, help="how many (default 3)")
    _add_output(parser, "file", _methods)


def _add_views(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("views", help="three planes through the tumor (figures 8 and 9)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--model", default="default", help="name or path of a model")
    source.add_argument("--segmentation", type=Path, metavar="FILE", help="what `segment` wrote")
    _add_case(parser)
    _add_output(parser, "file", _views)


def _add_pictures(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("pictures", help="methods side by side on pictures of PASCAL VOC")
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="label maps NAME.png, one folder a method",
    )
    parser.add_argument("--voc", type=Path, required=True, help="folder VOC20xx")
    parser.add_argument("--split", default="val", help="list of images (default val)")
    parser.add_argument(
        "--order",
        choices=("list", "best", "worst"),
        default="list",
        help="the first ones, or those of the highest or least mean IU of the last method",
    )
    parser.add_argument("--count", type=int, default=4, help="how many (default 4)")
    _add_output(parser, "file", _pictures)


def _add_curves(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("curves", help="loss and Dice over the epochs of runs")
    parser.add_argument(
        "--run", type=Path, required=True, nargs="+", help="what `train` wrote", dest="run_folders"
    )
    _add_output(parser, "file", _curves)


def _add_architecture(kinds: _SubParsersAction[ArgumentParser]) -> None:
    parser = kinds.add_parser("architecture", help="diagrams of networks, drawn from the code")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: all")
    _add_output(parser, "file, or a folder for one file per network", _architecture)


def _add_case(parser: ArgumentParser) -> None:
    from scripted_models.labels import CODINGS

    parser.add_argument("--case", type=Path, required=True, help="folder of one case")
    parser.add_argument(
        "--coding", choices=sorted(CODINGS), help="label coding of the ground truth"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_output(
    parser: ArgumentParser, what: str, run: Callable[[Namespace, Progress], int]
) -> None:
    parser.add_argument("--output", type=Path, required=True, help=f"{what}; .png, .pdf or .svg")
    parser.add_argument("--progress", choices=FORMATS, default="bar")
    parser.set_defaults(run=run)


def _filters(options: Namespace, progress: Progress) -> int:
    from scripted_models.bundle.weights import load_model
    from scripted_models.reporting.figures.first_layer_filters import draw_filters, find_filters

    model = load_model(options.model)
    banks = find_filters(model)
    if _is_file_name(options.output):
        return _save(draw_filters(banks, model.name), options.output, progress)
    for bank in banks:
        name = f"{bank.path.replace(' ', '_')}.png"
        _save(draw_filters([bank], model.name), options.output / name, progress)
    return 0


def _progression(options: Namespace, progress: Progress) -> int:
    from scripted_models.reporting.figures.canvas import check_output
    from scripted_models.reporting.figures.progression import draw_progression, find_snapshots
    from scripted_models.reporting.figures.shown_case import chosen_slice

    check_output(options.output)
    find_snapshots(options.run_folder)
    models, case = _load([str(options.run_folder / "model")], options, progress)
    z = None if options.slice is None else chosen_slice(options.slice, case)
    progress.stage("network", 0.2)
    figure = draw_progression(
        options.run_folder, models[0], case, z, lambda done: progress.update(0.2 + 0.8 * done)
    )
    return _save(figure, options.output, progress)


def _methods(options: Namespace, progress: Progress) -> int:
    from scripted_models.reporting.figures.canvas import check_output
    from scripted_models.reporting.figures.methods import draw_methods

    check_output(options.output)
    _check_count("--slices", options.slices)
    models, case = _load(options.model, options, progress)
    progress.stage("network", 0.2)
    figure = draw_methods(
        models, case, options.slices, lambda done: progress.update(0.2 + 0.8 * done)
    )
    return _save(figure, options.output, progress)


def _pictures(options: Namespace, progress: Progress) -> int:
    from scripted_models.reporting.figures.canvas import check_output
    from scripted_models.reporting.figures.picture_methods import (
        chosen_images,
        draw_picture_methods,
    )
    from scripted_models.tasks.voc.image_lists import voc_images

    check_output(options.output)
    _check_count("--count", options.count)
    images = voc_images(options.voc, options.split)
    shown = chosen_images(images, options.predictions[-1], options.order, options.count)
    return _save(draw_picture_methods(shown, options.predictions), options.output, progress)


def _check_count(option: str, count: int) -> None:
    if not 1 <= count <= _LARGEST_COUNT:
        raise InputError(
            found=f"{option} {count}",
            expected=f"1 to {_LARGEST_COUNT}",
            action="choose a number that a page holds",
        )


def _views(options: Namespace, progress: Progress) -> int:
    from scripted_models.reporting.figures.canvas import check_output
    from scripted_models.reporting.figures.shown_case import only_case, read_shown_case
    from scripted_models.reporting.figures.views import (
        draw_views,
        segmentation_by,
        segmentation_from,
    )
    from scripted_models.segmentation.segmenter import Segmenter

    check_output(options.output)
    progress.stage("read", 0.0)
    case = only_case(options.case)
    shown = read_shown_case(case, coding=_coding(options))
    if options.segmentation:
        labels, name = segmentation_from(options.segmentation, case, shown), "segmentation"
    else:
        segmenter = Segmenter.load(options.model, options.device)
        labels = segmentation_by(segmenter, case, shown, progress)
        name = segmenter.model.name
    return _save(draw_views(shown, labels, name), options.output, progress)


def _curves(options: Namespace, progress: Progress) -> int:
    from scripted_models.reporting.figures.curves import draw_curves, read_run

    runs = [read_run(folder) for folder in options.run_folders]
    return _save(draw_curves(runs), options.output, progress)


def _architecture(options: Namespace, progress: Progress) -> int:
    import torch

    from scripted_models.networks import NETWORKS, build_network
    from scripted_models.reporting.figures.architecture import draw_architecture

    known = [name for name, entry in NETWORKS.items() if not entry.needs or find_spec(entry.needs)]
    names = options.networks or known
    for name in [] if options.networks else sorted(set(NETWORKS) - set(known)):
        progress.warning(f"{name} is left out, for it needs the package '{NETWORKS[name].needs}'.")
    with torch.device("meta"):  # nothing is allocated
        networks = {name: build_network(name) for name in names}
    one_file = _is_file_name(options.output)
    if one_file and len(networks) > 1:
        raise InputError(
            path=options.output,
            found=f"a file name for {len(networks)} networks",
            expected="a folder",
            action="leave out the suffix of --output",
        )
    for done, (name, network) in enumerate(networks.items()):
        progress.stage(name, done / len(networks))
        path = options.output if one_file else options.output / f"{name}.png"
        _save(draw_architecture(name, network, NETWORKS[name].source), path, progress)
    return 0


def _load(
    names: Sequence[str], options: Namespace, progress: Progress
) -> tuple[list[Model], ShownCase]:
    """Load models onto the device, and the case in their space."""
    from scripted_models.bundle.weights import load_model
    from scripted_models.inference import place_network
    from scripted_models.reporting.figures.shown_case import only_case, read_shown_case

    progress.stage("read", 0.0)
    models = [load_model(name) for name in names]
    for model in models:
        place_network(model.network, options.device)
    case = only_case(options.case)
    return models, read_shown_case(case, models[0].space, _coding(options))


def _coding(options: Namespace) -> LabelCoding | None:
    from scripted_models.labels import CODINGS

    return CODINGS[options.coding] if options.coding else None


def _is_file_name(path: Path) -> bool:
    return bool(path.suffix) and not path.is_dir()


def _save(figure: Figure, path: Path, progress: Progress) -> int:
    from scripted_models.reporting.figures.canvas import save_figure

    save_figure(figure, path)
    progress.result(figure=str(path), text=f"figure: {path}")
    return 0
