"""Brain extraction with the two networks of `deepbet` 1.0.2 (Fisch et al. 2024)."""

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from scripted_models.errors import Cancelled
from scripted_models.geometry import Grid
from scripted_models.images.training_space import orientation_code
from scripted_models.preparation.deepbet_weights import load_network
from scripted_models.preparation.deepbet_wheel import BOX, BRAIN

_SMALL, _LARGE = (128,) * 3, (256,) * 3
_QUANTILES = (0.005, 0.995)
_FULL_PLANE = 0.02  # share of a plane that is brain, for the plane to count
_MARGIN = 0.1  # of the box, on each side


class DeepbetExtractor:
    """Finds the brain, first its box in the small volume, then the brain in the box.

    Args:
        device: where the networks run.

    Raises:
        ResourceError: the wheel is not installed, or holds other files.
    """

    name = "deepbet 1.0.2"

    def __init__(self, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._find_box = load_network(BOX).to(self._device)
        self._find_brain = load_network(BRAIN).to(self._device)

    def probability(
        self, image: sitk.Image, cancelled: Callable[[], bool] = lambda: False
    ) -> sitk.Image:
        """Return the probability of brain, as `BrainExtractor` says; 0 outside of the box."""
        turned = sitk.DICOMOrient(sitk.Cast(image, sitk.sitkFloat32), "RAS")
        xyz = torch.from_numpy(sitk.GetArrayFromImage(turned).transpose(2, 1, 0).copy())
        found = self._probability(xyz.to(self._device), cancelled).cpu().numpy()
        there = Grid.of(turned).image_from(found.transpose(2, 1, 0))
        back = sitk.DICOMOrient(there, orientation_code(image.GetDirection()))
        Grid.of(image).put_on(back)  # turning there and back rounds
        return back

    @torch.inference_mode()
    def _probability(self, xyz: Tensor, cancelled: Callable[[], bool]) -> Tensor:
        """Return probabilities (x, y, z) for a volume (x, y, z) in RAS orientation."""
        whole = torch.zeros_like(xyz)
        small = _sized(xyz, _SMALL)
        low, high = np.quantile(small.cpu().numpy(), _QUANTILES)
        if not high > low:
            return whole
        coarse = _run(self._find_box, _normalized(small, low, high), cancelled)
        box = _box(_largest(coarse > 0.5), tuple(xyz.shape))
        if box is None:
            return whole
        inside = _run(self._find_brain, _normalized(_sized(xyz[box], _LARGE), low, high), cancelled)
        whole[box] = _sized(inside, tuple(whole[box].shape))
        return whole


def _run(network: nn.Module, volume: Tensor, cancelled: Callable[[], bool]) -> Tensor:
    """Return the probability of brain; asks before each layer whether to go on."""

    def ask(*_: object) -> None:
        if cancelled():
            raise Cancelled

    hooks = [module.register_forward_pre_hook(ask) for module in network.modules()]
    try:
        found: Tensor = network(volume[None, None])[0, 1]
        return found
    finally:
        for hook in hooks:
            hook.remove()


def _sized(volume: Tensor, size: tuple[int, ...]) -> Tensor:
    return interpolate(volume[None, None], size, mode="nearest-exact")[0, 0]


def _normalized(volume: Tensor, low: float, high: float) -> Tensor:
    """Return gray levels as both networks were trained on (mean and deviation of ImageNet)."""
    scaled = ((volume - float(low)) / float(high - low)).clamp(0, 1)
    return (scaled - scaled.mean()) / scaled.std() * 0.226 + 0.449


def _largest(mask: Tensor) -> np.ndarray:
    """Return the largest component of a mask, bool (x, y, z)."""
    image = sitk.GetImageFromArray(mask.cpu().numpy().astype(np.uint8))
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(image), sortByObjectSize=True)
    return np.asarray(sitk.GetArrayViewFromImage(parts) == 1)


def _box(small: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Return the box of a brain in a larger volume with a margin; None without a brain."""
    box = []
    for axis, size in enumerate(shape):
        others = tuple(i for i in range(3) if i != axis)
        hit = np.flatnonzero(small.mean(axis=others) > _FULL_PLANE)
        if not hit.size:
            return None
        scale = size / small.shape[axis]
        center = round(scale * (hit[0] + hit[-1] + 1) / 2)
        length = round((1 + 2 * _MARGIN) * scale * (hit[-1] + 1 - hit[0]))
        start, stop = int(center - length / 2), int(center + length / 2)
        box.append(slice(max(0, start), min(size, stop)))
    return tuple(box)
