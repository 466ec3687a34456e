"""A small folder of PASCAL VOC, and experiments on it with a tiny network."""

from pathlib import Path

import numpy as np
from PIL import Image

from scripted_models.tasks.voc.masks import write_mask

EXPERIMENT = """
name = "{name}"
preprocessing = []
postprocessing = []
[network]
name = "{network}"
arguments = {arguments}
[data]
task = "voc"
[training]
seed = 1
threads = 1
phases = 1
optimizer = "adam"
balance = "none"
pixels_per_patch = 0
output_bias = "zero"
output_size = 32
batch_size = 2
[training.phase1]
epochs = 2
steps_per_epoch = {steps}
learning_rate = 0.01
final_learning_rate = 0.001
"""
UNET = (
    '{ in_channels = 3, num_classes = 21, widths = [8, 8], context_slices = 0, planes = ["axial"] }'
)


def write_voc(folder: Path) -> Path:
    """Write four pictures whose colors tell their classes, with a void border around these."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate("abcd"):
        rng = np.random.default_rng(seed)
        mask = np.zeros((40, 44), np.uint8)
        top, left = rng.integers(4, 14, 2)
        mask[top - 1 : top + 17, left - 1 : left + 17] = 255
        mask[top : top + 16, left : left + 16] = (7, 15)[seed % 2]
        colors = np.array([[90, 90, 90], [220, 40, 40], [40, 60, 220]])
        picture = colors[np.searchsorted((0, 7, 15), np.where(mask == 255, 0, mask))]
        picture = (picture + rng.normal(0, 8, picture.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / "JPEGImages" / f"{name}.png")
        write_mask(folder / "SegmentationClass" / f"{name}.png", mask)
    for split, names in (("train", "abc"), ("val", "d")):
        (folder / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(names))
    return folder


def write_experiment(folder: Path, name: str = "voc", steps: int = 1, **changes: str) -> Path:
    """Write an experiment file; `changes` are the network and its arguments."""
    values = {"network": "UNet", "arguments": UNET, **changes}
    path = folder / f"{name}.toml"
    path.write_text(EXPERIMENT.format(name=name, steps=steps, **values))
    return path
