"""DICOM SEG and SR read back without the library that wrote them: pydicom's attributes alone."""

from dataclasses import dataclass

import numpy as np
import pydicom
import SimpleITK as sitk

from scripted_models.geometry import Grid


@dataclass
class SegFrame:
    """One frame of a SEG: a slice of one segment.

    Attributes:
        segment: its number.
        mask: bool (y, x).
        origin: LPS mm of its first pixel.
        source: SOPInstanceUID of the source image, and the number of its frame or None.
    """

    segment: int
    mask: np.ndarray
    origin: np.ndarray
    source: tuple


def frames_of(path):
    """Return the frames of a SEG; ITK must read the same bits, where its frames end with a byte."""
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    if data.Rows * data.Columns % 8 == 0:
        by_itk = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        assert np.array_equal(by_itk.reshape(pixels.shape) > 0, pixels > 0)
    (shared,) = data.SharedFunctionalGroupsSequence  # holds the segment where there is one
    frames = []
    for mask, group in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        frames.append(
            SegFrame(
                segment_of(group if "SegmentIdentificationSequence" in group else shared),
                mask > 0,
                np.array(group.PlanePositionSequence[0].ImagePositionPatient, float),
                (source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")),
            )
        )
    return frames


def segment_of(group):
    return group.SegmentIdentificationSequence[0].ReferencedSegmentNumber


def grid_of(path, slices):
    """Return the grid that a SEG states, with the origin of its lowest frame."""
    data = pydicom.dcmread(path)
    shared = data.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    measures = shared.PixelMeasuresSequence[0]
    normal = np.cross(cosines[:3], cosines[3:])
    origins = [frame.origin for frame in frames_of(path)]
    direction = np.stack([cosines[:3], cosines[3:], normal], axis=1)
    rows_mm, columns_mm = map(float, measures.PixelSpacing)
    spacing = (columns_mm, rows_mm, float(measures.SpacingBetweenSlices))
    lowest = min(origins, key=lambda origin: origin @ normal)
    size = (data.Columns, data.Rows, slices)
    return Grid(size, spacing, tuple(lowest), tuple(direction.ravel()))


def labels_of(path, grid, known):
    """Put the frames of a SEG onto a grid by their positions; internal labels (z, y, x)."""
    labels = np.zeros(grid.shape_zyx, np.uint8)
    axes = np.reshape(grid.direction, (3, 3))
    values = [label for label in known if label]
    for frame in frames_of(path):
        place = axes.T @ (frame.origin - grid.origin_lps_mm) / grid.spacing_xyz_mm
        x, y, z = np.rint(place).astype(int)
        assert np.abs(place - (x, y, z)).max() < 0.02
        assert (x, y) == (0, 0)
        assert not labels[z][frame.mask].any()  # segments do not overlap
        labels[z][frame.mask] = values[frame.segment - 1]
    return labels


def groups_of(path):
    """Return the measurement groups of an SR: identifier -> meaning -> value."""
    root = pydicom.dcmread(path)
    (measured,) = [i for i in root.ContentSequence if meaning_of(i) == "Imaging Measurements"]
    found = {}
    for group in measured.ContentSequence:
        items = {}
        for item in group.ContentSequence:
            items.setdefault(meaning_of(item), []).append(item)
        found[items["Tracking Identifier"][0].TextValue] = items
    return found


def meaning_of(item):
    """Return the name of a content item."""
    return item.ConceptNameCodeSequence[0].CodeMeaning


def number_of(item):
    """Return value and unit of a measurement."""
    (value,) = item.MeasuredValueSequence
    return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue
