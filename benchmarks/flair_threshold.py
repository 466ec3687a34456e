"""How far FLAIR alone gets: complete-tumour Dice of a threshold, the baseline that a model must beat.

Run: python benchmarks/flair_threshold.py DATA_FOLDER [--predictions FOLDER]

FLAIR is smoothed slightly and standardised inside the brain (its non-zero voxels); a threshold makes a
mask, of which the largest 26-connected component stays. The threshold of each case is the one that is
best on all the *other* cases (leave-one-out), so no case helps to choose its own; Otsu's threshold
(SimpleITK, inside the brain) is printed beside it. With --predictions, a folder of
`<case>/segmentation.nii.gz` or flat label maps, a model's Dice and its gain stand beside the baseline.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.discovery import Case
from scripted_models.errors import ScriptedModelsError
from scripted_models.evaluation.folders import evaluate_folders
from scripted_models.evaluation.pairing import find_truths
from scripted_models.labels import CODINGS, LabelCoding, region_mask

THRESHOLDS = tuple(
    np.arange(0.5, 3.01, 0.25).tolist()
)  # in standard deviations above the brain's mean
SMOOTHING_SIGMA_MM = 1.0
OTSU_CLASSES = 3  # two leave white and grey matter apart from fluid, not the lesion from the brain


def main() -> int:
    """Print the baseline and, where given, a model's Dice beside it."""
    arguments = _parse()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(arguments.threads)
    coding = CODINGS[arguments.coding] if arguments.coding else None
    try:
        cases = [c for c in find_truths(arguments.data, coding) if "flair" in c.images]
        model = _model_dice(arguments)
        rows = {}
        for case in cases:
            rows[case.name] = _case_dice(case, coding)
            print(f"{len(rows)}/{len(cases)} {case.name}", file=sys.stderr)
    except ScriptedModelsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if len(rows) < 2:
        print("leaving one out needs two cases with FLAIR and truth", file=sys.stderr)
        return 2
    _print_thresholds(rows)
    _print_cases(rows, model)
    return 0


def standardised_flair(image: sitk.Image) -> np.ndarray:
    """Return smoothed FLAIR with mean 0 and deviation 1 inside the brain, NaN outside; (z, y, x)."""
    raw = sitk.GetArrayFromImage(image)
    smooth = sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), SMOOTHING_SIGMA_MM)
    values = sitk.GetArrayFromImage(smooth)
    brain = raw != 0
    values[~brain] = np.nan
    return (values - values[brain].mean()) / values[brain].std()


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Keep the largest 26-connected component of a bool mask."""
    labelled = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True)
    labels = sitk.GetArrayViewFromImage(labelled)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (labels == sizes.argmax()) & mask


def otsu_threshold(flair: np.ndarray) -> float:
    """Return Otsu's uppermost threshold of standardised FLAIR, fitted inside the brain."""
    inside = sitk.GetImageFromArray(flair[np.isfinite(flair)][np.newaxis])
    fit = sitk.OtsuMultipleThresholdsImageFilter()
    fit.SetNumberOfThresholds(OTSU_CLASSES - 1)
    fit.Execute(inside)
    return float(fit.GetThresholds()[-1])


def leave_one_out(dice: np.ndarray) -> np.ndarray:
    """Choose for every case the column with the best mean Dice over the other cases.

    Args:
        dice: shape (cases, thresholds).

    Returns:
        Index of the chosen threshold per case.
    """
    return (dice.sum(axis=0) - dice).argmax(axis=1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of BraTS cases with truth")
    parser.add_argument("--predictions", type=Path, help="label maps of a model for the same cases")
    parser.add_argument("--coding", choices=sorted(CODINGS), help="overrules the truth's coding")
    parser.add_argument("--prediction-coding", choices=sorted(CODINGS))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _model_dice(arguments: argparse.Namespace) -> dict[str, float] | None:
    if arguments.predictions is None:
        return None
    stated = (CODINGS.get(name) for name in (arguments.coding, arguments.prediction_coding))
    truth_coding, prediction_coding = stated
    evaluation = evaluate_folders(
        arguments.predictions,
        arguments.data,
        truth_coding=truth_coding,
        prediction_coding=prediction_coding,
    )
    return {case: scores["complete"]["dice"] for case, scores in evaluation.cases.items()}


def _case_dice(case: Case, coding: LabelCoding | None) -> tuple[list[float], float]:
    """Return the Dice of each fixed threshold, and Otsu's."""
    labels, _ = case.read_truth(coding)
    truth = region_mask(labels, "complete")
    flair = standardised_flair(case.images["flair"].read())
    masks = [largest_component(flair > t) for t in (*THRESHOLDS, otsu_threshold(flair))]
    *fixed, otsu = [_dice(mask, truth) for mask in masks]
    return fixed, otsu


def _dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    both = np.count_nonzero(prediction) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(prediction & truth) / both if both else 1.0


def _print_thresholds(rows: dict[str, tuple[list[float], float]]) -> None:
    dice = np.array([fixed for fixed, _ in rows.values()])
    print(f"complete-tumour Dice over {len(rows)} cases")
    print("threshold (sd)   mean    std")
    for threshold, column in zip(THRESHOLDS, dice.T, strict=True):
        print(f"{threshold:14.2f}  {column.mean():.3f}  {column.std():.3f}")
    otsu = np.array([o for _, o in rows.values()])
    print(f"{'Otsu':>14}  {otsu.mean():.3f}  {otsu.std():.3f}\n")


def _print_cases(
    rows: dict[str, tuple[list[float], float]], model: dict[str, float] | None
) -> None:
    dice = np.array([fixed for fixed, _ in rows.values()])
    chosen = leave_one_out(dice)
    baseline = dice[np.arange(len(dice)), chosen]
    print(f"{'case':28} threshold  leave-one-out   Otsu" + ("   model    gain" if model else ""))
    for (case, (_, otsu)), index, score in zip(rows.items(), chosen, baseline, strict=True):
        line = f"{case:28} {THRESHOLDS[index]:9.2f}  {score:13.3f}  {otsu:.3f}"
        print(line + (f"   {model[case]:.3f}  {model[case] - score:+.3f}" if model else ""))
    otsu = np.mean([o for _, o in rows.values()])
    line = f"{'mean':28} {'':9}  {baseline.mean():13.3f}  {otsu:.3f}"
    if model:
        mean = np.mean([model[case] for case in rows])
        line += f"   {mean:.3f}  {mean - baseline.mean():+.3f}"
    print(line)


if __name__ == "__main__":
    sys.exit(main())
