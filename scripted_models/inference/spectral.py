"""Large convolutions by fast Fourier transform: other arithmetic, same weights, same result.

A valid convolution of an H x W input is the part of a circular one that does not wrap round, so
transforms of the input's own size suffice. Two real filters are the real and the imaginary part of
one complex filter, and one inverse transform gives the outputs of both: the two pieces of a maxout
unit.
"""

import copy
import itertools
import math
import threading
from concurrent.futures import Executor

import torch
from torch import nn

from scripted_models.networks.fourier import smooth_size
from scripted_models.networks.layers import Maxout
from scripted_models.networks.slice_network import SliceNetwork

SMALLEST_KERNEL = 11  # below, a direct convolution is as fast
_CHUNK = 8  # maps that are transformed at a time, to stay in the cache


class SpectralLayer(nn.Module):
    """A valid convolution evaluated by FFT; spectra of its weights are kept for one size at a time.

    Args:
        layer: convolution with stride, dilation and groups of 1; its weights are shared.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer, self.out_channels = layer, layer.out_channels
        self._size: tuple[int, int] = (0, 0)
        self._storage = torch.empty(0)
        self._spectra = torch.empty(0)
        self._lock = threading.Lock()

    @torch.inference_mode()
    def prepare(self, height: int, width: int) -> tuple[int, int]:
        """Make the spectra for inputs of a size, unless they are there.

        Returns:
            The size of the transforms.
        """
        size = (smooth_size(height), smooth_size(width))
        with self._lock:
            if size != self._size or self._spectra.device != self.layer.weight.device:
                self._spectra = self._transform(self._filters(), size)
                self._size = size
        return size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, out, H - k + 1, W - k + 1)."""
        size = self.prepare(*x.shape[2:])
        rows, columns = self.layer.kernel_size
        valid = (x.shape[2] - rows + 1, x.shape[3] - columns + 1)
        out = x.new_empty((len(x), self.out_channels, *valid))
        for image, result in zip(x, out, strict=True):
            self._convolve(image, size, result)
        return out

    @property
    def bias(self) -> torch.Tensor:
        """The bias of the convolution; all zeros where it has none."""
        bias = self.layer.bias
        return (
            self.layer.weight.new_zeros(self.layer.out_channels) if bias is None else bias.detach()
        )

    def _filters(self) -> torch.Tensor:
        """Return the kernels, flipped, in the order in which `_convolve` reads their spectra."""
        raise NotImplementedError

    def _convolve(self, image: torch.Tensor, size: tuple[int, int], out: torch.Tensor) -> None:
        """Map (C, H, W) to `out`, (out channels, H - k + 1, W - k + 1)."""
        raise NotImplementedError

    def _transform(self, filters: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return the 2-D spectra of small kernels, the half ones if they are real.

        Along the columns it is a matrix product: most of the rows that an FFT would read are 0.
        """
        along_rows = torch.fft.fft if filters.is_complex() else torch.fft.rfft
        lines = along_rows(filters, n=size[1])
        columns = _dft_matrix(size[0], filters.shape[-2]).to(lines)
        shape = (*lines.shape[:-2], size[0], lines.shape[-1])
        spectra = self._reserve(math.prod(shape), lines).view(shape)
        return torch.matmul(columns, lines, out=spectra)

    def _reserve(self, count: int, like: torch.Tensor) -> torch.Tensor:
        """Return room for numbers; touching fresh memory costs more than the transform."""
        kept = self._storage
        if len(kept) < count or kept.dtype != like.dtype or kept.device != like.device:
            self._storage = self._spectra = torch.empty(0)
            self._storage = torch.empty(count, dtype=like.dtype, device=like.device)
        return self._storage[:count]


class SpectralConv2d(SpectralLayer):
    """A convolution with few outputs: products of transformed maps and spectra are added."""

    def _filters(self) -> torch.Tensor:
        return self.layer.weight.detach().flip(2, 3).transpose(0, 1).contiguous()

    def _convolve(self, image: torch.Tensor, size: tuple[int, int], out: torch.Tensor) -> None:
        total = self._spectra.new_zeros(self._spectra.shape[1:])
        for start in range(0, len(image), _CHUNK):
            maps = torch.fft.rfft2(image[start : start + _CHUNK], s=size)
            for one, spectra in zip(maps, self._spectra[start : start + _CHUNK], strict=True):
                total.addcmul_(spectra, one)
        valid = _valid(torch.fft.irfft2(total, s=size), image, self.layer)
        torch.add(valid, self.bias.view(-1, 1, 1), out=out)


class SpectralMaxout(SpectralLayer):
    """A convolution and the maxout over its outputs; two pieces come from one inverse transform.

    Args:
        layer: as for `SpectralLayer`.
        pieces: of the maxout; with an odd number the last one is computed twice.
    """

    def __init__(self, layer: nn.Conv2d, pieces: int) -> None:
        super().__init__(layer)
        self.pieces, self.out_channels = pieces, layer.out_channels // pieces

    def _filters(self) -> torch.Tensor:
        return _pack(self.layer.weight.detach().flip(2, 3), self.pieces)

    def _convolve(self, image: torch.Tensor, size: tuple[int, int], out: torch.Tensor) -> None:
        maps = torch.fft.fft2(image, s=size)
        bias = _pack(self.bias, self.pieces) * math.prod(size)
        for pair, (spectra, offsets) in enumerate(zip(self._spectra, bias, strict=True)):
            for start in range(0, len(out), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                products = spectra[chunk, 0] * maps[0]
                for channel in range(1, len(maps)):
                    products.addcmul_(spectra[chunk, channel], maps[channel])
                products[:, 0, 0] += offsets[chunk]
                both = torch.view_as_real(_valid(torch.fft.ifft2(products), image, self.layer))
                if pair:
                    torch.maximum(out[chunk], both[..., 0], out=out[chunk])
                    torch.maximum(out[chunk], both[..., 1], out=out[chunk])
                else:
                    torch.maximum(both[..., 0], both[..., 1], out=out[chunk])


def _pack(values: torch.Tensor, pieces: int) -> torch.Tensor:
    """Split the first axis into pieces and make complex numbers of pairs: (pairs, C, ...)."""
    parts = list(values.chunk(pieces))
    parts += parts[-1:] * (pieces % 2)
    return torch.stack([torch.complex(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)])


def _valid(circular: torch.Tensor, image: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
    (rows, columns), (height, width) = layer.kernel_size, image.shape[1:]
    return circular[:, rows - 1 : height, columns - 1 : width]


def _dft_matrix(size: int, count: int) -> torch.Tensor:
    """Return the first `count` columns of the discrete Fourier transform's matrix, complex128."""
    turns = torch.outer(torch.arange(size), torch.arange(count)) % size
    return torch.exp(turns.to(torch.complex128) * (-2j * math.pi / size))


class SpectralNetwork(nn.Module):
    """A network with the weights of another one that evaluates its large convolutions by FFT.

    Every module keeps its own `forward`; only convolutions are exchanged, a large one together with
    the maxout that follows it in an `nn.Sequential`. The others get channels-last weights.

    Args:
        network: stays as it is.
    """

    def __init__(self, network: SliceNetwork) -> None:
        super().__init__()
        tensors = (*network.parameters(), *network.buffers())
        self.network = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
        for parent in list(self.network.modules()):
            _exchange_children(parent)
        self._missing: dict[SpectralLayer, int] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the other network returns, up to rounding."""
        return self.network(x)

    def prepare(self, height: int, width: int, pool: Executor) -> None:
        """Make the spectra of all layers for windows of a size at once, before they are needed."""
        if not self._missing:
            self._measure()
        jobs = [
            pool.submit(layer.prepare, height - missing, width - missing)
            for layer, missing in self._missing.items()
        ]
        for job in jobs:
            job.result()

    @torch.inference_mode()
    def _measure(self) -> None:
        """Find by how many pixels the input of each layer is smaller than the window."""
        edge = sum(self.network.margins) + 1  # of the smallest window
        layers = [layer for layer in self.network.modules() if isinstance(layer, SpectralLayer)]

        def note(layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
            if isinstance(layer, SpectralLayer):
                self._missing[layer] = edge - inputs[0].shape[2]

        hooks = [layer.register_forward_pre_hook(note) for layer in layers]
        like = next(self.network.parameters())
        self.network(like.new_zeros((1, self.network.input_channels, edge, edge)))
        for hook in hooks:
            hook.remove()


def has_large_convolutions(network: nn.Module) -> bool:
    """Tell whether a network has convolutions that `SpectralNetwork` would exchange."""
    return any(_is_large(layer) for layer in network.modules())


def _exchange_children(parent: nn.Module) -> None:
    children = [*parent.named_children(), ("", None)]
    for (name, layer), (next_name, after) in itertools.pairwise(children):
        if not isinstance(layer, nn.Conv2d):
            continue
        if not _is_large(layer):
            weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
            layer.weight = nn.Parameter(weight, requires_grad=False)
        elif isinstance(parent, nn.Sequential) and isinstance(after, Maxout) and after.pieces > 1:
            setattr(parent, name, SpectralMaxout(layer, after.pieces))
            setattr(parent, next_name, nn.Identity())
        else:
            setattr(parent, name, SpectralConv2d(layer))


def _is_large(layer: nn.Module | None) -> bool:
    """Tell whether a module is a plain valid convolution with a large kernel."""
    return (
        isinstance(layer, nn.Conv2d)
        and min(layer.kernel_size) >= SMALLEST_KERNEL
        and layer.stride == layer.dilation == (1, 1)
        and layer.padding in ((0, 0), "valid")
        and layer.groups == 1
        and layer.bias is not None
    )
