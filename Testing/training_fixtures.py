"""Small training cases made from arrays."""

import numpy as np

from scripted_models.training.cases import TrainingCase, make_target


def make_case(seed=0, merged=False):
    """Return a case of 6 x 40 x 44 voxels whose image holds the column number in all channels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((6, 40, 44), np.uint8)
    labels[2:4, 10:20, 10:20] = rng.integers(1, 5, (2, 10, 10))
    brain = np.zeros(labels.shape, bool)
    brain[1:5, 4:36, 4:40] = True
    image = np.broadcast_to(np.arange(44, dtype=np.float32), (4, *labels.shape)).copy()
    return TrainingCase.of(f"case{seed}", image, make_target(labels, brain, merged))
