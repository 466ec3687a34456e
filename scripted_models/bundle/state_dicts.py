"""Weights in a file: read without running code of it, and never larger than the file.

What may stand there are plain tensors of numbers on the CPU. float16, bfloat16, float32 and float64
become float32; int64 stays, for counters. All else is refused: other types, tensors without values
of their own (sparse, meta, quantized, nested), and views that make a small file large.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from scripted_models.bundle.zip_files import open_zip
from scripted_models.errors import ModelError

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_KINDS = (*_FLOATS, torch.int64)
_CLASSES = (torch.Tensor, torch.nn.Parameter)  # a subclass decides for itself what its values are
_DIRECTORY_BYTES = 1 << 20  # of a zip file of more than 5000 tensors

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        weights: its state dict.
        rest: all else, as the file has it.
    """

    weights: Weights
    rest: Mapping[Any, Any]


def read_state_dict(content: bytes) -> Weights:
    """Return the tensors of a state dict by name, on the CPU.

    Args:
        content: of a file that `torch.save` has written.

    Raises:
        ModelError: anything but plain tensors, or more values than the file holds.
    """
    with _refusing_content("tensors by name"):
        largest = _bytes_of_records(content)
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return _plain(loaded, largest)


def read_checkpoint(content: bytes, key: str, safe: Sequence[Any] = ()) -> Checkpoint:
    """Return a checkpoint of another program, with the state dict in it.

    Args:
        content: of a file that `torch.save` has written.
        key: of the state dict.
        safe: what the file may name beside tensors and plain values, only while it is read; needs
            PyTorch 2.6.

    Raises:
        ModelError: as `read_state_dict`, or no such key, or a name that is not in the list.
    """
    with _refusing_content(f"a checkpoint with '{key}'"):
        largest = _bytes_of_records(content)
        allow = getattr(torch.serialization, "safe_globals", None)
        with allow(list(safe)) if allow and safe else nullcontext():
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(loaded, dict) or key not in loaded:
            raise ValueError(f"no '{key}'")
        rest = {name: value for name, value in loaded.items() if name != key}
        return Checkpoint(_plain(loaded[key], largest), rest)


@contextmanager
def _refusing_content(expected: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # torch raises many kinds for foreign content
        # torch's own words advise to load the file without care
        reason = str(error)[:150] if isinstance(error, ValueError) else type(error).__name__
        raise ModelError(
            found=f"weights that are not a plain state dict ({reason})",
            expected=expected,
            action="nothing was loaded, get the model folder again from a source you trust",
        ) from error


def _plain(weights: object, largest: int) -> Weights:
    """Return a state dict of plain tensors; raise ValueError for anything else."""
    if not isinstance(weights, dict):
        raise ValueError(f"a {type(weights).__name__}")
    for key, value in weights.items():
        if problem := _problem(key, value):
            raise ValueError(problem)
    _check_storages(weights, largest)
    return dict(weights)


def _bytes_of_records(content: bytes) -> int:
    """Return how many bytes of values a file holds; raise ValueError for a zip file that tricks."""
    with open_zip(io.BytesIO(content), _DIRECTORY_BYTES) as archive:
        records = archive.infolist()
    if any(record.compress_type for record in records):
        raise ValueError("compressed records")  # could unpack to any size
    if len({record.filename.lower() for record in records}) < len(records):
        raise ValueError("two records of one name")
    if sum(record.file_size for record in records) > len(content):
        raise ValueError("records that overlap")
    return sum(record.file_size for record in records if "/data/" in record.filename)


def _problem(key: object, value: object) -> str:
    """Return in words why an entry is no plain tensor, or ''."""
    if not isinstance(key, str):
        return f"a name that is a {type(key).__name__}"
    name = repr(key[:60])
    if type(value) not in _CLASSES or not isinstance(value, torch.Tensor):
        return f"{name} is a {type(value).__name__}, no tensor"
    if value.is_nested or value.layout != torch.strided:
        return f"{name} is nested or sparse"
    if value.device.type != "cpu":
        return f"{name} has no values (device {value.device.type})"
    if value.dtype not in _KINDS:
        return f"{name} holds {str(value.dtype).removeprefix('torch.')}"
    if not value.numel():
        return f"{name} is empty"
    return f"{name} repeats its values" if _repeats(value) else ""


def _repeats(value: torch.Tensor) -> bool:
    """Tell whether a view shows a value at several places, as far as its steps tell."""
    axes = [(n, step) for n, step in zip(value.shape, value.stride(), strict=True) if n > 1]
    extent = 1 + sum((n - 1) * step for n, step in axes)
    return extent < value.numel() or any(step == 0 for _, step in axes)


def _check_storages(weights: Weights, largest: int) -> None:
    """Raise ValueError for values that are used twice, or that are not in the file.

    One tensor may have several names, as layers have that a network holds in two places.
    """
    views: dict[int, dict[tuple[object, ...], int]] = {}
    sizes: dict[int, int] = {}
    for value in weights.values():
        storage = value.untyped_storage()
        place, size = storage.data_ptr(), value.numel() * value.element_size()
        view = (value.dtype, value.storage_offset(), value.shape, value.stride())
        views.setdefault(place, {})[view] = size
        sizes[place] = storage.nbytes()
    if any(sum(views[place].values()) > size for place, size in sizes.items()):
        raise ValueError("tensors that share their values")  # may be of any size
    if sum(sizes.values()) > largest:
        raise ValueError("more values than its records hold")


def as_types_of(weights: Weights, expected: Mapping[str, torch.Tensor]) -> Weights:
    """Return weights in the types of a network's own: float32, and int64 for counters.

    Args:
        weights: as `read_state_dict` gives them.
        expected: state dict of the network, with the same names.

    Raises:
        ModelError: whole numbers where there should be others or the reverse, or values that are
            NaN or infinite, or become so in float32.
    """
    wrong = [key for key, value in weights.items() if _is_float(value) != _is_float(expected[key])]
    if wrong:
        raise ModelError(
            found=f"{_words(weights[wrong[0]])} in the weights {_some(wrong)}",
            expected=_words(expected[wrong[0]]),
            action="get the model folder again",
        )
    cast = {key: value.to(expected[key].dtype) for key, value in weights.items()}
    broken = [key for key, value in cast.items() if not torch.isfinite(value).all()]
    if broken:
        too_large = all(torch.isfinite(weights[key]).all() for key in broken)
        what = "numbers too large for float32" if too_large else "NaN or infinity"
        raise ModelError(
            found=f"{what} in the weights {_some(broken)}",
            expected="finite numbers",
            action="train again",
        )
    return cast


def _is_float(value: torch.Tensor) -> bool:
    return value.dtype in _FLOATS


def _words(value: torch.Tensor) -> str:
    return "floating-point numbers" if _is_float(value) else "whole numbers"


def _some(keys: list[str]) -> str:
    return str([key[:60] for key in keys[:3]])


def shapes_of(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor."""
    return {key: tuple(value.shape) for key, value in weights.items()}
