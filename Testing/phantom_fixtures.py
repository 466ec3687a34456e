"""Phantoms of few voxels on another grid than their own, quick to segment and to train on."""

from pathlib import Path

import SimpleITK as sitk

from scripted_models.cases.phantom.phantom_case import write_phantom_case

DOLL_XYZ = (40, 40, 14)


def write_doll(
    folder: Path, seed: int, size_xyz=DOLL_XYZ, spacing_xyz_mm=(1.0, 1.0, 1.0), orientation="LPS"
) -> Path:
    """Write a phantom that claims to be small: with 1 mm a doll's head, nothing to resample."""
    case = write_phantom_case(folder, seed, size_xyz)
    for path in case.glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        image.SetSpacing(spacing_xyz_mm)
        sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(path))
    return case
