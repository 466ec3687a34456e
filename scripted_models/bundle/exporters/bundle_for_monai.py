"""A MONAI bundle that MONAI runs without this program.

    configs/metadata.json   what it is, whole volumes in, probabilities of labels out
    configs/inference.json  a run with MONAI's own transforms, inferer and evaluator
    models/model.ts         the whole model in TorchScript; both files above lie in it as well
    docs/README.md          the model card

Published loaders look for these names: `monai.bundle` for the run, MONAI Label for `preprocessing`,
`inferer`, `postprocessing` and a `model.ts` where there is no `model.pt`, MONAI Deploy for the two
configurations inside of the TorchScript file.
"""

import json
from pathlib import Path
from typing import Any

import torch

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.exporters.traced_network import TracedNetwork
from scripted_models.bundle.exporters.whole_volume import whole_volume
from scripted_models.bundle.monai_files import RUNNER, bundle_facts, patch
from scripted_models.bundle.weights import Model
from scripted_models.errors import ModelError
from scripted_models.labels import REGIONS
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.region_thresholds import ESTIMATED_DICE, decision_expression
from scripted_models.transforms.steps import InsideBrain

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
FILE = "models/model.ts"
EDGE = 32  # voxels of the volume that metadata.json describes
HALF = 0.5  # least probability of a region where a model chooses it in each image

Json = dict[str, Any]


def write_bundle(folder: Path, model: Model, network: TracedNetwork) -> None:
    """Write the files of a bundle.

    Args:
        folder: that exists.
        model: of brains.
        network: its network, traced.

    Raises:
        ModelError: a step, windows or regions that a bundle cannot have.
    """
    whole = whole_volume(model, network)
    configs = {METADATA: _metadata(model), INFERENCE: inference_of(model.description)}
    texts = {name: json.dumps(content, indent=2) + "\n" for name, content in configs.items()}
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / FILE).parent.mkdir()
    extra = {Path(name).name: text for name, text in texts.items()}
    torch.jit.save(whole, folder / FILE, _extra_files=extra)  # of a file named model


def use_of(model: Model) -> str:
    """Return the section of the card about the bundle."""
    lines = "\n".join(f"- {sentence}" for sentence in _not_in_bundle(model))
    return f"{_USE}\n\nWhat `scripted-models segment` does beyond it:\n\n{lines}"


def _not_in_bundle(model: Model) -> list[str]:
    description = model.description
    left = [step.step for step in description.postprocessing if not isinstance(step, InsideBrain)]
    chosen = [str(region) for region, s in description.decision.items() if s == ESTIMATED_DICE]
    sentences = [
        "It tells what is doubtful about the volumes, and looks for parts of the head that "
        "a field of view cuts off."
    ]
    if description.training_space.tolerance:
        sentences.append("It leaves volumes as they are whose spacing is nearly that of training.")
    if chosen:
        sentences.append(
            f"It chooses the least probability of {', '.join(chosen)} in each image; here it is "
            f"{HALF}."
        )
    if description.crf:
        sentences.append("It runs the dense CRF.")
    if left:
        sentences.append(f"It takes the steps {', '.join(left)} after the labels are decided.")
    return sentences


def _metadata(model: Model) -> Json:
    description = model.description
    names = [description.labels[label] for label in description.known_labels]
    kind, shape = {"type": "image", "modality": "MR", "dtype": "float32"}, [EDGE] * 3
    seen = {**kind, **patch("magnitude", shape, list(SEQUENCES)), "is_patch_data": False}
    given = {**kind, **patch("probabilities", shape, names), "is_patch_data": False}
    given["value_range"] = [0, 1]
    return {
        **bundle_facts(description, names),
        "required_packages_version": {"nibabel": "3.2.1", **RUNNER},
        "network_data_format": {"inputs": {"image": seen}, "outputs": {"pred": given}},
    }


def inference_of(description: ModelDescription) -> Json:
    """Return how MONAI segments the cases of a list, with what MONAI has."""
    space = description.training_space
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": ".",
        "data_list": "$@dataset_dir + '/cases.json'",
        "output_dir": "segmentations",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device)",
        "network": "$@network_def.to(@device)",
        "preprocessing": _compose(
            _step("LoadImaged", keys="image", ensure_channel_first=True),
            _step("Orientationd", keys="image", axcodes=space.orientation),
            _step(
                "Spacingd",
                keys="image",
                pixdim=[mm or -1 for mm in space.spacing_xyz_mm],
                mode="bilinear",
                scale_extent=True,  # from edge to edge, as `TrainingSpace` does
            ),
            _step("EnsureTyped", keys="image", dtype="$torch.float32"),
        ),
        "dataset": {
            "_target_": "monai.data.Dataset",
            "data": {
                "_target_": "monai.data.load_decathlon_datalist",
                "data_list_file_path": "@data_list",
                "data_list_key": "testing",
                "base_dir": "@dataset_dir",
            },
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "monai.data.DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "num_workers": 0,
        },
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
        "postprocessing": _compose(
            _step(
                "Invertd",
                keys="pred",
                transform="@preprocessing",
                orig_keys="image",
                nearest_interp=False,
                to_tensor=True,
            ),
            _step("Lambdad", keys="pred", func=f"$lambda p: {_labels(description)}"),
            _step(
                "SaveImaged",
                keys="pred",
                output_dir="@output_dir",
                output_postfix="seg",
                output_dtype="$torch.uint8",
                resample=False,
            ),
        ),
        "evaluator": {
            "_target_": "monai.engines.SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
    }


def _labels(description: ModelDescription) -> str:
    """Return the decision as an expression of probabilities p (labels, x, y, z), for MONAI."""
    least = {
        str(region): HALF if share == ESTIMATED_DICE else float(share)
        for region, share in description.decision.items()
    }
    if others := sorted(set(least) - set(REGIONS)):
        raise ModelError(
            found=f"a decision on {', '.join(others)}",
            expected=f"one on {', '.join(REGIONS)}",
            action="export the network itself with --format torchscript or onnx",
        )
    return decision_expression(description.known_labels, least)


def _compose(*transforms: Json) -> Json:
    return {"_target_": "monai.transforms.Compose", "transforms": list(transforms)}


def _step(name: str, **arguments: Any) -> Json:
    return {"_target_": f"monai.transforms.{name}", **arguments}


_USE = """## With MONAI

This folder is a MONAI bundle for MONAI alone. `models/model.ts` is the whole model: volumes of T1,
T1c, T2 and FLAIR in (N, 4, x, y, z), skull-stripped, 0 outside of the brain, oriented and spaced as
`configs/inference.json` has it; probabilities of the labels out. With `nibabel`, `pytorch-ignite`
and `fire` installed, run in it:

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir CASES \\
        --output_dir OUT

`CASES/cases.json` names the volumes, in the order T1, T1c, T2, FLAIR:

    {"testing": [{"image": ["a/t1.nii.gz", "a/t1c.nii.gz", "a/t2.nii.gz", "a/flair.nii.gz"]}]}

A TorchScript file is a program, and the configuration has expressions that MONAI evaluates. Run
bundles that you trust."""
