"""Labels of an imported model of nnU-Net beside those of nnU-Net's own predictor.

nnU-Net must be installed in an environment of its own that sees this program's packages:

    python -m venv ENV
    echo $(.venv/bin/python -c "import torch; print(torch.__path__[0] + '/..')") > \\
        $(ENV/bin/python -c "import site; print(site.getsitepackages()[0])")/linked.pth
    ENV/bin/pip install --no-deps nnunetv2 batchgenerators batchgeneratorsv2 acvl-utils blosc2 ...
    ENV/bin/python benchmarks/foreign_models.py FOLDER CASE ...

(`--no-deps`, because it would bring another PyTorch; an import error names what is missing.)
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from scripted_models.brain_mask import brain_mask
from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.importers.answers import Answers
from scripted_models.bundle.registry import import_model
from scripted_models.bundle.weights import Model, load_model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.labels import EDEMA, ENHANCING
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.transforms.volume_networks import RegionOutputs


def main() -> None:
    """Print the share of voxels of each case whose labels agree."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("cases", type=Path, nargs="+", help="folders of cases, without skulls, LPS")
    parser.add_argument("--fold", default="", help="default: the mean of all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SCRIPTED_MODELS_HOME"] = home
        imported = import_model(options.model, "compared", Answers(fold=options.fold))
        model = load_model(str(imported.folder))
    print("case, labels that agree: of all voxels, of the brain, of tumor; voxels of each label")
    for folder in options.cases:
        (case,) = find_cases(folder)
        ours = Segmenter(model, "cpu").segment(case, Progress()).labels
        theirs, brain = predicted(case, model, options.model, options.fold)
        same, tumor = ours == theirs, (ours > 0) | (theirs > 0)
        shares = [np.mean(same), np.mean(same[brain]), np.mean(same[tumor])]
        shown = ", ".join(f"{100 * share:.4f} %" for share in shares)
        print(f"{case.name}: {shown}; {np.bincount(theirs.ravel()).tolist()}", flush=True)


def predicted(case: Case, model: Model, folder: Path, fold: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of nnU-Net's predictor as internal ones, and the brain."""
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    folds = [fold] if fold else [path.name.removeprefix("fold_") for path in folder.glob("fold_*")]
    chosen = tuple(name if name == "all" else int(name) for name in sorted(folds))
    predictor.initialize_from_trained_model_folder(str(folder), chosen)
    files = [str(case.images[name].path) for name in model.description.sequences]
    image, facts = SimpleITKIO().read_images(files)
    labels = predictor.predict_single_npy_array(image, facts)
    brain = brain_mask(image)
    return internal_labels(model.description, folder)[labels] * brain, brain


def internal_labels(description: ModelDescription, folder: Path) -> np.ndarray:
    """Return the internal label of each label of the data set, in their order."""
    outputs = description.network_outputs
    if not isinstance(outputs, RegionOutputs):
        return np.array(outputs.order, np.uint8)
    written = json.loads((folder / "dataset.json").read_text())["regions_class_order"]
    meant = {"WT": EDEMA, "TC": outputs.core, "ET": ENHANCING}
    found = np.zeros(max(written) + 1, np.uint8)
    found[written] = [meant[region] for region in outputs.order]
    return found


if __name__ == "__main__":
    main()
