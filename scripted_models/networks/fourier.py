"""Gradients of large convolutions by fast Fourier transform: equal up to rounding."""

from typing import Any

import torch


class FourierConvolution(torch.autograd.Function):
    """Valid cross-correlation of (N, C, H, W) with (O, C, k, k) kernels, all three products by FFT.

    What a circular correlation of the input's own size wraps round lies outside of the valid part.
    For float32 and few output channels.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return (N, O, H - k + 1, W - k + 1)."""
        size = tuple(smooth_size(length) for length in x.shape[2:])
        kernels = torch.fft.rfft2(weight, s=size).conj_physical()
        ctx.save_for_backward(x, kernels)
        ctx.shapes = (x.shape, weight.shape, size)
        rows, columns = _valid_size(x.shape, weight.shape)
        out = x.new_empty((len(x), len(weight), rows, columns))
        for image, result in zip(x, out, strict=True):  # one at a time, to stay in the cache
            maps = torch.fft.rfft2(image, s=size)
            spectrum = torch.stack([(maps * kernel).sum(dim=0) for kernel in kernels])
            result.copy_(torch.fft.irfft2(spectrum, s=size)[:, :rows, :columns])
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of input and kernels."""
        x, kernels = ctx.saved_tensors
        shape, kernel_shape, size = ctx.shapes
        wanted_x, wanted_weight = ctx.needs_input_grad
        of_x, of_weight = torch.empty_like(x), torch.zeros_like(kernels)
        for index, image in enumerate(x):
            errors = torch.fft.rfft2(gradient[index], s=size)
            if wanted_x:
                spectrum = errors[0] * kernels[0].conj()
                for error, kernel in zip(errors[1:], kernels[1:], strict=True):
                    spectrum.addcmul_(error, kernel.conj())
                of_x[index] = torch.fft.irfft2(spectrum, s=size)[:, : shape[2], : shape[3]]
            if wanted_weight:
                maps = torch.fft.rfft2(image, s=size)
                for total, error in zip(of_weight, errors.conj(), strict=True):
                    total.addcmul_(maps, error)
        if not wanted_weight:
            return of_x, None
        whole = torch.fft.irfft2(of_weight, s=size)[..., : kernel_shape[2], : kernel_shape[3]]
        return of_x if wanted_x else None, whole


def smooth_size(least: int) -> int:
    """Return the smallest even number from `least` on without prime factors above 7.

    Such sizes are fast to transform.
    """
    size = least + least % 2
    while not _is_smooth(size):
        size += 2
    return size


def _valid_size(shape: torch.Size, kernel_shape: torch.Size) -> tuple[int, int]:
    return shape[2] - kernel_shape[2] + 1, shape[3] - kernel_shape[3] + 1


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number == 1
