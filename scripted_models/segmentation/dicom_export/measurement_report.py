"""Volumes and diameters as a DICOM SR: a measurement report (PS3.16, TID 1500).

Labels are volumetric regions of interest, which refer to their segment (TID 1411). Regions and
lesions have no segment of their own, so they are groups of measurements (TID 1501); the lines of a
lesion's diameters are coordinates in the frame of reference of the series.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scripted_models.measurement.diameters import Point
from scripted_models.measurement.lesions import Lesion
from scripted_models.segmentation.dicom_export.algorithm import MANUFACTURER, PRODUCT, Algorithm
from scripted_models.segmentation.dicom_export.codes import BRAIN, CATEGORY, PARTS
from scripted_models.segmentation.dicom_export.segmentation_object import concept

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import (
        Comprehensive3DSR,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

SERIES_NUMBER = 9902
_DESCRIPTION = "Brain tumor measurements, for research only"


def measurement_report(
    volumes_ml: Mapping[str, float],
    lesions: Sequence[Lesion],
    headers: "list[Dataset]",
    segmentation: "Segmentation",
    algorithm: Algorithm,
) -> "Comprehensive3DSR":
    """Make a DICOM SR of the measurements of a result.

    Args:
        volumes_ml: label or region -> volume in mL.
        lesions: connected lesions.
        headers: of `source_headers`.
        segmentation: of `segmentation_object`, of the same result.
        algorithm: that made it.
    """
    import pydicom
    from highdicom.sr import Comprehensive3DSR, MeasurementReport
    from pydicom.sr.codedict import codes

    groups = [_of_part(key, ml, segmentation, algorithm) for key, ml in volumes_ml.items()]
    frame_of_reference = str(segmentation.FrameOfReferenceUID)
    groups += [_of_lesion(lesion, frame_of_reference, algorithm) for lesion in lesions]
    report = MeasurementReport(
        observation_context=_observer(algorithm),
        procedure_reported=codes.LN.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    return Comprehensive3DSR(
        evidence=[*headers, segmentation],
        content=report,
        series_instance_uid=pydicom.uid.generate_uid(None),
        series_number=SERIES_NUMBER,
        sop_instance_uid=pydicom.uid.generate_uid(None),
        instance_number=1,
        is_complete=True,
        series_description=_DESCRIPTION,
        **algorithm.equipment,
    )


def _observer(algorithm: Algorithm) -> "ObservationContext":
    """Say that a program measured."""
    import pydicom
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=pydicom.uid.generate_uid(None, [PRODUCT, algorithm.weights_sha256]),
        name=algorithm.title,
        manufacturer_name=MANUFACTURER,
        model_name=PRODUCT,
        serial_number=algorithm.weights_sha256,
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _of_part(
    key: str, volume_ml: float, segmentation: "Segmentation", algorithm: Algorithm
) -> "VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations":
    """Return the volume of a label, which has a segment, or of a region, which has none."""
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    name, said = str(PARTS[key].name), _said(key, [_volume(volume_ml)], algorithm)
    segments = [s for s in segmentation.SegmentSequence if s.TrackingID == name]
    if not segments:
        return MeasurementsAndQualitativeEvaluations(TrackingIdentifier(identifier=name), **said)
    (segment,) = segments
    source = segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(uid=segment.TrackingUID, identifier=name),
        referenced_segment=ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            segment.SegmentNumber,
            source_series=SourceSeriesForSegmentation(source),
        ),
        **said,
    )


def _of_lesion(
    lesion: Lesion, frame_of_reference: str, algorithm: Algorithm
) -> "MeasurementsAndQualitativeEvaluations":
    """Return volume and diameters of a lesion."""
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, TrackingIdentifier
    from pydicom.sr.codedict import codes

    found = lesion.diameters
    lines = (
        (codes.SCT.LongAxis, found.longest_mm, found.longest_ends_lps_mm),
        (codes.SCT.ShortAxis, found.perpendicular_mm, found.perpendicular_ends_lps_mm),
    )
    lengths = [_length(*line, frame_of_reference) for line in lines]
    measurements = [_volume(lesion.volume_ml), *lengths]
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(identifier=f"Lesion {lesion.number}"),
        **_said(lesion.region, measurements, algorithm),
    )


def _said(key: str, measurements: "list[Measurement]", algorithm: Algorithm) -> dict[str, Any]:
    """Return what a group says of a label, region or lesion, as arguments."""
    from highdicom.sr import FindingSite

    return {
        "finding_category": concept(CATEGORY),
        "finding_type": concept(PARTS[key].code),
        "finding_sites": [FindingSite(anatomic_location=concept(BRAIN))],
        "algorithm_id": algorithm.in_report(),
        "measurements": measurements,
    }


def _volume(volume_ml: float) -> "Measurement":
    from highdicom.sr import Measurement
    from pydicom.sr.codedict import codes

    unit = codes.UCUM.CubicCentimeter  # the list of units (CID 7462) has no mL
    return Measurement(name=codes.SCT.Volume, value=round(volume_ml, 4), unit=unit)


def _length(
    name: "Code", length_mm: float, ends_lps_mm: tuple[Point, Point], frame_of_reference: str
) -> "Measurement":
    from highdicom.sr import CoordinatesForMeasurement3D, Measurement
    from pydicom.sr.codedict import codes

    line = CoordinatesForMeasurement3D("POLYLINE", np.array(ends_lps_mm), frame_of_reference)
    return Measurement(
        name=name,
        value=round(length_mm, 2),
        unit=codes.UCUM.Millimeter,
        referenced_coordinates=[line],
    )
