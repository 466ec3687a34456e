"""The files that make a model folder a MONAI bundle: metadata.json, inference.json and LICENSE.

Stock MONAI runs inference.json (`python -m monai.bundle run`); nothing of it is read or executed
here. All that it says of the method beside the network lies in model.json.
"""

import json
from collections.abc import Mapping
from typing import Any

import monai
import numpy as np
import torch

from scripted_models import __version__
from scripted_models.bundle.description import ModelDescription
from scripted_models.networks.slice_network import SegmentationNetwork, SliceNetwork
from scripted_models.runtime.typed_tables import as_table

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
# What a run of inference.json needs beside MONAI itself, the oldest versions.
RUNNER = {"pytorch-ignite": "0.4.11", "fire": "0.4.0"}
REQUIRED = {"SimpleITK": "2.3.0", **RUNNER}
TERMS = "LICENSE"
OUTPUT_PIXELS = 64  # along an axis of the patch that metadata.json describes

Json = dict[str, Any]


def monai_files(
    description: ModelDescription, network: SegmentationNetwork, terms: str = ""
) -> dict[str, bytes]:
    """Return the files, path inside the folder -> content.

    Args:
        description: of the model.
        network: of the model.
        terms: text of LICENSE; by default that of a model that this program trained.
    """
    is_brains = description.task == "brains"
    configs = {
        "configs/metadata.json": _metadata(description, network),
        "configs/inference.json": (_inference if is_brains else _network)(description),
    }
    files = {
        name: json.dumps(content, indent=2).encode() + b"\n" for name, content in configs.items()
    }
    if description.origin is not None and not terms:
        terms = NO_TERMS
    return {**files, TERMS: (terms or _LICENSE).encode()}


def _metadata(description: ModelDescription, network: SegmentationNetwork) -> Json:
    is_brains = description.task == "brains"
    names = [description.labels[label] for label in description.known_labels]
    kind = {"type": "image", "modality": "MR" if is_brains else "n/a", "dtype": "float32"}
    channels = channel_names(description, network)
    shape = [OUTPUT_PIXELS] * network.dimensions
    seen = patch("magnitude", [n + sum(network.margins) for n in shape], channels)
    outputs = description.network_outputs
    if outputs.kind == "regions":
        names = [str(region) for region in outputs.order]
    return {
        **bundle_facts(description, names),
        "required_packages_version": {"scripted_models": __version__, **REQUIRED},
        "network_data_format": {
            "inputs": {"image": {**kind, **seen}},
            "outputs": {"pred": {**kind, **patch("labels", shape, names)}},
        },
    }


def bundle_facts(description: ModelDescription, names: list[str]) -> Json:
    """Return what metadata.json says, but for packages and the network's data.

    Args:
        description: of the model.
        names: of the outputs.
    """
    is_brains, origin = description.task == "brains", description.origin
    return {
        "schema": SCHEMA,
        "version": description.version,
        "changelog": {description.version: "first version"},
        "monai_version": monai.__version__,
        "pytorch_version": str(torch.__version__).split("+")[0],
        "numpy_version": np.__version__,
        "name": description.name,
        "task": "Brain tumor segmentation in four MRI sequences"
        if is_brains
        else "Segmentation of pictures",
        "description": description.summary or description.name,
        "authors": _OURS if origin is None else origin.authors or "not stated",
        "copyright": f"Copyright {_OURS}" if origin is None else origin.copyright or "not stated",
        "intended_use": "Research only; not for diagnosis or treatment.",
        "data_source": origin.source if origin else description.training.statement,
        "data_type": "NIfTI, MetaImage, NRRD" if is_brains else "JPEG, PNG",
        "image_classes": ", ".join(description.channels),
        "label_classes": ", ".join(f"{k} {v}" for k, v in sorted(description.labels.items())),
        "pred_classes": ", ".join(names),
        "eval_metrics": _scores(description),
    }


def patch(meaning: str, shape: list[int], channels: list[str]) -> Json:
    """Return what metadata.json says of a patch that the network takes or gives."""
    return {
        "format": meaning,
        "num_channels": len(channels),
        "spatial_shape": shape,
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(index): name for index, name in enumerate(channels)},
    }


def channel_names(description: ModelDescription, network: SegmentationNetwork) -> list[str]:
    """Return the names of a network's input channels, and which slice, where there are several."""
    names = description.sequences if description.task == "brains" else description.channels
    if not isinstance(network, SliceNetwork):
        return list(names)
    around = range(-network.context_slices, network.context_slices + 1)
    places = [f" (slice {offset:+d})" if offset else "" for offset in around]
    return [name + place for name in names for place in places]


def _scores(description: ModelDescription) -> dict[str, float]:
    """Return the Dice of the first protocol by region."""
    first = next(iter(description.scores.values()), {})
    return {f"dice_{region}": scores.dice for region, scores in first.items()}


def _network(description: ModelDescription) -> Json:
    """Return how MONAI builds the network."""
    stated = description.network
    build = "scripted_models.networks.build_network"
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": build, "name": stated.name, **stated.arguments},
        "network": "$@network_def.to(@device)",
    }


def _inference(description: ModelDescription) -> Json:
    """Return how MONAI segments the cases of a folder."""
    return {
        **_network(description),
        "dataset_dir": "cases",
        "output_dir": "segmentations",
        "coding": "internal",
        "model": {
            "_target_": f"{_TRANSFORMS}.read_model",
            "bundle_root": "@bundle_root",
            "network": "@network_def",
        },
        "preprocessing": _compose(_step("LoadCased"), _step("PrepareCased")),
        "dataset": {
            "_target_": "monai.data.Dataset",
            "data": {"_target_": f"{_TRANSFORMS}.case_items", "dataset_dir": "@dataset_dir"},
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "monai.data.DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "num_workers": 0,
        },
        "inferer": {
            "_target_": "scripted_models.inference.brain_inferer.BrainInferer",
            **_windows(description),
        },
        "postprocessing": _compose(
            _step("ToInputGridd"),
            _step("DecideLabelsd"),
            {
                "_target_": f"{_TRANSFORMS}.SaveLabelsd",
                "output_dir": "@output_dir",
                "coding": "@coding",
            },
        ),
        "handlers": [
            {
                "_target_": "monai.handlers.CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
        "evaluator": {
            "_target_": "monai.engines.SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "prepare_batch": {
                "_target_": "monai.engines.PrepareBatchExtraInput",
                "extra_keys": {"brain": "brain"},
            },
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _windows(description: ModelDescription) -> Json:
    """Return what the inferer must know of a network of volumes."""
    if description.sliding_window is None:
        return {}
    outputs = as_table(description.network_outputs)
    return {"window": as_table(description.sliding_window), "outputs": outputs}


_TRANSFORMS = "scripted_models.segmentation.bundle_transforms"


def _compose(*transforms: Mapping[str, Any]) -> Json:
    return {"_target_": "monai.transforms.Compose", "transforms": list(transforms)}


def _step(name: str) -> Json:
    return {"_target_": f"{_TRANSFORMS}.{name}", "model": "@model"}


_OURS = "BrainTumorSeg contributors"
NO_TERMS = "The imported file states no terms of use. Ask its authors.\n"
_LICENSE = (
    "The program that reads these weights is under the Apache License 2.0. "
    "The weights were trained on\n"
    "the data named in docs/README.md; "
    "the terms of these data (research use) apply to the weights as well.\n"
)
