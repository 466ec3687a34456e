"""The descriptive files of a model folder: MONAI bundle configuration, license, model card."""

import json

import monai
import numpy as np
import torch

from scripted_models import __version__
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.transforms.region_thresholds import ESTIMATED_DICE


def bundle_files(description: dict, network: SliceNetwork) -> dict[str, bytes]:
    """Return the MONAI bundle files, path inside the folder -> content."""
    configs = {
        "configs/metadata.json": _metadata(description, network),
        "configs/inference.json": _inference(description),
    }
    files = {
        name: json.dumps(content, indent=2).encode() + b"\n" for name, content in configs.items()
    }
    return {**files, "LICENSE": _LICENSE.encode()}


def _metadata(description: dict, network: SliceNetwork) -> dict:
    def tensor(kind: str, channels: int, size: int, names: dict) -> dict:
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
    names = [description["labels"][key] for key in sorted(description["labels"], key=int)]
    brains = description.get("layout", "brains") == "brains"
    outputs = tensor("image", len(names), patch - sum(network.margins), dict(enumerate(names)))
    return {
        "version": description.get("version", "0.1.0"),
        "changelog": {description.get("version", "0.1.0"): "first version"},
        "monai_version": monai.__version__,
        "pytorch_version": str(torch.__version__).split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"scripted_models": __version__},
        "name": description["name"],
        "task": "Brain tumor segmentation in four MRI sequences"
        if brains
        else "Segmentation of pictures",
        "description": description.get("summary", ""),
        "authors": "BrainTumorSeg contributors",
        "copyright": "Copyright BrainTumorSeg contributors",
        "intended_use": "Research only; not for diagnosis or treatment.",
        "data_source": description.get("training", {}).get("statement", ""),
        "network_data_format": {
            "inputs": {
                "image": tensor(
                    "image", network.input_channels, patch, _channel_names(description, network)
                )
            },
            "outputs": {"pred": outputs},
        },
    }


def _channel_names(description: dict, network: SliceNetwork) -> dict[int, str]:
    """Return the names of the input channels, and which slice, where there are several."""
    around = range(-network.context_slices, network.context_slices + 1)
    places = [f" (slice {offset:+d})" if offset else "" for offset in around]
    return dict(enumerate(name + place for name in description["channels"] for place in places))


def _inference(description: dict) -> dict:
    package = "scripted_models"
    network = description["network"]
    return {
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "imports": ["$import torch"],
        "network_def": {
            "_target_": f"{package}.networks.build_network",
            "name": network["name"],
            **network["arguments"],
        },
        "preprocessing": {
            "_target_": f"{package}.transforms.preprocessing.build_preprocessing",
            "steps": description["preprocessing"],
        },
        "postprocessing": {
            "_target_": f"{package}.transforms.postprocessing.build_postprocessing",
            "steps": description["postprocessing"],
        },
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
    }


