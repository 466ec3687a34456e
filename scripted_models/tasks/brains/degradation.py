"""Degraded copies: real cases as a worse scan, another scanner or another brain mask shows them.

Each kind of damage is a function of image, labels and a source of randomness, on voxels of about
1 mm. The same functions make training cases and the cases on which robustness is measured. Image
(4, z, y, x) float32 in the order of `SEQUENCES`, x to the left, y to the back, z up, 0 outside of
the brain; labels (z, y, x).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from scripted_models.brain_mask import brain_mask

VERSION = 1  # raise it when the copies get other values: cached ones are then made again
Pair = tuple[np.ndarray, np.ndarray]
Damage = Callable[[np.ndarray, np.ndarray, np.random.Generator], Pair]


def degrade(image: np.ndarray, labels: np.ndarray, seed: int, kinds: Sequence[str] = ()) -> Pair:
    """Return a damaged copy of a case.

    Args:
        image: as above.
        labels: internal ones.
        seed: decides all that is random.
        kinds: of `KINDS`, in order; empty: one to three, drawn.
    """
    random = np.random.default_rng(seed)
    if not kinds:
        count = random.integers(1, 4)
        kinds = [k for k in KINDS if k in set(random.choice(list(KINDS), count, replace=False))]
    image = np.array(image, np.float32)
    for kind in kinds:
        image, labels = KINDS[kind](image, labels, random)
    return image, labels.astype(np.uint8)


def rotate(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Turn the whole head by up to 15 degrees."""
    turn = _rigid(labels.shape, random, degrees=15.0, shift=5.0)
    return _moved_all(image, turn), _moved(labels, turn, sitk.sitkNearestNeighbor)


