"""The shipped weights on cases that they never saw: the networks of `default`, fold by fold.

Run: python benchmarks/held_out_networks.py OUTPUT --data FOLDER [--planes axial] [--sequences]
[--contrast-suppressed]

FOLDER holds the 30 cases that `default` names in its card, split as by `experiments --folds 5`.
OUTPUT receives the segmentations, and `table` the scores; a run that was stopped resumes.
`--planes axial` measures what `fast` sees; `--sequences` also leaves sequences out, every set that
the model can do with. `--contrast-suppressed` takes contrast-suppressed copies of the cases: what
is called enhancing in them is wrong.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.bundle.description import NetworkDescription
from scripted_models.bundle.weights import Model, load_model, write_model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError
from scripted_models.evaluation.folder_scores import (
    evaluate_folders,
    join_evaluations,
    write_reports,
)
from scripted_models.experiments.ablation import (
    ALL,
    dice_by_set,
    score_incomplete,
    write_sequence_table,
)
from scripted_models.experiments.cross_validation import folds_of
from scripted_models.images.volume_files import write_labels
from scripted_models.labels import encode_labels
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.atomic_files import make_folder
from scripted_models.runtime.progress import BarProgress
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_split import usable_cases
from scripted_models.tasks.brains.contrast_suppression import remove_enhancement
from scripted_models.tasks.brains.shared_batch import segment_shared
from scripted_models.tasks.list_run import ListRun


def main(arguments: list[str] | None = None) -> int:
    """Segment, score and write the tables."""
    options = _parse(arguments)
    ensemble = load_model("default")
    folds = folds_of(options.data, len(members(ensemble)))
    _refuse_other_cases(ensemble, folds)
    found = usable_cases(options.data)
    data = options.data
    if options.contrast_suppressed:
        data = options.output / "copies"
        found = {name: contrast_suppressed_copy(case, data / name) for name, case in found.items()}
    run = ListRun(data, options.output, BarProgress(sys.stderr))
    parts: dict[str, list] = {}
    for index, (fold, names) in enumerate(folds.items()):
        model = member(ensemble, index, options.planes, options.output / fold / "model")
        cases = [found[name] for name in names]
        place = options.output / fold / ALL
        segmenter = Segmenter(model)
        segment_shared(segmenter, cases, place, run.progress)
        scores = {ALL: evaluate_folders(place, data, only=names)}
        if options.sequences:
            scores |= score_incomplete(segmenter, cases, options.output / fold, run)
        for key, evaluation in scores.items():
            parts.setdefault(key, []).append(evaluation)
    joined = {key: join_evaluations(key, of_folds) for key, of_folds in parts.items()}
    table = options.output / "table"
    write_reports(joined[ALL], table)
    if options.sequences:
        write_sequence_table(joined, table, "held_out")
    print(json.dumps(dice_by_set(joined), indent=2))
    return 0


def members(ensemble: Model) -> list[SliceNetwork]:
    """Return the networks of an ensemble."""
    networks = ensemble.network.get_submodule("members").children()
    return [network for network in networks if isinstance(network, SliceNetwork)]


def member(ensemble: Model, index: int, planes: list[str], folder: Path) -> Model:
    """Write one network of an ensemble as a model folder of its own, and load it."""
    network = members(ensemble)[index]
    arguments = {"planes": planes} if planes else {}
    stated = NetworkDescription(type(network).__name__, arguments)
    name = f"member{index + 1}"
    write_model(folder, network, replace(ensemble.description, name=name, network=stated))
    return load_model(str(folder))


def contrast_suppressed_copy(case: Case, folder: Path) -> Case:
    """Write a contrast-suppressed copy of a case, under the same file names; return it."""
    images = {m: case.images[m].read() for m in SEQUENCES}
    if case.truth is None or case.coding is None:
        raise InputError(found=f"no ground truth of case {case.name}", expected="one")
    labels, grid = case.read_truth()
    arrays = np.stack([sitk.GetArrayFromImage(image) for image in images.values()])
    changed, labels = remove_enhancement(arrays, labels)
    make_folder(folder)
    for (sequence, image), array in zip(images.items(), changed, strict=True):
        copy = sitk.GetImageFromArray(array)
        copy.CopyInformation(image)
        sitk.WriteImage(copy, str(folder / case.images[sequence].path.name))
    write_labels(folder / case.truth.name, encode_labels(labels, case.coding), grid)
    return usable_cases(folder.parent)[case.name]


def _refuse_other_cases(ensemble: Model, folds: Mapping[str, Sequence[str]]) -> None:
    """Refuse data whose folds are not those of the training."""
    stated, held = set(ensemble.description.dice_by_case), {n for f in folds.values() for n in f}
    if stated != held:
        raise InputError(
            found=f"{len(held)} cases, {len(held - stated)} of them unknown to the model",
            expected=f"the {len(stated)} of its card",
            action="give --data the folder that holds just these",
        )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--planes", nargs="+", default=[])
    parser.add_argument("--sequences", action="store_true")
    parser.add_argument("--contrast-suppressed", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