def card_text(description: dict, network: SliceNetwork) -> str:
    """Return the model card, Markdown."""
    training = description.get("training", {})
    stated = description["network"]
    parts = [
        f"# {description['name']}",
        description.get("summary", ""),
        "Research only. Not a medical device; not for diagnosis or treatment.",
        "## Input and output",
        _inputs(description, network),
        "Labels: " + ", ".join(f"{k} {v}" for k, v in description["labels"].items()) + ".",
        _crf(description),
        _decision(description.get("decision", {})),
        "## Network",
        f"{stated['name']} with {json.dumps(stated['arguments'])}.",
        "## Training",
        training.get("statement", ""),
        f"Training cases: {', '.join(training.get('train', [])) or 'not stated'}.",
        f"Validation cases (scored after every epoch): {', '.join(training.get('validation', [])) or 'none'}.",
        f"Phantoms: {training.get('phantoms', 0)}. Copies of training cases whose enhancement was taken out: "
        f"{training.get('contrast_suppressed', 0)}. Seed: {training.get('seed', 'not stated')}.",
        training.get("note", ""),
        _MERGED_LABELS if {"1", "3"} <= set(description["labels"]) else "",
        "## Scores",
        _score_table(description.get("scores", {})),
        *_dice_table("Dice by case", "case", description.get("dice_by_case", {})),
        *_dice_table(
            "Mean Dice by sequences", "sequences", description.get("dice_by_sequences", {})
        ),
        *_time(description.get("seconds_per_case", {}), description.get("memory_gib_per_case", {})),
        *_failures(description.get("failures", {}), description.get("dice_by_case", {})),
        "## Limits",
        description.get("limits", "Pre-operative glioma only; other diseases were never seen."),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _time(seconds: dict, gib: dict) -> list[str]:
    if not seconds:
        return []
    lines = (
        f"{device}: {value:.0f} s"
        + (f", {gib[device]:.1f} GiB" if device in gib else "")
        + " per case."
        for device, value in seconds.items()
    )
    return ["## Time and memory", *lines]


def _failures(reasons: dict, dice: dict) -> list[str]:
    """Return a section on the worst cases; `experiments --folds` draws them for whoever has the data."""
    if not reasons:
        return []
    lines = [
        f"- {case} ({' / '.join(f'{value:.2f}' for value in dice[case].values())}): {reason}"
        if case in dice
        else f"- {case}: {reason}"
        for case, reason in reasons.items()
    ]
    return ["## The worst cases", "\n".join(lines)]


def _inputs(description: dict, network: SliceNetwork) -> str:
    names = description.get("sequences", description["channels"])
    channels = f"Channels: {', '.join(names)}; "
    if scale := description.get("image_scale"):
        factor, mean, std = (scale[key] for key in ("scale", "mean", "std"))
        return f"{channels}(value * {factor:g} - {mean}) / {std} of values from 0 to 1."
    return (
        f"{channels}skull-stripped, co-registered, background 0; {', '.join(network.planes)} slices in LPS "
        "orientation, about 1 mm in the plane (other inputs are brought there)."
    )


def _crf(description: dict) -> str:
    settings = description.get("crf", {})
    stated = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"A dense CRF refines the probabilities: {stated}." if settings else ""


def _decision(least: dict) -> str:
    if not least:
        return ""
    shares = [
        f"{region} from {share}" for region, share in least.items() if share != ESTIMATED_DICE
    ]
    best = [region for region, share in least.items() if share == ESTIMATED_DICE]
    sentences = [f"A region is given from a probability on: {', '.join(shares)}."] if shares else []
    if best:
        sentences.append(
            "The probability from which on a region is given is chosen in each image for the greatest expected "
            f"Dice: {', '.join(best)}."
        )
    return " ".join(sentences)


def _dice_table(title: str, head: str, rows: dict) -> list[str]:
    """Return a section with a row for each case, or set of sequences, and a column for each region."""
    if not rows:
        return []
    regions = list(next(iter(rows.values())))
    lines = [f"| {head} | {' | '.join(regions)} |", "|---" * (1 + len(regions)) + "|"]
    for name, dice in rows.items():
        values = (f"{dice[region]:.3f}" if region in dice else "-" for region in regions)
        lines.append(f"| {name} | {' | '.join(values)} |")
    return [f"### {title}", "\n".join(lines)]


def _score_table(scores: dict) -> str:
    if not scores:
        return "Not measured yet."
    lines = []
    for protocol, regions in scores.items():
        lines += [
            f"{protocol}:",
            "",
            "| region | " + " | ".join(next(iter(regions.values()))) + " |",
        ]
        lines.append("|---" * (1 + len(next(iter(regions.values())))) + "|")
        for region, values in regions.items():
            lines.append(f"| {region} | " + " | ".join(f"{v:.3f}" for v in values.values()) + " |")
        lines.append("")
    return "\n".join(lines)


_MERGED_LABELS = (
    "In BraTS 2017 and later necrosis and non-enhancing tumor are one label; such voxels trained the sum "
    "of both probabilities."
)

_LICENSE = """The program that reads these weights is under the Apache License 2.0. The weights were trained on
the data named in docs/README.md; the terms of these data (research use) apply to the weights as well.
"""