def misalign(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Move one sequence other than T1c by up to 2 mm and 2 degrees."""
    index = random.choice([0, 2, 3])
    turn = _rigid(labels.shape, random, degrees=2.0, shift=2.0)
    image[index] = _moved(image[index], turn, sitk.sitkLinear)
    return image, labels


def thicken(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Give slices of 3 to 7 mm to one sequence, some or all, along an axis for each."""
    brain = brain_mask(image)
    for index in _some(random):
        axis = random.choice(3, p=(0.6, 0.2, 0.2))
        thick = int(random.integers(3, 8))
        image[index] = np.where(brain, _thick(image[index], axis, thick, random), 0)
    return image, labels


def blur(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Blur one sequence or some with a deviation of 0.7 to 1.6 voxels."""
    brain = brain_mask(image)
    for index in _some(random):
        volume = sitk.GetImageFromArray(image[index])
        soft = sitk.SmoothingRecursiveGaussian(volume, float(random.uniform(0.7, 1.6)))
        image[index] = np.where(brain, sitk.GetArrayFromImage(soft), 0)
    return image, labels


def cut(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Let the field of view of one sequence or two end inside the head, above or below."""
    brain = brain_mask(image)
    z, y, x = (np.arange(n, dtype=np.float32) for n in brain.shape)
    for index in random.choice(4, random.integers(1, 3), replace=False):
        tilt_y, tilt_x = np.tan(np.radians(random.uniform(-20, 20, 2)))
        height = z[:, None, None] + tilt_y * y[:, None] + tilt_x * x
        height = height if random.random() < 0.6 else -height
        limit = np.quantile(height[brain][::97], random.uniform(0.75, 0.97))
        image[index][height > limit] = 0
    return image, labels


def shade(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Multiply each sequence by a smooth field, as coils do."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in labels.shape), indexing="ij", sparse=True)
    for index in range(len(image)):
        field: Any = 0.0
        for a in range(3):
            field = field + random.uniform(-0.3, 0.3) * axes[a]
            for b in range(a, 3):
                field = field + random.uniform(-0.3, 0.3) * axes[a] * axes[b]
        image[index] *= np.exp(field)
    return image, labels


def recolor(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Give each sequence another contrast: a power of its gray values between two percentiles."""
    for index in range(len(image)):
        inside = image[index] != 0
        if inside.any():
            values = image[index][inside]
            low, high = np.percentile(values, (0.5, 99.5))
            spread = max(float(high - low), 1e-6)
            unit = np.clip((values - low) / spread, 0.001, 1.5)
            image[index][inside] = unit ** np.exp(random.uniform(-0.6, 0.6)) * spread
    return image, labels


def remask(image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Pair:
    """Take a rim of 1 or 2 mm from the brain, or leave a rim of fluid, bone and dura on it."""
    brain = brain_mask(image)
    steps = [int(random.integers(1, 3))] * 3
    mask = sitk.GetImageFromArray(brain.astype(np.uint8))
    if random.random() < 0.5:
        kept = sitk.GetArrayFromImage(sitk.BinaryErode(mask, steps)) > 0
        return image * kept, labels
    rim = (sitk.GetArrayFromImage(sitk.BinaryDilate(mask, steps)) > 0) & ~brain
    for index in np.flatnonzero(image.any(axis=(1, 2, 3))):
        coarse = random.normal(0, 1, [-(-n // 6) for n in brain.shape])
        patches = np.kron(coarse, np.ones((6, 6, 6)))[tuple(map(slice, brain.shape))]
        level = random.uniform(0.1, 1.2) * np.median(image[index][brain])
        image[index][rim] = np.maximum(0.05 * level, level * (1 + 0.5 * patches[rim]))
    return image, labels


KINDS: dict[str, Damage] = {
    "rotate": rotate,
    "misalign": misalign,
    "thicken": thicken,
    "blur": blur,
    "shade": shade,
    "recolor": recolor,
    "remask": remask,
    "cut": cut,
}


def _some(random: np.random.Generator) -> np.ndarray:
    """Draw one channel, or each by chance, or all."""
    drawn = random.random()
    if drawn < 0.5:
        return random.choice(4, 1)
    return np.flatnonzero(random.random(4) < 0.5) if drawn < 0.8 else np.arange(4)


def _thick(volume: np.ndarray, axis: int, thick: int, random: np.random.Generator) -> np.ndarray:
    """Return means over slabs, interpolated between their centers."""
    lines = np.moveaxis(volume, axis, 0)
    starts = np.arange(int(random.integers(thick)), len(lines) - thick + 1, thick)
    if len(starts) < 2:
        return volume
    slabs = np.stack([lines[start : start + thick].mean(axis=0) for start in starts])
    place = np.interp(np.arange(len(lines)), starts + (thick - 1) / 2, np.arange(len(starts)))
    below = np.minimum(place.astype(int), len(starts) - 2)
    share = (place - below).astype(np.float32)[:, None, None]
    return np.moveaxis(slabs[below] * (1 - share) + slabs[below + 1] * share, 0, axis)


def _rigid(
    shape: Sequence[int], random: np.random.Generator, degrees: float, shift: float
) -> sitk.Transform:
    """Draw a rotation about the middle, about any axis, and a shift."""
    axis, away = random.normal(size=3), random.normal(size=3)
    turn = sitk.VersorRigid3DTransform()
    turn.SetCenter([(n - 1) / 2 for n in reversed(shape)])
    angle = float(np.radians(random.uniform(-degrees, degrees)))
    turn.SetRotation((axis / np.linalg.norm(axis)).tolist(), angle)
    turn.SetTranslation((away / np.linalg.norm(away) * random.uniform(0, shift)).tolist())
    return turn


def _moved(volume: np.ndarray, transform: sitk.Transform, interpolator: int) -> np.ndarray:
    image = sitk.GetImageFromArray(volume)
    moved: np.ndarray = sitk.GetArrayFromImage(sitk.Resample(image, transform, interpolator))
    return moved


def _moved_all(image: np.ndarray, transform: sitk.Transform) -> np.ndarray:
    """Move all channels, within the brain as it was."""
    brain = _moved(brain_mask(image).astype(np.uint8), transform, sitk.sitkNearestNeighbor)
    return np.stack([_moved(c, transform, sitk.sitkLinear) * (brain > 0) for c in image])
