"""Probabilities and label maps of pictures from a trained network."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from scripted_models.bundle.image_scales import ImageScale
from scripted_models.bundle.weights import Model
from scripted_models.errors import ModelError
from scripted_models.inference import predict_slice
from scripted_models.networks.crf.refinement import build_crf, refine
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.atomic_files import write_file
from scripted_models.tasks.voc.classes import CLASSES


class PicturePredictor:
    """A loaded model of VOC with all that leads from a picture to its label map.

    Args:
        model: its network is used on its own device.
        factors: of the picture's height and width; probabilities of several are averaged.
        crf: run a dense CRF with its usual settings also where the model has none.

    Raises:
        ModelError: a model without a scale of pictures.
    """

    def __init__(self, model: Model, factors: Sequence[float] = (1.0,), crf: bool = False):
        scale = model.description.image_scale
        if scale is None:
            raise ModelError(
                found="no image_scale", expected="a model of pictures", path=model.folder
            )
        self.network, self.scale, self.factors = model.slice_network, scale, factors
        self.crf = model.crf or (build_crf(len(CLASSES), {}, "voc") if crf else None)

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        """Return what the network says of a picture, float32 (classes, H, W).

        Args:
            picture: uint8 RGB (H, W, 3).
        """
        return predict_picture(self.network, scaled(picture, self.scale), self.factors)

    def labels(self, picture: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return the most probable class of every pixel, after the CRF if there is one."""
        if self.crf is not None:
            probabilities = refine(self.crf, probabilities, picture.transpose(2, 0, 1))
        return probabilities.argmax(axis=0)


def scaled(picture: np.ndarray, scale: ImageScale) -> np.ndarray:
    """Return what a network sees of a picture, float32 (3, H, W).

    Args:
        picture: uint8 RGB (H, W, 3).
        scale: what its weights expect.
    """
    ordered = picture[..., ::-1] if scale.colors == "BGR" else picture
    values = ordered.astype(np.float32) / 255 * np.float32(scale.scale)
    mean, std = np.asarray(scale.mean, np.float32), np.asarray(scale.std, np.float32)
    return ((values - mean) / std).transpose(2, 0, 1)


def predict_picture(
    network: SliceNetwork, image: np.ndarray, factors: Sequence[float] = (1.0,)
) -> np.ndarray:
    """Compute class probabilities of a picture.

    Several sizes of it are averaged (Lin et al. 2017, section 4).

    Args:
        network: in evaluation mode, used on its own device.
        image: float32 (C, H, W), see `scaled`.
        factors: of the picture's height and width.

    Returns:
        float32 (classes, H, W).
    """
    height, width = image.shape[1:]
    found = []
    for factor in factors:
        other = [max(round(n * factor), 1) for n in (height, width)]
        probabilities = _whole(network, _resized(image, other))
        found.append(_resized(probabilities, (height, width)))
    total: np.ndarray = sum(found[1:], start=found[0])
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
    resized = F.interpolate(tensor, list(size), mode="bilinear", align_corners=False)
    return resized[0].numpy()
