"""The steps of a MONAI bundle before and after its network: a fixed table, read as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripted_models.bundle.importers.networks import target_of
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.transforms.steps import CropToBrain, PreprocessingStep, Standardize
from scripted_models.transforms.volume_networks import SlidingWindow

# What changes no value of a volume as it is read here.
_PLAIN = (
    *("LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst", "EnsureType"),
    *("ToTensor", "CastToType", "Identity", "ConcatItems"),
)
_AFTER_PLAIN = ("Invert", "SaveImage", "EnsureType", "ToTensor")
_ORDER = ("Orientation", "Spacing", "CropForeground", "NormalizeIntensity")
_EVERYWHERE = ("keys", "allow_missing_keys", "source_key", "mode", "align_corners", "image_only")


@dataclass(frozen=True)
class Before:
    """What a bundle does before its network.

    Attributes:
        orientation: axis code; empty where it does not turn volumes.
        spacing_mm: empty where it does not resample them.
        steps: of this program.
    """

    orientation: str
    spacing_mm: tuple[float, ...]
    steps: tuple[PreprocessingStep, ...]


@dataclass(frozen=True)
class After:
    """What a bundle does after its network.

    Attributes:
        regions: whether each output has a sigmoid.
        threshold: of regions.
        left_out: steps that are not read.
    """

    regions: bool
    threshold: float
    left_out: tuple[str, ...]


def read_before(stated: object, source: ForeignSource) -> Before:
    """Read the steps before the network.

    Raises:
        ModelError: a step, an option or an order that is not known.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for index, step in enumerate(_transforms(stated, "preprocessing", source)):
        name, options = _step(step, f"preprocessing[{index}]", source)
        if name in _PLAIN:
            continue
        if name not in _ORDER or name in found:
            raise source.refusal(f"the step {name[:60]!r} before the network", _known(_ORDER))
        found[name] = options
    if list(found) != [name for name in _ORDER if name in found]:
        raise source.refusal(f"the order {', '.join(found)}", ", ".join(_ORDER))
    steps: list[PreprocessingStep] = []
    if "CropForeground" in found:
        steps.append(_crop(found["CropForeground"], source))
    if "NormalizeIntensity" in found:
        steps.append(_standardize(found["NormalizeIntensity"], source))
    code = _only(
        found.get("Orientation", {}), {"axcodes": str, "as_closest_canonical": bool}, source
    )
    spacing = _spacing(found.get("Spacing", {}), source)
    return Before(code.get("axcodes", ""), spacing, tuple(steps))


def _standardize(options: Mapping[str, Any], source: ForeignSource) -> Standardize:
    stated = _only(options, {"nonzero": bool, "channel_wise": bool}, source)
    if stated.get("channel_wise") is not True:
        raise source.refusal("NormalizeIntensity over all channels together", "'channel_wise'")
    return Standardize(voxels="nonzero" if stated.get("nonzero") else "all")


def _crop(options: Mapping[str, Any], source: ForeignSource) -> CropToBrain:
    known = {"margin": int, "allow_smaller": bool, "start_coord_key": str, "end_coord_key": str}
    margin = _only(options, known, source).get("margin", 0)
    if not isinstance(margin, int) or not 0 <= margin <= 1000:
        raise source.refusal(f"a margin of {margin}", "0 to 1000 voxels")
    return CropToBrain(margin=margin)


def _spacing(options: Mapping[str, Any], source: ForeignSource) -> tuple[float, ...]:
    if not options:
        return ()
    stated = _only(options, {"pixdim": list, "recompute_affine": bool}, source)
    return spacing_of(stated.get("pixdim"), source)


def spacing_of(stated: object, source: ForeignSource) -> tuple[float, ...]:
    """Return three spacings in mm.

    Raises:
        ModelError: it is something else.
    """
    values = stated if isinstance(stated, list | tuple) else []
    if len(values) != 3 or not all(type(v) in (int, float) and 0.1 <= v <= 20 for v in values):
        raise source.refusal(f"the spacing {str(stated)[:60]!r}", "three numbers from 0.1 to 20 mm")
    return tuple(float(value) for value in values)


def read_window(stated: object, source: ForeignSource) -> SlidingWindow:
    """Read how the network goes through a volume.

    Raises:
        ModelError: another inferer than a sliding window, or options that are not known.
    """
    target, options = target_of(stated, "inferer", source)
    name = target.rpartition(".")[2]
    if name not in ("SlidingWindowInferer", "SlidingWindowInfererAdapt"):
        raise source.refusal(f"the inferer {target[:60]!r}", "a SlidingWindowInferer")
    options = {k: v for k, v in options.items() if k not in ("sw_batch_size", "progress")}
    known = {"roi_size": list, "overlap": float, "mode": str, "sigma_scale": float}
    own = _only(options, {**known, "padding_mode": str, "cache_roi_weight_map": bool}, source)
    if own.get("padding_mode", "constant") != "constant":
        raise source.refusal(f"the padding {own['padding_mode']!r}", "'constant'")
    return window_of(
        own.get("roi_size"),
        own.get("overlap", 0.25),
        own.get("mode", "constant"),
        source,
        own.get("sigma_scale", 0.125),
    )


def window_of(
    size: object, overlap: float, weights: Any, source: ForeignSource, sigma: float = 0.125
) -> SlidingWindow:
    """Return a window along the axes that MONAI has, x first.

    Raises:
        ModelError: a size that no window has.
    """
    sides = size if isinstance(size, list | tuple) else []
    if len(sides) != 3 or not all(type(side) is int and 8 <= side <= 1024 for side in sides):
        raise source.refusal(f"windows of {str(size)[:60]}", "three sides of 8 to 1024 voxels")
    x, y, z = sides
    return SlidingWindow(size=(x, y, z), overlap=overlap, weights=weights, sigma=sigma, axes="xyz")


def read_after(stated: object, source: ForeignSource) -> After:
    """Read the steps after the network.

    Raises:
        ModelError: a step that is not known, or no way from logits to labels.
    """
    done: dict[str, Mapping[str, Any]] = {}
    left_out = []
    for index, step in enumerate(_transforms(stated, "postprocessing", source)):
        where = f"postprocessing[{index}]"
        name = _name(step, where, source)
        if name in _AFTER_PLAIN:
            continue
        if name == "Lambda":
            left_out.append(name)
            continue
        if name not in ("Activations", "AsDiscrete") or name in done:
            raise source.refusal(
                f"the step {name[:60]!r} after the network", _known(("Activations", "AsDiscrete"))
            )
        done[name] = _step(step, where, source)[1]
    activation = done.get("Activations", {})
    sigmoid, softmax = activation.get("sigmoid") is True, activation.get("softmax") is True
    discrete = done.get("AsDiscrete", {})
    share, argmax = discrete.get("threshold"), discrete.get("argmax") is True
    if sigmoid and not softmax and isinstance(share, float) and 0 < share < 1:
        return After(True, float(share), tuple(left_out))
    if argmax and not sigmoid and share is None:
        return After(False, 0.5, tuple(left_out))
    raise source.refusal(
        "no way from the outputs to labels", "a sigmoid with a threshold, or 'argmax'"
    )


def _transforms(stated: object, where: str, source: ForeignSource) -> Sequence[object]:
    target = stated.get("_target_") if isinstance(stated, Mapping) else None
    steps = stated.get("transforms") if isinstance(stated, Mapping) else None
    if target not in ("Compose", "monai.transforms.Compose") or not isinstance(steps, list):
        raise source.refusal(f"no list of steps as '{where}'", "a Compose with 'transforms'")
    return steps


def _name(step: object, where: str, source: ForeignSource) -> str:
    """Return the name of a transform, without the 'd' of those that work on dictionaries."""
    target = step.get("_target_") if isinstance(step, Mapping) else None
    if not isinstance(target, str):
        raise source.refusal(f"no table with '_target_' as '{where}'", "one")
    place, _, name = target.rpartition(".")
    if place not in ("", "monai.transforms"):
        raise source.refusal(f"the step {target[:80]!r}", "one of monai.transforms")
    return name.removesuffix("Dict").removesuffix("d").removesuffix("D")


def _step(step: Any, where: str, source: ForeignSource) -> tuple[str, Mapping[str, Any]]:
    name = _name(step, where, source)
    if name in _PLAIN:
        return name, {}
    return name, target_of(step, where, source)[1]


def _only(
    options: Mapping[str, Any], known: Mapping[str, type], source: ForeignSource
) -> Mapping[str, Any]:
    """Return the options that count; raise ModelError for one that is not known."""
    own = {k: v for k, v in options.items() if k not in _EVERYWHERE or k in known}
    for key, value in own.items():
        kinds = (int, float) if known.get(key) is float else (known.get(key),)
        if value is not None and type(value) not in kinds:
            raise source.refusal(f"the option '{key[:40]}' = {str(value)[:60]!r}", "one known here")
    return {key: value for key, value in own.items() if value is not None}


def _known(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)} (MONAI)"
