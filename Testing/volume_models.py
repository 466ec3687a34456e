"""Model folders of networks of volumes with random weights, as published models are described."""

from typing import Any

import torch
from model_fixtures import described

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.weights import write_model
from scripted_models.networks import build_network

ORDER = ["t1c", "t1", "t2", "flair"]  # of the channels
# MONAI's model zoo, `brats_mri_segmentation` 0.5.2: configs/inference.json and metadata.json.
BRATS_MRI: dict[str, Any] = {
    "network": {
        "name": "SegResNet3D",
        "arguments": {
            "num_classes": 3,
            "init_filters": 16,
            "blocks_down": [1, 2, 2, 4],
            "blocks_up": [1, 1, 1],
            "dropout_prob": 0.2,
            "norm": ["GROUP", {"num_groups": 8}],
        },
    },
    "labels": {"0": "background", "1": "necrosis", "2": "edema", "4": "enhancing"},
    "sliding_window": {
        "size": [240, 240, 160],
        "overlap": 0.5,
        "weights": "constant",
        "axes": "xyz",
    },
    "outputs": {"kind": "regions", "order": ["TC", "WT", "ET"]},
    "decision": {"WT": 0.5, "TC": 0.5, "ET": 0.5},
    "training_space": {
        "orientation": "LPS",
        "spacing_xyz_mm": [1.0, 1.0, 1.0],
        "tolerance": 0.1,
    },
    "preprocessing": [
        {"step": "mark_brain"},
        {"step": "zscore"},
        {"step": "keep_sequences", "names": ORDER, "order": "stated"},
    ],
    "postprocessing": [{"step": "inside_brain"}],
}


def volume_description(size=(24, 32, 12), **changes: Any) -> ModelDescription:
    """Return the description of `brats_mri_segmentation` with small windows."""
    window = {**BRATS_MRI["sliding_window"], "size": list(size)}
    return described(**{**BRATS_MRI, "sliding_window": window, "needs_one_of": [], **changes})


def small_network(seed=0, **changes: Any):
    """Return a small SegResNet whose regions are about as likely as not, and its table."""
    torch.manual_seed(seed)
    small = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}
    arguments = {**BRATS_MRI["network"]["arguments"], **small, **changes}
    network = build_network("SegResNet3D", **arguments).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0.0, 1.5 / parameter[0].numel() ** 0.5)
    return network, {"name": "SegResNet3D", "arguments": arguments}


def write_volume_model(folder, size=(24, 32, 12), seed=0, **changes: Any):
    """Write a model folder and return it with its network."""
    network, stated = small_network(seed)
    description = volume_description(size, network=stated, **changes)
    return write_model(folder, network, description), network
