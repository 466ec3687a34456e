"""The four metrics of PASCAL VOC over the voxels of brains."""

import json

import numpy as np
import pytest
from test_evaluation import GRID, NAMES, tumor, write_prediction, write_truth

from scripted_models.evaluation.folder_scores import evaluate_folders
from scripted_models.images.volume_files import write_labels


def test_voxels_of_all_cases_are_scored_as_voc_scores_pixels(tmp_path):
    """One confusion matrix over both cases, written out with loops; in BraTS 2020 3 is 1."""
    predictions, truth, output = (tmp_path / name for name in ("model", "truth", "reports"))
    for name in NAMES:
        write_truth(truth, name, tumor())
        write_prediction(predictions, name, tumor())
    predicted = tumor(1)
    predicted[2, 2:4, 3:5] = 3
    write_labels(predictions / NAMES[1] / "segmentation.nii.gz", predicted, GRID)
    result = evaluate_folders(predictions, truth, output)
    expected = np.zeros((6, 6), int)
    for ours in (tumor(), predicted):
        for t, p in zip(tumor().ravel(), np.where(ours == 3, 1, ours).ravel(), strict=True):
            expected[t, p] += 1
    assert np.array_equal(result.voxels.counts, expected)
    right, total = np.diag(expected), expected.sum()
    iu = [right[k] / (expected[k].sum() + expected[:, k].sum() - right[k]) for k in (0, 1, 2, 4)]
    written = json.loads((output / "metrics.json").read_text(encoding="utf-8"))["voxels"]
    assert written["pixel_accuracy"] == pytest.approx(right.sum() / total)
    assert written["mean_iu"] == pytest.approx(np.mean(iu))
    assert list(written["iu"].values()) == pytest.approx(iu)
    assert f"mean iu {np.mean(iu):.3f}" in (output / "comparison.md").read_text(encoding="utf-8")
