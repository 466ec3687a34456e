"""Lesions as a table of BIDS: one row each, and what its columns mean."""

from collections.abc import Mapping

from scripted_models.measurement.lesions import Lesion, Lesions

INTEGER, _NUMBER = {"Format": "integer"}, {"Format": "number"}
_MM = {"Units": "mm", **_NUMBER}
_AXIS = "position of the center in LPS coordinates, toward the {} of the patient"
COLUMNS: Mapping[str, Mapping[str, object]] = {
    "index": {"Description": "number of the lesion, the largest first; value in the label map",
              **INTEGER},
    "name": {"Description": "what the lesion is called"},
    "region": {"Description": "region whose connected parts the lesions are",
               "Levels": {"ET": "enhancing tumor", "WT": "whole tumor, where nothing enhances"}},
    "volume": {"Description": "volume of the lesion", "Units": "mL", **_NUMBER},
    "voxels": {"Description": "number of voxels", **INTEGER},
    "slices": {"Description": "axial slices that the lesion touches", **INTEGER},
    "measurable": {"Description": "both diameters at least 10 mm, on at least two slices "
                   "(Wen et al. 2010, J Clin Oncol 28(11))",
                   "Levels": {"true": "measurable", "false": "too small"}},
    "longest": {"Description": "largest diameter in an axial slice", **_MM},
    "perpendicular": {"Description": "longest diameter perpendicular to it, in its slice", **_MM},
    "x": {"Description": _AXIS.format("left"), **_MM},
    "y": {"Description": _AXIS.format("back"), **_MM},
    "z": {"Description": _AXIS.format("head"), **_MM},
}  # fmt: skip


def lesion_rows(lesions: Lesions) -> list[dict[str, object]]:
    """Return a row for each lesion, with the `COLUMNS`."""
    return [_row(lesion) for lesion in lesions.items]


def _row(lesion: Lesion) -> dict[str, object]:
    x, y, z = (round(place, 2) for place in lesion.centroid_lps_mm)
    lines = lesion.diameters
    return {
        "index": lesion.number,
        "name": f"lesion {lesion.number}",
        "region": lesion.region,
        "volume": round(lesion.volume_ml, 4),
        "voxels": lesion.voxels,
        "slices": lesion.slices,
        "measurable": lesion.is_measurable,
        "longest": round(lines.longest_mm, 2) if lines else None,
        "perpendicular": round(lines.perpendicular_mm, 2) if lines else None,
        **{"x": x, "y": y, "z": z},
    }
