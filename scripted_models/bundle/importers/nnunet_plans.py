"""`plans.json` of nnU-Net version 2: the network and the steps of one configuration, as data.

Source: nnU-Net 2.8, `plans_handler` and `get_network_from_plans`. Old plans state the form of the
network beside the other settings, new ones in a table `architecture`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripted_models.bundle.description_parts import NetworkDescription
from scripted_models.bundle.importers.networks import literal
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.transforms.steps import CropToBrain, PreprocessingStep, Standardize
from scripted_models.transforms.volume_networks import OUR_AXES, SlidingWindow

_PLACE = "dynamic_network_architectures.architectures.unet."
_BLOCKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
_LAYERS = {  # what the two networks are made of here
    "conv_op": ("torch.nn.modules.conv.Conv3d",),
    "norm_op": ("torch.nn.modules.instancenorm.InstanceNorm3d",),
    "norm_op_kwargs": ({"eps": 1e-05, "affine": True},),
    "nonlin": ("torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU"),
    "nonlin_kwargs": ({"inplace": True},),
    "dropout_op": (None,),
    "dropout_op_kwargs": (None, {}),
}
_RESAMPLING = "resample_data_or_seg_to_shape"
_ORDERS = {"resampling_fn_data": 3, "resampling_fn_probabilities": 1}
_FORM = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder", "conv_bias")
_READERS = {  # whether volumes are turned to RAS
    "SimpleITKIO": False,
    "NibabelIO": False,
    "NibabelIOWithReorient": True,
}


@dataclass(frozen=True)
class Plans:
    """What the plans say of one configuration.

    Attributes:
        network: 'PlainConvUNet3D' or 'ResidualEncoderUNet3D' with its form, without channels.
        window: without mirroring.
        spacing_xyz_mm: of the volumes.
        steps: before the network.
        turned: whether volumes are turned to RAS.
        dataset: its name.
    """

    network: NetworkDescription
    window: SlidingWindow
    spacing_xyz_mm: tuple[float, ...]
    steps: tuple[PreprocessingStep, ...]
    turned: bool
    dataset: str


def read_plans(plans: Mapping[str, Any], name: str, channels: int, source: ForeignSource) -> Plans:
    """Read the plans of a configuration.

    Args:
        plans: content of plans.json.
        name: of the configuration.
        channels: number of the channels that dataset.json names.
        source: for refusals.

    Raises:
        ModelError: no such configuration, one of slices or of a cascade, or a network, reader or
            normalization that is not known.
    """
    stated = _configuration(plans, name, source)
    if stated.get("previous_stage"):
        raise source.refusal(f"the second stage '{name[:40]}' of a cascade", "one that is alone")
    order = plans.get("transpose_forward", [0, 1, 2])
    if sorted(order if isinstance(order, list) else []) != [0, 1, 2]:
        raise source.refusal(f"'transpose_forward' = {str(order)[:40]}", "an order of 0, 1, 2")
    axes = "".join(OUR_AXES[axis] for axis in order)
    size = _numbers(stated, "patch_size", source)
    spacing = dict(zip(axes, _numbers(stated, "spacing", source), strict=True))
    if not all(type(side) is int and 8 <= side <= 1024 for side in size):
        raise source.refusal(f"windows of {size}", "sides of 8 to 1024 voxels")
    _check_resampling(stated, source)
    reader = plans.get("image_reader_writer", "SimpleITKIO")
    if reader not in _READERS:
        raise source.refusal(f"the reader {str(reader)[:40]!r}", f"one of {', '.join(_READERS)}")
    z, y, x = size
    return Plans(
        network=_network(stated, source),
        window=SlidingWindow(size=(z, y, x), placement="even", axes=axes, resampling="cubic"),
        spacing_xyz_mm=tuple(spacing[axis] for axis in reversed(OUR_AXES)),
        steps=_steps(stated, channels, source),
        turned=_READERS[reader],
        dataset=str(plans.get("dataset_name", ""))[:200],
    )


def _configuration(plans: Mapping[str, Any], name: str, source: ForeignSource) -> Mapping[str, Any]:
    """Return a configuration with what it inherits."""
    known = plans.get("configurations")
    if not isinstance(known, Mapping):
        raise source.refusal("no 'configurations' in plans.json", "them")
    merged: dict[str, Any] = {}
    for _ in range(len(known) + 1):
        table = known.get(name)
        if not isinstance(table, Mapping):
            raise source.refusal(f"no configuration {name[:40]!r} in plans.json", "it")
        merged = {**table, **merged}
        if "inherits_from" not in table:
            return merged
        name = str(table["inherits_from"])
    raise source.refusal("configurations that inherit in a circle", "none")


def _numbers(stated: Mapping[str, Any], key: str, source: ForeignSource) -> list[Any]:
    values = stated.get(key)
    if not isinstance(values, list) or len(values) == 2:
        raise source.refusal(f"'{key}' = {str(values)[:40]}", "a configuration of volumes (3d)")
    if len(values) != 3 or not all(type(v) in (int, float) and v > 0 for v in values):
        raise source.refusal(f"'{key}' = {str(values)[:40]}", "three numbers above 0")
    return values


def _check_resampling(stated: Mapping[str, Any], source: ForeignSource) -> None:
    """Refuse another way to other spacings than `SpacingChange`; old plans state none."""
    for key, order in _ORDERS.items():
        name, settings = stated.get(key, _RESAMPLING), stated.get(f"{key}_kwargs", {})
        usual = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
        if name != _RESAMPLING or not isinstance(settings, Mapping):
            raise source.refusal(f"'{key}' = {str(name)[:60]}", _RESAMPLING)
        if {**usual, **settings} != usual:
            raise source.refusal(f"'{key}_kwargs' = {str(settings)[:80]}", str(usual))


def _network(stated: Mapping[str, Any], source: ForeignSource) -> NetworkDescription:
    architecture = stated.get("architecture")
    if architecture is None:
        return _old_network(stated, source)
    if not isinstance(architecture, Mapping):
        raise source.refusal("an 'architecture' that is no table", "one")
    name = _known_network(architecture.get("network_class_name"), source)
    arguments = literal(architecture.get("arch_kwargs", {}), "arch_kwargs", source)
    blocks = _BLOCKS[name]
    if not isinstance(arguments, Mapping):
        raise source.refusal("an 'arch_kwargs' that is no table", "one")
    for key, allowed in _LAYERS.items():
        if key in arguments and arguments[key] not in allowed:
            raise source.refusal(f"'{key}' = {str(arguments[key])[:60]}", str(allowed[0]))
    if strange := sorted(set(arguments) - {*_FORM, *_LAYERS, blocks, "n_stages"}):
        raise source.refusal(f"the unknown '{strange[0][:40]}' of the network", "none")
    if missing := [key for key in (*_FORM, blocks) if key not in arguments]:
        raise source.refusal(f"no '{missing[0]}' of the network", "it")
    form = {key: arguments[key] for key in (*_FORM, blocks)}
    if arguments.get("n_stages", len(form["strides"])) != len(form["strides"]):
        raise source.refusal("another number of stages than of strides", "the same")
    return NetworkDescription(f"{name}3D", form)


def _old_network(stated: Mapping[str, Any], source: ForeignSource) -> NetworkDescription:
    name = _known_network(stated.get("UNet_class_name"), source)
    keys = ("conv_kernel_sizes", "pool_op_kernel_sizes", "n_conv_per_stage_encoder")
    lists = [literal(stated.get(key), key, source) for key in keys]
    decoder = literal(stated.get("n_conv_per_stage_decoder"), "decoder", source)
    if not all(isinstance(part, list) and 2 <= len(part) <= 12 for part in lists):
        raise source.refusal(f"no lists {', '.join(keys)} in plans.json", "them")
    first, most = stated.get("UNet_base_num_features"), stated.get("unet_max_num_features")
    if type(first) is not int or type(most) is not int or not 1 <= first <= most <= 4096:
        raise source.refusal("no numbers of features in plans.json", "them")
    kernels, strides, counts = lists
    form = {
        "features_per_stage": [min(first * 2**stage, most) for stage in range(len(strides))],
        "kernel_sizes": kernels,
        "strides": strides,
        _BLOCKS[name]: counts,
        "n_conv_per_stage_decoder": decoder,
        "conv_bias": True,
    }
    return NetworkDescription(f"{name}3D", form)


def _known_network(stated: object, source: ForeignSource) -> str:
    name = str(stated).removeprefix(_PLACE)
    if name not in _BLOCKS:
        raise source.refusal(f"the network {str(stated)[:80]!r}", f"one of {', '.join(_BLOCKS)}")
    return name


def _steps(
    stated: Mapping[str, Any], channels: int, source: ForeignSource
) -> tuple[PreprocessingStep, ...]:
    """Return cropping and normalization, which must be the same for all channels."""
    schemes = stated.get("normalization_schemes")
    masks = stated.get("use_mask_for_norm")
    kinds = set(map(str, schemes)) if isinstance(schemes, list) else set()
    if isinstance(schemes, list) and len(schemes) != channels:
        raise source.refusal(
            f"{len(schemes)} 'normalization_schemes' for {channels} channels", "one for each"
        )
    if kinds == {"NoNormalization"}:
        return (CropToBrain(),)
    if kinds != {"ZScoreNormalization"}:
        raise source.refusal(
            f"the normalization {', '.join(sorted(kinds))[:80] or 'nothing'}",
            "ZScoreNormalization for all channels",
        )
    if masks not in ([True] * channels, [False] * channels):
        raise source.refusal(
            f"'use_mask_for_norm' = {str(masks)[:60]}", "the same for all channels"
        )
    return (CropToBrain(), Standardize(voxels="brain" if masks == [True] * channels else "all"))
