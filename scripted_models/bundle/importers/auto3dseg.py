"""Auto3DSeg: a checkpoint `model.pt` with `config` and `state_dict`, alone or beside `labels.csv`.

Source: MONAI Auto3DSeg, algorithm SegResNet; models of the Slicer extension MONAIAuto3DSeg. What
that inference does beside the values of `config` is fixed: a margin of 10 voxels around the
foreground, overlap 0.625, Gaussian weights, z-score of the voxels that are not 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from scripted_models.bundle.description_parts import NetworkDescription, Origin
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.foreign_model import ForeignModel, checksum
from scripted_models.bundle.importers.foreign_words import channels_of, outputs_of
from scripted_models.bundle.importers.monai_steps import spacing_of, window_of
from scripted_models.bundle.importers.networks import monai_network, sizes_of
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.bundle.importers.space import space_of
from scripted_models.bundle.importers.stage import stage_of
from scripted_models.bundle.state_dicts import read_checkpoint
from scripted_models.errors import InputError
from scripted_models.labels import REGIONS
from scripted_models.transforms.steps import CropToBrain, PreprocessingStep, Standardize

WEIGHTS = "model.pt"
_TERMS = ("LICENSE", "LICENSE.txt", "license.txt")
_MARGIN, _OVERLAP = 10, 0.625
_NUMBERS = {"@input_channels": "input_channels", "@output_classes": "output_classes"}

Config = Mapping[str, Any]


def read(source: ForeignSource, answers: Answers, understood: Understood) -> ForeignModel:
    """Read a checkpoint.

    Args:
        source: its file, or the folder with it at the top.
        answers: of the user.
        understood: told what is understood.

    Raises:
        ModelError: something that is not known here, or no plain weights.
        InputError: a question that the user must answer.
    """
    name = source.path.name if source.is_weights else WEIGHTS
    if name not in source.names:
        raise source.refusal(f"no {WEIGHTS}", "a checkpoint of Auto3DSeg")
    content = source.read_weights(name)
    checkpoint = read_checkpoint(content, "state_dict")
    config = checkpoint.rest.get("config")
    if not isinstance(config, Mapping):
        raise source.refusal("a checkpoint without 'config'", "one of Auto3DSeg")
    understood.tell("format", f"Auto3DSeg, {source.path.name}")
    network = _network(config, source)
    window = window_of(config.get("roi_size"), _OVERLAP, "gaussian", source)
    steps = _steps(config, source)
    inputs, count = sizes_of(network)
    regions = _flag(config, "sigmoid", False, source)
    named = _class_names(config)
    if not regions and len(named) == count - 1:
        named = ["background", *named]
    try:
        channels = channels_of([], inputs, answers, understood)
    except InputError as error:
        raise _with_hint(error) from error
    outputs = outputs_of(named, count, regions, answers, understood)
    if regions and not answers.labels:
        _check_labels_inside(config, outputs.order, source)
    understood.tell("preprocessing", ", ".join(step.step for step in steps))
    understood.tell("windows", " x ".join(map(str, window.size)))
    space = space_of(*_space(config, source, understood), "", answers, understood)
    terms = next((term for term in _TERMS if term in source.names), "")
    understood.tell("terms", terms or "none")
    return ForeignModel(
        name=source.path.stem,
        summary="",
        network=network,
        weights=[checkpoint.weights],
        channels=channels,
        outputs=outputs,
        made_for=stage_of(outputs, "", understood),
        window=window,
        space=space,
        steps=steps,
        origin=Origin(
            format="Auto3DSeg",
            file=source.path.name,
            weights=name,
            sha256=checksum(content),
            license=terms,
            notes=tuple(understood.notes),
        ),
        terms=source.read(terms).decode("utf-8", "replace") if terms else "",
    )


def _network(config: Config, source: ForeignSource) -> NetworkDescription:
    """Return the network; fused normalization is the same one, computed elsewhere."""
    stated = config.get("network")
    if not isinstance(stated, Mapping):
        raise source.refusal("no 'network' in its 'config'", "a table")
    table = dict(stated)
    for key in ("in_channels", "out_channels"):
        table[key] = config.get(_NUMBERS.get(str(table.get(key)), ""), table.get(key))
    norm = table.get("norm")
    if isinstance(norm, str) and norm.upper() == "INSTANCE_NVFUSER":
        table["norm"] = "INSTANCE"
    network = monai_network(table, "network", source)
    if network.name != "SegResNetDS3D":
        raise source.refusal(f"the network {table.get('_target_')!r}", "SegResNetDS")
    return network


def _steps(config: Config, source: ForeignSource) -> list[PreprocessingStep]:
    mode = config.get("normalize_mode")
    if mode != "meanstd":
        raise source.refusal(f"'normalize_mode' {str(mode)[:40]!r}", "'meanstd'")
    crop = _flag(config, "crop_foreground", True, source)
    return [*([CropToBrain(margin=_MARGIN)] if crop else []), Standardize()]


def _space(
    config: Config, source: ForeignSource, understood: Understood
) -> tuple[str, tuple[float, ...]]:
    """Return orientation and spacing, empty where the file does not say them."""
    turned = _flag(config, "orientation_ras", False, source)
    stated = config.get("resample_resolution")
    spacing = spacing_of(stated, source) if stated is not None else ()
    if spacing and not _flag(config, "resample", True, source):
        understood.note("it does not resample volumes; here they are brought to that spacing")
    return "RAS" if turned else "", spacing


def _flag(config: Config, key: str, usual: bool, source: ForeignSource) -> bool:
    value = config.get(key, usual)
    if not isinstance(value, bool):
        raise source.refusal(f"'{key}' = {str(value)[:40]!r}", "true or false")
    return value


def _class_names(config: Config) -> list[str]:
    """Return the names of the classes; empty where they are no texts."""
    stated = config.get("class_names")
    names = [
        entry.get("name") if isinstance(entry, Mapping) else entry
        for entry in (stated if isinstance(stated, list | tuple) else [])
    ]
    return [name for name in names if isinstance(name, str)]


def _check_labels_inside(
    config: Config, regions: Sequence[str | int], source: ForeignSource
) -> None:
    """Refuse names of regions that the labels inside of them contradict, where both are stated."""
    names, stated = config.get("class_names"), config.get("class_index")
    if isinstance(names, list | tuple) and all(isinstance(name, Mapping) for name in names):
        stated = [name.get("index") for name in names]
    if not isinstance(stated, list | tuple) or len(stated) != len(regions):
        return
    if not all(isinstance(entry, list | tuple) for entry in stated):
        return
    inside = {region: set(map(str, entry)) for region, entry in zip(regions, stated, strict=True)}
    whole, core, enhancing = (inside[region] for region in REGIONS)
    if not whole >= core >= enhancing:
        raise source.refusal(
            "names of classes that their labels ('class_index') contradict",
            "ET in TC in WT, or the regions stated with --labels",
        )


def _with_hint(error: InputError) -> InputError:
    """Return the question with what is known of published models."""
    hint = "(of brats-gli: flair t1c t1 t2)"
    action = error.action.replace("--channels", f"--channels {hint}")
    return InputError(found=error.found, expected=error.expected, action=action)
