"""Lesions as a flat table and as a part of report.json: what all reports and files share."""

from dataclasses import asdict

from scripted_models.measurement.lesions import Lesions

COLUMNS = (
    "number",
    "region",
    "volume_ml",
    "side",
    "slices",
    "first_slice",
    "last_slice",
    "measurable",
    "longest_mm",
    "perpendicular_mm",
    "product_mm2",
    "ball_mm",
    "slice_index",
    "centroid_x_lps_mm",
    "centroid_y_lps_mm",
    "centroid_z_lps_mm",
)


def lesion_rows(lesions: Lesions) -> list[dict[str, object]]:
    """Return a row for each lesion, the largest first; its keys are COLUMNS.

    Volumes are rounded to 0.1 microliters, lengths to micrometers. Slices count from 0. The product
    is that of the two diameters.
    """
    rows: list[dict[str, object]] = []
    for lesion in lesions.items:
        longest, other = lesion.diameters.longest_mm, lesion.diameters.perpendicular_mm
        values = (
            lesion.number,
            lesion.region,
            round(lesion.volume_ml, 4),
            lesion.side,
            lesion.slices,
            lesion.first_slice,
            lesion.last_slice,
            lesion.is_measurable,
            round(longest, 3),
            round(other, 3),
            round(longest * other, 3),
            round(lesion.ball_mm, 3),
            lesion.diameters.slice_index,
            *(round(mm, 3) for mm in lesion.centroid_lps_mm),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def lesion_record(lesions: Lesions) -> dict[str, object]:
    """Return what report.json says of the lesions; slices count from 0.

    Of a lesion that is not measurable `shortcoming` says why.
    """
    return {
        "region": lesions.region,
        "necrosis": lesions.necrosis,
        "left_out": lesions.left_out,
        "left_out_ml": round(lesions.left_out_ml, 4),
        "items": [
            {
                "number": lesion.number,
                "voxels": lesion.voxels,
                "volume_ml": round(lesion.volume_ml, 4),
                "slices": lesion.slices,
                "first_slice": lesion.first_slice,
                "last_slice": lesion.last_slice,
                "measurable": lesion.is_measurable,
                "shortcoming": lesion.shortcoming,
                "centroid_lps_mm": lesion.centroid_lps_mm,
                "side": lesion.side,
                "ball_mm": round(lesion.ball_mm, 3),
                "diameters": asdict(lesion.diameters),
            }
            for lesion in lesions.items
        ],
    }
