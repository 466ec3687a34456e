"""Patch-wise prediction, the reference that dense prediction is compared with.

Every voxel is classified by the patch around it alone, as in training (Havaei et al. 2017, section
3). It costs about 200 times the arithmetic of `inference`, whose results it must equal; tests and
benchmarks use it.
"""

import copy
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from scripted_models.inference import brain_box
from scripted_models.networks.layers import DensePool, LargeConv2d
from scripted_models.networks.slice_network import SliceNetwork

Network = TypeVar("Network", bound=nn.Module)


def predict_voxels(
    network: SliceNetwork, plane: np.ndarray, voxels: np.ndarray, batch_size: int = 128
) -> np.ndarray:
    """Compute the class probabilities of single voxels of a slice, each from its own patch.

    A patch reaches `network.margins` before and after its voxel, so its edge is the receptive
    field. Where it leaves the slice it is 0.

    Args:
        network: maps (N, C, H, W) to logits smaller by `network.margins`; in evaluation mode, used
            on its own device.
        plane: (C, y, x) in the precision of the network.
        voxels: int (P, 2), y and x of each voxel; `np.argwhere` gives those of a mask.
        batch_size: patches evaluated together.

    Returns:
        (P, classes), in the precision of the network.
    """
    low, high = network.margins
    padded = np.pad(plane, ((0, 0), (low, high), (low, high)))
    edge = (low + high + 1,) * 2
    patches = np.lib.stride_tricks.sliding_window_view(padded, edge, axis=(1, 2))
    device = next(network.parameters()).device
    parts = [np.empty((0, network.num_classes), plane.dtype)]
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for start in range(0, len(voxels), batch_size):
            rows, columns = voxels[start : start + batch_size].T
            batch = torch.from_numpy(patches[:, rows, columns].swapaxes(0, 1).copy())
            parts.append(network(batch.to(device)).softmax(dim=1)[:, :, 0, 0].cpu().numpy())
    return np.concatenate(parts)


def predict_slice_patchwise(
    network: SliceNetwork, image: np.ndarray, brain: np.ndarray, z: int, batch_size: int = 128
) -> tuple[slice, slice, np.ndarray]:
    """Compute class probabilities in the brain box of one slice, as `inference.predict_slice` does.

    Args:
        network: one that neither pads nor sees other slices.
        image, brain, z: as for `inference.predict_slice`.
        batch_size: as for `predict_voxels`.

    Returns:
        Row and column slices of the box, and float32 (classes, rows, columns).
    """
    rows, columns = brain_box(brain[z])
    box = np.zeros(brain.shape[1:], bool)
    box[rows, columns] = True
    values = predict_voxels(network, image[:, z], np.argwhere(box), batch_size)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return rows, columns, values.T.reshape(-1, *shape).astype(np.float32)


def with_plain_layers(network: Network) -> Network:
    """Copy a network and give the copy `nn.Conv2d` and `nn.MaxPool2d` for the project's own layers.

    Weights and results are the same; it is the network as anybody would write it down.
    """
    plain = copy.deepcopy(network)
    for parent in list(plain.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, LargeConv2d):
                setattr(parent, name, _plain_convolution(layer))
            elif isinstance(layer, DensePool):
                setattr(parent, name, nn.MaxPool2d(layer.size, stride=1))
    return plain


def _plain_convolution(layer: LargeConv2d) -> nn.Conv2d:
    rows, columns = layer.kernel_size
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, (rows, columns))
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain
