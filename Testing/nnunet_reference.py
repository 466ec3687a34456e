"""The published steps of nnU-Net's predictor by hand, around networks of any number of folds."""

import itertools

import numpy as np
import SimpleITK as sitk
import torch
from scipy.ndimage import binary_fill_holes, gaussian_filter, map_coordinates

FILES = ("t1", "t1ce", "t2", "flair")
PATCH = (16, 48, 48)


def starts(length, side):
    """Return where nnU-Net's windows begin: as many as steps of half a window, evenly spread."""
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [int(np.round(i * (length - side) / max(count - 1, 1))) for i in range(count)]


def importance(patch):
    """Return nnU-Net's weights of a window: a filtered point in its middle, in float16."""
    point = np.zeros(patch)
    point[tuple(side // 2 for side in patch)] = 1
    weights = gaussian_filter(point, [side / 8 for side in patch], mode="constant")
    weights = (weights / weights.max() * 10).astype(np.float16)
    weights[weights == 0] = weights[weights > 0].min()
    return torch.as_tensor(weights.astype(np.float32))


def resized(volume, shape, order):
    """Return (C, ...) of another shape, as scikit-image resizes with edges that go on."""
    axes = [
        (np.arange(n) + 0.5) * old / n - 0.5 for n, old in zip(shape, volume.shape[1:], strict=True)
    ]
    places = np.meshgrid(*axes, indexing="ij")
    parts = [map_coordinates(part, places, order=order, mode="nearest") for part in volume]
    pairs = zip(parts, volume, strict=True)
    return np.stack([np.clip(new, old.min(), old.max()) for new, old in pairs])


def slid(networks, seen, patch, mirror):
    """Return the logits of windows of (C, ...), mirrored, of several networks their mean."""
    missing = [max(0, side - length) for side, length in zip(patch, seen.shape[1:], strict=True)]
    pads = [(n // 2, n - n // 2) for n in missing]
    padded = torch.as_tensor(np.pad(seen, [(0, 0), *pads]))[None]
    axes = [m for n in range(4) for m in itertools.combinations(mirror, n)]
    places = itertools.product(*map(starts, padded.shape[2:], patch))
    weights, total, joined = importance(patch), torch.zeros(padded.shape[2:]), 0
    for place in places:
        box = tuple(slice(start, start + side) for start, side in zip(place, patch, strict=True))
        window = padded[(..., *box)]
        logits = sum(net(window.flip(m)).flip(m) for net in networks for m in axes)
        mean = torch.zeros((logits.shape[1], *total.shape))
        mean[(slice(None), *box)] = weights * logits[0] / len(axes) / len(networks)
        joined, total[box] = joined + mean, total[box] + weights
    cut = [slice(low, low + n) for (low, _), n in zip(pads, seen.shape[1:], strict=True)]
    return (joined / total)[(slice(None), *cut)].numpy()


def theirs(case, networks, outputs, patch=PATCH, spacing=None, axes=(0, 1, 2), mirror=(2, 3, 4)):
    """Return logits (outputs, z, y, x) of nnU-Net's steps; isotropic ones where it resamples."""
    images = [sitk.ReadImage(str(case / f"{case.name}_{name}.nii.gz")) for name in FILES]
    volume = np.stack([sitk.GetArrayFromImage(image) for image in images]).astype(np.float32)
    mask = binary_fill_holes((volume != 0).any(axis=0))
    box = tuple(slice(p.min(), p.max() + 1) for p in np.nonzero(mask))
    seen, inside = volume[(slice(None), *box)].copy(), mask[box]
    for channel in seen:
        values = channel[inside]
        channel[inside] = (values - values.mean()) / max(values.std(), 1e-8)
    if spacing is not None:
        steps = zip(inside.shape, images[0].GetSpacing()[::-1], spacing, strict=True)
        seen = resized(seen, [round(n * old / new) for n, old, new in steps], 3)
    turned = np.ascontiguousarray(seen.transpose(0, *(1 + axis for axis in axes)))
    with torch.no_grad():
        said = slid(networks, turned.astype(np.float32), patch, mirror)
    said = said.transpose(0, *(1 + place for place in np.argsort(axes)))
    logits = np.full((outputs, *mask.shape), -np.inf, np.float32)
    logits[(slice(None), *box)] = resized(said, inside.shape, 1) if spacing else said
    return logits, (volume != 0).any(axis=0)


def labels_of_regions(logits, brain):
    wt, tc, et = logits > 0
    return np.where(et, 4, np.where(tc, 1, np.where(wt, 2, 0))) * brain
