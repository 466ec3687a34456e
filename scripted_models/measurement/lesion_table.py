"""Lesions as a flat table: what reports, CSV and TSV files share."""

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
    rows = []
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
            lesion.diameters.slice_index,
            *(round(mm, 3) for mm in lesion.centroid_lps_mm),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows
