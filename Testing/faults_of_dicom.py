"""Faults in folders of DICOM files."""

import shutil

import numpy as np
from dicom_fixtures import Study, Writer
from fault_table import MODEL, NAMES, OTHERS, fault

IDENTITY = {"cosines": (1, 0, 0, 0, 1, 0)}


def study(inputs, *folders):
    """Write the case as DICOM, once into each folder; return the command."""
    for folder in folders or ("dvd",):
        writer = Writer(inputs.folder / folder, Study(folder, uid=f"1.2.{len(folder)}"))
        writer.four({name: stored(inputs, name) for name in NAMES}, spacing=(1, 1, 5))
    for path in inputs.paths.values():
        path.unlink()
    return ["segment", str(inputs.folder), "--output", str(inputs.output), "--model", MODEL]


def stored(inputs, name):
    import SimpleITK as sitk

    array = sitk.GetArrayFromImage(inputs.image(name))
    return np.rint(array * (1000 / array.max())).astype(np.uint16)
