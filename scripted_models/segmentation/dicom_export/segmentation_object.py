"""A label map as a DICOM SEG: one binary segment for each label, on the grid of its series."""

from typing import TYPE_CHECKING

import numpy as np

from scripted_models.images.dicom_series import DicomSeries
from scripted_models.segmentation.dicom_export.algorithm import Algorithm
from scripted_models.segmentation.dicom_export.codes import (
    BRAIN,
    CATEGORY,
    Code,
    TumorPart,
    parts_of,
)
from scripted_models.segmentation.dicom_export.source_images import frame_order

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset

SERIES_NUMBER = 9901
_DESCRIPTION = "Brain tumor segmentation, for research only"


def segmentation_object(
    labels: np.ndarray,
    known: tuple[int, ...],
    series: DicomSeries,
    headers: "list[Dataset]",
    algorithm: Algorithm,
) -> "Segmentation":
    """Make a DICOM SEG of a label map.

    A label that does not occur is a segment without frames; empty frames are stored only where
    there are no others.

    Args:
        labels: uint8 (z, y, x), internal labels, on the grid of the series.
        known: internal labels that the model can give.
        series: on whose grid they lie.
        headers: of `source_headers`.
        algorithm: that made them.
    """
    import pydicom
    from highdicom.seg import Segmentation, SegmentationTypeValues

    parts = parts_of(known)
    numbers = np.zeros(256, np.uint8)
    for number, part in enumerate(parts, start=1):
        numbers[list(part.labels)] = number
    made = Segmentation(
        source_images=headers,
        pixel_array=numbers[labels[frame_order(series)]],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(n, p, algorithm) for n, p in enumerate(parts, start=1)],
        series_instance_uid=pydicom.uid.generate_uid(None),
        series_number=SERIES_NUMBER,
        sop_instance_uid=pydicom.uid.generate_uid(None),
        instance_number=1,
        omit_empty_frames=bool(labels.any()),
        series_description=_DESCRIPTION,
        content_description=_DESCRIPTION,
        content_label="BRAIN_TUMOR",
        **algorithm.equipment,
    )
    made.ContentCreatorName = ""  # no person; it must be there
    return made


def concept(code: Code) -> "CodedConcept":
    """Return a code as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def _segment(number: int, part: TumorPart, algorithm: Algorithm) -> "SegmentDescription":
    import pydicom
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    return SegmentDescription(
        segment_number=number,
        segment_label=str(part.name),
        segmented_property_category=concept(CATEGORY),
        segmented_property_type=concept(part.code),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm.in_segments(),
        tracking_uid=pydicom.uid.generate_uid(None),
        tracking_id=str(part.name),
        anatomic_regions=[concept(BRAIN)],
        display_color=CIELabColor.from_rgb(*part.color_rgb),
    )
