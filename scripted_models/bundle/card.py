"""The model card, docs/README.md of a model folder."""

import json
from collections.abc import Mapping

from scripted_models.bundle.description import (
    Decision,
    Dice,
    ModelDescription,
    Origin,
    Region,
    RegionScores,
    TrainingRecord,
)
from scripted_models.networks.slice_network import SegmentationNetwork, SliceNetwork
from scripted_models.runtime.typed_tables import as_table
from scripted_models.transforms.region_thresholds import ESTIMATED_DICE


def card_text(
    description: ModelDescription, network: SegmentationNetwork, use: str | None = None
) -> str:
    """Return the model card, Markdown.

    Args:
        description: of the model.
        network: of the model.
        use: last section, how to use what lies beside the card; None: the model folder.
    """
    if use is None:
        use = _WITH_MONAI if description.task == "brains" else ""
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
        *_origin(description.origin),
        "## Training",
        training.statement,
        f"Training cases: {', '.join(training.train) or 'not stated'}.",
        f"Validation cases (scored after every epoch): {', '.join(training.validation) or 'none'}.",
        f"Phantoms: {training.phantoms}. Copies of training cases whose enhancement was taken out: "
        f"{training.contrast_suppressed}. {_other_copies(training)}"
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
        use,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _origin(origin: Origin | None) -> list[str]:
    """Return a section on where the weights of another program come from."""
    if origin is None:
        return []
    stated = {
        "Version": origin.version,
        "Authors": origin.authors,
        "Copyright": origin.copyright,
        "Source": origin.source,
        "Terms": f"{origin.license}, see LICENSE" if origin.license else "none were in the file",
    }
    lines = [f"{name}: {text}." for name, text in stated.items() if text]
    return [
        "## Origin",
        f"Imported from the {origin.format} `{origin.file}`, weights `{origin.weights}`, SHA-256 "
        f"`{origin.sha256}`. Nothing of the file was executed.",
        "\n".join(f"- {line}" for line in (*lines, *origin.notes)),
    ]


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


def _inputs(description: ModelDescription, network: SegmentationNetwork) -> str:
    names = description.sequences if description.task == "brains" else description.channels
    channels = f"Channels: {', '.join(names)}; "
    if scale := description.image_scale:
        mean, std = list(scale.mean), list(scale.std)
        return f"{channels}(value * {scale.scale:g} - {mean}) / {std} of values from 0 to 1."
    if not isinstance(network, SliceNetwork):
        return f"{channels}{_PREPARED}; {_windows(description)}"
    step = network.slice_step
    between = f"one of {step}, interpolated between, " if step > 1 else ""
    return (
        f"{channels}{_PREPARED}; "
        f"{', '.join(network.planes)} slices in LPS orientation, {between}about 1 mm in the plane "
        "(other inputs are brought there)."
    )


def _windows(description: ModelDescription) -> str:
    space, window = description.training_space, description.sliding_window
    assert window is not None
    spacing = " x ".join("any" if mm is None else f"{mm:g}" for mm in space.spacing_xyz_mm)
    mirrored = f", mirrored along {', '.join(window.mirror)} as well" if window.mirror else ""
    regions = "; outputs: " + ", ".join(map(str, description.network_outputs.order))
    return (
        f"windows of {' x '.join(map(str, window.size))} voxels ({', '.join(window.axes)}), "
        f"{window.overlap:.0%} of each in the next one{mirrored}, orientation {space.orientation}, "
        f"{spacing} mm (other inputs are brought there){regions}."
    )


def _crf(description: ModelDescription) -> str:
    settings = description.crf.stated if description.crf else {}
    stated = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"A dense CRF refines the probabilities: {stated}." if settings else ""


def _other_copies(training: TrainingRecord) -> str:
    told = (
        ("As worse scans show them", training.degraded),
        ("With the tumor of another one", training.transplanted),
    )
    return "".join(f"{what}: {count}. " for what, count in told if count)


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
            f"greatest estimated Dice: {', '.join(best)}."
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


_PREPARED = "skull-stripped, co-registered, background 0"

_WITH_MONAI = """## With MONAI

This folder is a MONAI bundle. With `scripted_models`, `pytorch-ignite` and `fire` installed, run
in it:

    python -m monai.bundle run --config_file configs/inference.json \\
        --dataset_dir CASES --output_dir OUT

`CASES` is a case folder or a folder of cases. `OUT/CASE/segmentation.nii.gz` is the label map that
`scripted-models segment CASES --model . --output OUT` writes. `--coding brats2021` changes the
labels. From another folder, add `--bundle_root` with the path of this one."""

_MERGED_LABELS = (
    "In BraTS 2017 and later necrosis and non-enhancing tumor are one label; such voxels trained "
    "the sum of both probabilities."
)
