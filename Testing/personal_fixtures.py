"""A model that knows nothing yet and a user's small corrected cases."""

import json
from dataclasses import replace

import numpy as np
import torch

from scripted_models.bundle.description import NetworkDescription, read_description
from scripted_models.bundle.model_folders import SHIPPED
from scripted_models.bundle.weights import write_model
from scripted_models.cases.case_writer import Origin, store_case
from scripted_models.cli import main
from scripted_models.geometry import Grid
from scripted_models.networks import build_slice_network
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.steps import read_postprocessing, read_preprocessing

GRID = Grid((28, 28, 6))
START = "start"
ARGUMENTS = {"widths": [4, 8], "context_slices": 0, "planes": ["axial"]}
QUICK = (
    *("training.phase1.steps_per_epoch=15", "training.output_size=24", "training.batch_size=2"),
    *("training.phase1.learning_rate=0.02", "training.phase1.final_learning_rate=0.002"),
    *("training.average_decay=0.0", "training.start_share=0.1", "training.augmentation=[]"),
    *("data.phantoms=0", "data.low_grade_phantoms=0"),
)


def write_start(folder):
    """Write a model of a tiny U-Net with random weights, kept in float16."""
    torch.manual_seed(0)
    network = build_slice_network("UNet", **ARGUMENTS)
    description = replace(
        read_description(SHIPPED / "default"),
        name=START,
        network=NetworkDescription("UNet", ARGUMENTS),
        preprocessing=read_preprocessing([{"step": "mark_brain"}, {"step": "zscore"}]),
        postprocessing=read_postprocessing([{"step": "inside_brain"}]),
        decision={},
        dice_by_case={},
    )
    return write_model(folder, network, description, torch.float16)


def volumes_of(seed):
    """Return volumes whose gray values tell the label, and the labels, as arrays on `GRID`."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    corner = rng.integers(5, 9, 2)
    tumor = np.s_[1:5, corner[0] : corner[0] + 12, corner[1] : corner[1] + 12]
    labels[tumor] = rng.choice([1, 2, 3, 4], (4, 12, 12))
    volumes = {}
    for sequence in SEQUENCES:
        image = np.zeros(labels.shape, np.int16)
        inside = np.s_[:, 3:25, 3:25]
        image[inside] = rng.integers(50, 300, (6, 22, 22)) + 100 * labels[inside]
        volumes[sequence] = (image, GRID)
    return volumes, labels


def store_cases(folder, seeds, corrected=True):
    """Store one case for each seed as the Slicer module does; return their names."""
    names = []
    for seed in seeds:
        volumes, labels = volumes_of(seed)
        first = np.where(labels == 4, 2, labels) if corrected else labels
        stored = store_case(folder, volumes, (labels, GRID), (first, GRID), Origin(START, "00"))
        names.append(stored.name)
    return names


def personalise(cases, start, output, *options, epochs=2, settings=QUICK):
    """Run the command in this process and return its exit code."""
    command = ["personalise", str(cases), "--model", str(start), "--output", str(output)]
    chosen = ["--set", *settings, "--epochs", str(epochs), "--device", "cpu"]
    return main([*command, *chosen, *map(str, options)])


def events_of(text):
    """Return the JSON events among printed lines."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
