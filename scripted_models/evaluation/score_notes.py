"""Sentences that a reader of scores must know."""

from collections.abc import Collection, Iterable, Mapping
from statistics import fmean

from scripted_models.evaluation.confusion import ConfusionMatrix
from scripted_models.evaluation.metrics import CHALLENGE_METRICS, DEFINITIONS
from scripted_models.labels import CAVITY, RC, REGIONS, SCORED, LabelCoding


def coding_notes(codings: Iterable[tuple[str, LabelCoding]]) -> list[str]:
    """Return sentences about what codings join and leave out, each once."""
    notes = []
    for whose, coding in codings:
        absent = [region for region in REGIONS if region not in coding.regions]
        if coding.note and whose == "Ground truth":
            notes.append(f"Ground truth of coding '{coding.name}': {coding.note}.")
        if absent:
            notes.append(
                f"{whose}: coding '{coding.name}' does not define {', '.join(absent)}: left out."
            )
    return sorted(dict.fromkeys(notes))


def cavity_notes(
    cases: Mapping[str, Collection[str]], truth: Collection[int], prediction: Collection[int]
) -> list[str]:
    """Say how a resection cavity counts, where there is one.

    Args:
        cases: case -> regions that are scored.
        truth: internal labels that occur in the ground truth.
        prediction: internal labels that occur in the predictions.
    """
    if CAVITY not in {*truth, *prediction}:
        return []
    if any(RC in regions for regions in cases.values()):
        return [f"{RC} is the resection cavity, scored by itself; WT, TC and ET do not hold it."]
    whose, other = "predictions", "ground truth"
    if CAVITY in truth:
        whose, other = other, whose
    return [
        f"There is a resection cavity in the {whose}. The coding of the {other} has no number for "
        "it, so it counts as background and has no scores."
    ]


def cavity_scores(mean: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the mean scores of the cavity, which no table of the papers has, as a sentence."""
    row = mean.get(RC)
    if row is None:
        return []
    return [
        f"{RC}: Dice {row['dice']:.3f}, sensitivity {row['sensitivity']:.3f}, "
        f"PPV {row['ppv']:.3f}, HD95 {row['hd95_mm']:.1f} mm."
    ]


def empty_notes(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a sentence for each region with empty masks; counts as `Evaluation.counts`."""
    notes = []
    for region, count in counts.items():
        one = count["only_truth_empty"] + count["only_prediction_empty"]
        if one or count["both_empty"]:
            notes.append(
                f"Region {region}: {count['both_empty']} of {count['cases']} cases are empty in "
                f"both (Dice 1, HD95 0) and {one} in one of the two (Dice 0, HD95 the image "
                "diagonal)."
            )
    return notes


def voxel_notes(voxels: ConfusionMatrix) -> list[str]:
    """Return the scores of all voxels as one sentence."""
    if not voxels.counts.any():
        return []
    values = (f"{name.replace('_', ' ')} {x:.3f}" for name, x in voxels.summary.items())
    return [f"Over the voxels of all cases, as PASCAL VOC counts pixels: {', '.join(values)}."]


def lesion_notes(cases: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Return the scores of the BraTS challenges a region, and what their names mean.

    Args:
        cases: case -> region -> column, those of CHALLENGE_METRICS among them.
    """
    notes = []
    for region in SCORED:
        rows = [scores[region] for scores in cases.values() if region in scores]
        if not rows:
            continue
        mean = {column: fmean(row[column] for row in rows) for column in CHALLENGE_METRICS}
        found, missed, false = (
            round(mean[column] * len(rows))
            for column in ("lesions_found", "lesions_missed", "lesions_false")
        )
        notes.append(
            f"Region {region} as in BraTS 2023: lesion-wise Dice {mean['lesion_dice']:.3f}, "
            f"lesion-wise HD95 {mean['lesion_hd95_mm']:.1f} mm; lesions: {found} found, {missed} "
            f"missed, {false} false; HD95 of the region {mean['brats_hd95_mm']:.1f} mm."
        )
    return [*notes, *(f"{name}: {DEFINITIONS[name]}." for name in CHALLENGE_METRICS)]
