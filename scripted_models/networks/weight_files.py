"""Published weights, read into a trunk.

Users have such files, with the layer names of torchvision or of Caffe. A file is a dictionary of
tensors and nothing else; no code of it is run. What the weights expect of an image, the order of
its colors and its scale, is named beside them.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from scripted_models.errors import ModelError
from scripted_models.networks.trunks import TRUNKS, Trunk, layers_of
from scripted_models.runtime.plain_files import open_file

CAFFE, TORCHVISION, SYMMETRIC = "caffe", "torchvision", "symmetric"  # see bundle.image_scales

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_VGG_DEPTHS = (2, 2, 3, 3, 3)
_INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
_BATCH_NORM_EPSILON = 0.001  # of torchvision's GoogLeNet
_TORCHVISION_BRANCHES = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
_BRANCHES = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")

_VGG_TORCHVISION = (
    *(f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
    *("classifier.0", "classifier.3"),
)
_VGG_CAFFE = (
    *(f"conv{s}_{i}" for s, n in enumerate(_VGG_DEPTHS, 1) for i in range(1, n + 1)),
    *("fc6", "fc7"),
)
_ALEXNET_CAFFE = (*(f"conv{i}" for i in range(1, 6)), "fc6", "fc7")
_ALEXNET_TORCHVISION = (
    *(f"features.{i}" for i in (0, 3, 6, 8, 10)),
    *("classifier.1", "classifier.4"),
)
_GOOGLENET_CAFFE = (
    *("conv1_7x7_s2", "conv2_3x3_reduce", "conv2_3x3"),
    *(f"inception_{name}_{branch}" for name in _INCEPTIONS for branch in _BRANCHES),
)
_GOOGLENET_TORCHVISION = (
    *(f"conv{i}.conv" for i in (1, 2, 3)),
    *(f"inception{name}.{branch}.conv" for name in _INCEPTIONS for branch in _TORCHVISION_BRANCHES),
)

# Trunk -> the names of its convolutions in their order, for each kind of file.
LAYER_NAMES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "VGG16": ((TORCHVISION, _VGG_TORCHVISION), (CAFFE, _VGG_CAFFE)),
    "AlexNet": ((CAFFE, _ALEXNET_CAFFE),),
    "AlexNet2014": ((TORCHVISION, _ALEXNET_TORCHVISION),),
    "GoogLeNet": ((CAFFE, _GOOGLENET_CAFFE),),
    "GoogLeNetBN": ((SYMMETRIC, _GOOGLENET_TORCHVISION),),
}


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of tensors by name, or the dictionary 'state_dict' or 'model' inside it.

    Raises:
        ModelError: not readable, more than tensors, or others than plain ones of finite numbers.
    """
    try:
        with open_file(path) as stream:
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for foreign content
        raise ModelError(
            found=f"no file of weights alone ({type(error).__name__})",
            expected="what torch.save makes of a state dict",
            action="get it from a source you trust",
            path=path,
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(torch.is_tensor(v) for v in content.values()):
        raise ModelError(
            found="no state dict",
            expected="tensors by name",
            action="choose another file",
            path=path,
        )
    if wrong := [str(key)[:60] for key, value in content.items() if not _is_plain(value)]:
        raise ModelError(
            found=f"weights that are no plain floating-point numbers, or not finite ({wrong[0]!r})",
            expected="finite numbers of float16, bfloat16, float32 or float64",
            action="choose another file",
            path=path,
        )
    return {_layer_name(key): value for key, value in content.items()}


def _is_plain(value: torch.Tensor) -> bool:
    """Tell whether a tensor has finite values of its own; counters are whole numbers."""
    if value.is_nested or value.layout != torch.strided or value.device.type != "cpu":
        return False
    if value.dtype == torch.int64:
        return value.dim() == 0
    return value.dtype in _FLOATS and bool(torch.isfinite(value.float()).all())


def _layer_name(key: object) -> str:
    """Return a name without what wrappers put before it, and with one kind of separator."""
    return str(key).removeprefix("module.").replace("/", "_")


def load_published(network: nn.Module, path: Path) -> str:
    """Copy published weights from a file into the trunk, or trunks, of a network.

    Returns:
        The name of what the weights expect of an image.

    Raises:
        ModelError: a network without such a trunk, or a file for another one.
    """
    weights = read_weights(path)
    trunk, trunks = getattr(network, "trunk", None), getattr(network, "trunks", None)
    if isinstance(trunks, nn.ModuleList):
        (scale,) = {load_residual(each.get_submodule("body"), weights) for each in trunks}
    elif isinstance(trunk, Trunk):
        scale = load_convolutions(trunk, weights)
    else:
        raise ModelError(
            found=f"weights for a {type(network).__name__}, which has no published trunk",
            expected="an FCN, a dilated network or a RefineNet",
            action="leave network.start out",
            path=path,
        )
    return scale


def load_convolutions(trunk: Trunk, weights: Mapping[str, torch.Tensor]) -> str:
    """Copy published weights into a trunk; fully connected layers become convolutions.

    Filters of RGB are spread over any other number of image channels. A batch normalization after a
    convolution becomes part of it, as it is at prediction.

    Args:
        trunk: one of `TRUNKS` in its full width.
        weights: tensors by name, see `read_weights`.

    Returns:
        The name of what the weights expect of an image.

    Raises:
        ModelError: names or shapes of another network.
    """
    kind = next(name for name, cls in TRUNKS.items() if type(trunk) is cls)
    scale, names = _layer_names(kind, weights)
    for layer, name in zip(convolutions_of(trunk), names, strict=True):
        weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")
        if name.endswith(".conv"):
            weight, bias = _with_normalization(weight, weights, name.removesuffix("conv") + "bn")
        _copy(layer, weight, bias, name == names[0])
    return scale


def _with_normalization(
    weight: torch.Tensor, weights: Mapping[str, torch.Tensor], name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernels and biases of a convolution and the batch normalization after it."""
    stated = ("weight", "bias", "running_mean", "running_var")
    if missing := [f"{name}.{key}" for key in stated if f"{name}.{key}" not in weights]:
        raise ModelError(
            found=f"no {', '.join(missing)}",
            expected="each convolution with its batch normalization",
            action="choose another file or trunk",
        )
    factor, bias, mean, variance = (weights[f"{name}.{key}"].double() for key in stated)
    if any(value.shape != weight.shape[:1] for value in (factor, bias, mean, variance)):
        raise ModelError(
            found=f"{name} of another size than its {weight.shape[0]} maps",
            action="choose another file",
        )
    factor = factor * (variance + _BATCH_NORM_EPSILON).rsqrt()
    kernels = weight * factor.reshape(-1, 1, 1, 1)
    return kernels.to(weight.dtype), (bias - mean * factor).to(weight.dtype)


def _layer_names(kind: str, weights: Mapping[str, torch.Tensor]) -> tuple[str, tuple[str, ...]]:
    """Return what a file expects of an image, and its names for the convolutions of a trunk."""
    known = LAYER_NAMES[kind]
    for scale, names in known:
        if all(f"{name}.weight" in weights for name in names):
            return scale, names
    wanted = [f"{names[0]}.weight ... {names[-1]}.weight" for _, names in known]
    raise ModelError(
        found=f"weights of other layers ({', '.join(sorted(weights)[:3])} ...)",
        expected=f"those of {kind}: {' or '.join(wanted)}",
        action="choose another file or trunk",
    )


def convolutions_of(trunk: Trunk) -> list[nn.Conv2d]:
    """Return the convolutions of a trunk in their order."""
    parts = (part for layer in layers_of(trunk) for part in layer.modules())
    return [part for part in parts if isinstance(part, nn.Conv2d)]


def load_residual(body: nn.Module, weights: Mapping[str, torch.Tensor]) -> str:
    """Copy torchvision's weights of a residual network into MONAI's, which has the same names.

    Raises:
        ModelError: names or shapes of another network.
    """
    own = body.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    counted = {name for name in own if not name.endswith("num_batches_tracked")}
    if missing := sorted(counted - set(given)):
        raise ModelError(
            found=f"weights without {', '.join(missing[:3])}",
            expected="those of torchvision's residual network of the same depth",
            action="choose another file or depth",
        )
    for name, value in given.items():
        if name in own:
            fitted = inflated(value, own[name].shape[1]) if name == "conv1.weight" else value
            _refuse_shape(fitted, own[name], name)
            own[name].copy_(fitted)
    return TORCHVISION


def inflated(filters: torch.Tensor, channels: int) -> torch.Tensor:
    """Spread filters of three colors over another number of channels, for the same mean response.

    Args:
        filters: (out, 3, height, width).
        channels: wanted.
    """
    if filters.shape[1] == channels:
        return filters
    mean = filters.mean(dim=1, keepdim=True) * (filters.shape[1] / channels)
    return mean.expand(-1, channels, -1, -1)


@torch.no_grad()
def _copy(
    layer: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None, is_first: bool
) -> None:
    if weight.dim() == 2 and weight.shape[0] == layer.out_channels:  # a fully connected layer
        inputs = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        if weight.shape[1] == inputs:
            weight = weight.reshape(layer.weight.shape)
    if is_first:
        weight = inflated(weight, layer.in_channels)
    _refuse_shape(weight, layer.weight, "a kernel")
    layer.weight.copy_(weight)
    if bias is not None and layer.bias is not None:
        _refuse_shape(bias.reshape(-1), layer.bias, "a bias")
        layer.bias.copy_(bias.reshape(-1))


def _refuse_shape(found: torch.Tensor, wanted: torch.Tensor, name: str) -> None:
    if found.shape != wanted.shape:
        raise ModelError(
            found=f"{name} of shape {tuple(found.shape)}",
            expected=str(tuple(wanted.shape)),
            action="choose the weights of this network",
        )
