"""Weights in a file: read without running code of it, and never larger than the file."""

import io
import zipfile

import torch

from scripted_models.errors import ModelError

_KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)


def read_state_dict(content: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors of a state dict by name, on the CPU.

    Args:
        content: of a file that `torch.save` has written.

    Raises:
        ModelError: anything but plain tensors, or more values than the file holds.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as records:
            if any(record.compress_type for record in records.infolist()):
                raise ValueError("compressed records")  # could unpack to any size
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(weights, dict) or not all(map(_is_plain, weights.items())):
            raise ValueError("something else than plain tensors")
        if sum(value.numel() * value.element_size() for value in weights.values()) > len(content):
            raise ValueError("tensors that share their values")  # may be of any size
    except Exception as error:  # torch raises many kinds for foreign content
        # torch's own words advise to load the file without care
        reason = str(error)[:150] if isinstance(error, ValueError) else type(error).__name__
        raise ModelError(
            found=f"weights that are not a plain state dict ({reason})",
            expected="tensors by name",
            action="nothing was loaded, get the model folder again from a source you trust",
        ) from error
    return dict(weights)


def _is_plain(item: tuple[object, object]) -> bool:
    key, value = item
    return (
        isinstance(key, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in _KINDS
    )


def require_finite(weights: dict[str, torch.Tensor]) -> None:
    """Raise ModelError for NaN or infinity in weights."""
    broken = [key for key, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(
            found=f"NaN or infinity in the weights {broken[:3]}",
            expected="finite numbers",
            action="train again",
        )


def shapes_of(weights: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor."""
    return {key: tuple(value.shape) for key, value in weights.items()}
