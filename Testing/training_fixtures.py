"""Small training cases made from arrays."""

import numpy as np
import SimpleITK as sitk

from scripted_models.training.training_case import TrainingCase, make_target


def make_case(seed=0, merged=False):
    """Return a case of 6 x 40 x 44 voxels whose image holds the column number in all channels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((6, 40, 44), np.uint8)
    labels[2:4, 10:20, 10:20] = rng.integers(1, 5, (2, 10, 10))
    brain = np.zeros(labels.shape, bool)
    brain[1:5, 4:36, 4:40] = True
    image = np.broadcast_to(np.arange(44, dtype=np.float32), (4, *labels.shape)).copy()
    return TrainingCase.of(f"case{seed}", image, make_target(labels, brain, merged))


def write_small_case(folder, name, seed):
    """Write a case of 28 x 28 x 6 voxels of 1 mm in the BraTS 2018 layout, quick to segment."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((6, 28, 28), np.uint8)
    labels[1:5, 8:20, 8:20] = rng.choice([1, 2, 4], (4, 12, 12))
    (folder / name).mkdir(parents=True)
    for sequence in ("t1", "t1ce", "t2", "flair"):
        image = np.zeros(labels.shape, np.int16)
        image[:, 3:25, 3:25] = rng.integers(50, 300, (6, 22, 22)) + 100 * labels[:, 3:25, 3:25]
        _write(folder / name / f"{name}_{sequence}.nii.gz", image)
    _write(folder / name / f"{name}_seg.nii.gz", labels)


def history_row(phase, epoch, loss, dice):
    """Return an epoch as `write_records` takes it, with one Dice for all regions."""
    scores = {f"dice_{region}": dice for region in ("WT", "TC", "ET")}
    return {"phase": phase, "epoch": epoch, "loss": loss, **scores, "score": dice}


def _write(path, array):
    image = sitk.GetImageFromArray(array)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))
