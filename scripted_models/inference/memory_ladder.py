"""Where a network goes on when memory runs out: one rung down, each with less memory than the last.

On a GPU fewer slices or windows are taken at a time before anything here happens; the result is the
same. A network of volumes takes one window at a time on a CPU from the start.
"""

from enum import Enum

import torch

from scripted_models.inference.devices import GpuMemoryError
from scripted_models.runtime.memory import is_shortage


class Rung(Enum):
    """How a volume is computed; the lower, the less memory it takes."""

    GPU = "on the GPU, in single precision"
    GPU_HALF = "on the GPU, in half precision"
    CPU = "on the CPU, several slices at a time"
    CPU_ONE_SLICE = "on the CPU, one slice at a time"

    @classmethod
    def top_on(cls, device: torch.device) -> "Rung":
        """Return the rung where a volume begins on a device."""
        return cls.CPU if device.type == "cpu" else cls.GPU

    def below(self, error: Exception, may_leave_gpu: bool, by_slices: bool = True) -> "Rung | None":
        """Return the rung to try next.

        Args:
            error: what ended the try on this rung.
            may_leave_gpu: whether the CPU may take over.
            by_slices: whether the network is one of slices.

        Returns:
            None when the error says nothing about memory, or this is the lowest rung that is
            allowed.
        """
        if isinstance(error, GpuMemoryError):
            lower = _BELOW_ON_GPU.get(self)
            return lower if may_leave_gpu or lower is not Rung.CPU else None
        return _BELOW_ON_CPU.get(self) if by_slices and is_shortage(error) else None


_BELOW_ON_GPU = {Rung.GPU: Rung.GPU_HALF, Rung.GPU_HALF: Rung.CPU}
_BELOW_ON_CPU = {Rung.CPU: Rung.CPU_ONE_SLICE}
