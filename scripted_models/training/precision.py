"""Training in half precision, with the sums of the large output layer left in float32.

The 21 x 21 output layer adds 98,784 products for each value; `benchmarks/mixed_precision.py`
measures what half precision would do to them.
"""

from typing import Any

import torch

from scripted_models.errors import InputError

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class MixedPrecision:
    """What the hidden layers compute in.

    Args:
        name: 'float32', 'bfloat16', or 'float16', which needs a GPU and scales the loss.
        device: of the network.

    Raises:
        InputError: 'float16' on the CPU.
    """

    def __init__(self, name: str, device: torch.device):
        if name == "float16" and device.type != "cuda":
            raise InputError(
                found="training.precision = 'float16' on the CPU",
                expected="a GPU",
                action="choose 'bfloat16' or 'float32'",
            )
        self.device, self.dtype = device, _DTYPES.get(name)
        self.scaler = _make_scaler() if name == "float16" else None

    def autocast(self) -> torch.autocast:
        """Return the context in which the hidden layers are evaluated."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def step(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Compute the gradients and let the optimizer take its step."""
        if self.scaler is None:
            loss.backward()
            optimizer.step()
            return
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        self.scaler.update()

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return self.scaler.state_dict() if self.scaler else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `state()` returned; an empty state changes nothing."""
        if self.scaler and state:
            self.scaler.load_state_dict(state)


def _make_scaler() -> Any:
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler("cuda")
    return torch.cuda.amp.GradScaler()  # before PyTorch 2.3


def quick_precision(device: torch.device) -> str:
    """Return 'bfloat16' where the processor or GPU computes in it, else 'float32'.

    Without such instructions bfloat16 is several times slower than float32.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    has_it = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bfloat16" if has_it() else "float32"
