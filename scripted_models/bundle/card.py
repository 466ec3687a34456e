"""The descriptive files of a model folder: MONAI bundle configuration, license, model card."""

import json
from collections.abc import Mapping
from typing import Any

import monai
import numpy as np
import torch

from scripted_models import __version__
from scripted_models.bundle.description import (
    Decision,
    Dice,
    ModelDescription,
    Region,
    RegionScores,
)
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.typed_tables import as_table
from scripted_models.transforms.region_thresholds import ESTIMATED_DICE


def bundle_files(description: ModelDescription, network: SliceNetwork) -> dict[str, bytes]:
    """Return the MONAI bundle files, path inside the folder -> content."""
    configs = {
        "configs/metadata.json": _metadata(description, network),
        "configs/inference.json": _inference(description),
    }
    files = {
        name: json.dumps(content, indent=2).encode() + b"\n" for name, content in configs.items()
    }
    return {**files, "LICENSE": _LICENSE.encode()}


def _metadata(description: ModelDescription, network: SliceNetwork) -> dict[str, Any]:
    def tensor(kind: str, channels: int, size: int, names: dict[int, str]) -> dict[str, Any]:
        return {
            "type": kind,
            "format": "magnitude" if kind == "image" else "segmentation",
            "modality": "MR",
            "num_channels": channels,
            "spatial_shape": [size, size],
            "dtype": "float32",
            "value_range": [],
            "is_patch_data": True,
            "channel_def": {str(index): name for index, name in names.items()},
        }

    patch = 64
    names = [description.labels[label] for label in description.known_labels]
    brains = description.task == "brains"
    outputs = tensor("image", len(names), patch - sum(network.margins), dict(enumerate(names)))
    return {
        "version": description.version,
        "changelog": {description.version: "first version"},
        "monai_version": monai.__version__,
        "pytorch_version": str(torch.__version__).split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"scripted_models": __version__},
        "name": description.name,
        "task": "Brain tumor segmentation in four MRI sequences"
        if brains
        else "Segmentation of pictures",
        "description": description.summary,
        "authors": "BrainTumorSeg contributors",
        "copyright": "Copyright BrainTumorSeg contributors",
        "intended_use": "Research only; not for diagnosis or treatment.",
        "data_source": description.training.statement,
        "network_data_format": {
            "inputs": {
                "image": tensor(
                    "image", network.input_channels, patch, _channel_names(description, network)
                )
            },
            "outputs": {"pred": outputs},
        },
    }


def _channel_names(description: ModelDescription, network: SliceNetwork) -> dict[int, str]:
    """Return the names of the input channels, and which slice, where there are several."""
    around = range(-network.context_slices, network.context_slices + 1)
    places = [f" (slice {offset:+d})" if offset else "" for offset in around]
    return dict(enumerate(name + place for name in description.channels for place in places))


def _inference(description: ModelDescription) -> dict[str, Any]:
    package = "scripted_models"
    network = description.network
    return {
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "imports": ["$import torch"],
        "network_def": {
            "_target_": f"{package}.networks.build_network",
            "name": network.name,
            **network.arguments,
        },
        "preprocessing": {
            "_target_": f"{package}.transforms.preprocessing.build_preprocessing",
            "steps": as_table(description.preprocessing),
        },
        "postprocessing": {
            "_target_": f"{package}.transforms.postprocessing.build_postprocessing",
            "steps": as_table(description.postprocessing),
        },
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
    }


