"""Label maps of pictures from a trained network."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from scripted_models.bundle.image_scales import ImageScale
from scripted_models.inference import predict_slice
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.atomic_files import write_file


def scaled(picture: np.ndarray, scale: ImageScale) -> np.ndarray:
    """Return what a network sees of a picture, float32 (3, H, W).

    Args:
        picture: uint8 RGB (H, W, 3).
        scale: what its weights expect.
    """
    ordered = picture[..., ::-1] if scale.colors == "BGR" else picture
    values = ordered.astype(np.float32) / 255 * np.float32(scale.scale)
    return ((values - np.float32(scale.mean)) / np.float32(scale.std)).transpose(2, 0, 1)


def predict_picture(
    network: SliceNetwork, image: np.ndarray, factors: Sequence[float] = (1.0,)
) -> np.ndarray:
    """Compute class probabilities of a picture; the mean over several sizes of it (Lin et al. 2017, section 4).

    Args:
        network: in evaluation mode, used on its own device.
        image: float32 (C, H, W), see `scaled`.
        factors: of the picture's height and width.

    Returns:
        float32 (classes, H, W).
    """
    total, size = 0.0, image.shape[1:]
    for factor in factors:
        other = [max(round(n * factor), 1) for n in size]
        probabilities = _whole(network, _resized(image, other))
        total = total + _resized(probabilities, size)
    return total / np.float32(len(factors))


def write_probabilities(path: Path, probabilities: np.ndarray) -> None:
    """Write class probabilities (classes, H, W) as a .npy file in half precision."""
    buffer = io.BytesIO()
    np.save(buffer, probabilities.astype(np.float16), allow_pickle=False)
    write_file(path, buffer.getvalue())


def _whole(network: SliceNetwork, image: np.ndarray) -> np.ndarray:
    everywhere = np.ones((1, *image.shape[1:]), bool)
    return predict_slice(network, image[:, None], everywhere, 0)[2]


def _resized(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    tensor = torch.from_numpy(np.ascontiguousarray(maps))[None]
    return F.interpolate(tensor, list(size), mode="bilinear", align_corners=False)[0].numpy()
