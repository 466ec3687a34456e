"""Lesions as a table of BIDS: one row each, and what its columns mean."""

from collections.abc import Mapping

from scripted_models.measurement.lesion_table import lesion_rows
from scripted_models.measurement.lesions import Lesions

INTEGER, _NUMBER = {"Format": "integer"}, {"Format": "number"}
_MM = {"Units": "mm", **_NUMBER}
_CENTER = "mean position of the voxels, in mm toward the {} of the patient"
LESION_COLUMNS: Mapping[str, Mapping[str, object]] = {
    "index": {"Description": "number of the lesion, from 1, the largest first; value in the label "
              "map", **INTEGER},
    "name": {"Description": "what the lesion is called"},
    "region": {"Description": "region whose connected parts the lesions are",
               "Levels": {"ET": "enhancing tumor", "WT": "whole tumor, where nothing enhances"}},
    "volume_ml": {"Description": "volume", "Units": "mL", **_NUMBER},
    "side": {"Description": "side of the patient",
             "Levels": {"left": "left", "right": "right", "both": "at least a tenth on each side"}},
    "slices": {"Description": "axial slices that the lesion touches", **INTEGER},
    "first_slice": {"Description": "index of the first of them, from 0", **INTEGER},
    "last_slice": {"Description": "index of the last of them, from 0", **INTEGER},
    "measurable": {"Description": "whether it is measurable "
                   "(Wen et al. 2010, J Clin Oncol 28(11))",
                   "Levels": {"true": "measurable", "false": "not measurable"}},
    "longest_mm": {"Description": "largest diameter in an axial slice", **_MM},
    "perpendicular_mm": {"Description": "longest line perpendicular to it, in its slice", **_MM},
    "product_mm2": {"Description": "product of both diameters", "Units": "mm^2", **_NUMBER},
    "ball_mm": {"Description": "diameter of the largest ball inside the lesion", **_MM},
    "slice_index": {"Description": "index of the slice of the diameters, from 0", **INTEGER},
    "centroid_x_lps_mm": {"Description": _CENTER.format("left"), **_MM},
    "centroid_y_lps_mm": {"Description": _CENTER.format("back"), **_MM},
    "centroid_z_lps_mm": {"Description": _CENTER.format("head"), **_MM},
}  # fmt: skip


def numbered_rows(lesions: Lesions) -> list[dict[str, object]]:
    """Return a row for each lesion; its keys are `LESION_COLUMNS`."""
    return [
        {"index": row["number"], "name": f"lesion {row['number']}", **_without_number(row)}
        for row in lesion_rows(lesions)
    ]


def _without_number(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "number"}