def card_text(description: ModelDescription, network: SliceNetwork) -> str:
    """Return the model card, Markdown."""
    training, stated = description.training, description.network
    parts = [
        f"# {description.name}",
        description.summary,
        "Research only. Not a medical device; not for diagnosis or treatment.",
        "## Input and output",
        _inputs(description, network),
        "Labels: " + ", ".join(f"{k} {v}" for k, v in description.labels.items()) + ".",
        _crf(description),
        _decision(description.decision),
        "## Network",
        f"{stated.name} with {json.dumps(dict(stated.arguments))}.",
        "## Training",
        training.statement,
        f"Training cases: {', '.join(training.train) or 'not stated'}.",
        f"Validation cases (scored after every epoch): {', '.join(training.validation) or 'none'}.",
        f"Phantoms: {training.phantoms}. Copies of training cases whose enhancement was taken out: "
        f"{training.contrast_suppressed}. "
        f"Seed: {'not stated' if training.seed is None else training.seed}.",
        training.note,
        _MERGED_LABELS
        if description.task == "brains" and {1, 3} <= set(description.labels)
        else "",
        "## Scores",
        _score_table(description.scores),
        *_dice_table("Dice by case", "case", description.dice_by_case),
        *_dice_table("Mean Dice by sequences", "sequences", description.dice_by_sequences),
        *_time(description.seconds_per_case, description.memory_gib_per_case),
        *_failures(description.failures, description.dice_by_case),
        "## Limits",
        description.limits or "Pre-operative glioma only; other diseases were never seen.",
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _time(seconds: Mapping[str, float], gib: Mapping[str, float]) -> list[str]:
    if not seconds:
        return []
    lines = (
        f"{device}: {value:.0f} s"
        + (f", {gib[device]:.1f} GiB" if device in gib else "")
        + " per case."
        for device, value in seconds.items()
    )
    return ["## Time and memory", *lines]


def _failures(reasons: Mapping[str, str], dice: Mapping[str, Dice]) -> list[str]:
    """Return a section on the worst cases; `experiments --folds` draws them."""
    if not reasons:
        return []
    lines = [
        f"- {case} ({' / '.join(f'{value:.2f}' for value in dice[case].values())}): {reason}"
        if case in dice
        else f"- {case}: {reason}"
        for case, reason in reasons.items()
    ]
    return ["## The worst cases", "\n".join(lines)]


def _inputs(description: ModelDescription, network: SliceNetwork) -> str:
    names = description.sequences if description.task == "brains" else description.channels
    channels = f"Channels: {', '.join(names)}; "
    if scale := description.image_scale:
        mean, std = list(scale.mean), list(scale.std)
        return f"{channels}(value * {scale.scale:g} - {mean}) / {std} of values from 0 to 1."
    return (
        f"{channels}skull-stripped, co-registered, background 0; "
        f"{', '.join(network.planes)} slices in LPS orientation, about 1 mm in the plane "
        "(other inputs are brought there)."
    )


def _crf(description: ModelDescription) -> str:
    settings = description.crf.stated if description.crf else {}
    stated = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"A dense CRF refines the probabilities: {stated}." if settings else ""


def _decision(least: Decision) -> str:
    if not least:
        return ""
    shares = [
        f"{region} from {share}" for region, share in least.items() if share != ESTIMATED_DICE
    ]
    best = [region for region, share in least.items() if share == ESTIMATED_DICE]
    sentences = [f"A region is given from a probability on: {', '.join(shares)}."] if shares else []
    if best:
        sentences.append(
            "The probability from which on a region is given is chosen in each image for the "
            f"greatest expected Dice: {', '.join(best)}."
        )
    return " ".join(sentences)


def _dice_table(title: str, head: str, rows: Mapping[str, Dice]) -> list[str]:
    """Return a section with a row for each name and a column for each region."""
    if not rows:
        return []
    regions = list(dict.fromkeys(region for dice in rows.values() for region in dice))
    lines = [f"| {head} | {' | '.join(regions)} |", "|---" * (1 + len(regions)) + "|"]
    for name, dice in rows.items():
        values = (f"{dice[region]:.3f}" if region in dice else "-" for region in regions)
        lines.append(f"| {name} | {' | '.join(values)} |")
    return [f"### {title}", "\n".join(lines)]


def _score_table(scores: Mapping[str, Mapping[Region, RegionScores]]) -> str:
    lines = []
    for protocol, regions in scores.items():
        rows = {region: as_table(values) for region, values in regions.items()}
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        lines += [f"{protocol}:", "", f"| region | {' | '.join(columns)} |"]
        lines.append("|---" * (1 + len(columns)) + "|")
        for region, row in rows.items():
            cells = (f"{row[column]:.3f}" if column in row else "-" for column in columns)
            lines.append(f"| {region} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines) or "Not measured yet."


_MERGED_LABELS = (
    "In BraTS 2017 and later necrosis and non-enhancing tumor are one label; such voxels trained "
    "the sum of both probabilities."
)

_LICENSE = (
    "The program that reads these weights is under the Apache License 2.0. "
    "The weights were trained on\n"
    "the data named in docs/README.md; "
    "the terms of these data (research use) apply to the weights as well.\n"
)
