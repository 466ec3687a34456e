"""Made label maps on series of DICOM, and their SEG and SR."""

import numpy as np
from dicom_fixtures import Writer

from scripted_models.cases.dicom.named_series import named_source
from scripted_models.measurement.lesions import find_lesions
from scripted_models.measurement.volumes import measure
from scripted_models.segmentation.dicom_export.algorithm import Algorithm
from scripted_models.segmentation.dicom_export.exported_files import (
    SEG_FILE,
    SR_FILE,
    write_objects,
)
from scripted_models.segmentation.dicom_export.segmentation_object import segmentation_object
from scripted_models.segmentation.dicom_export.source_images import source_headers

KNOWN = (0, 1, 2, 3, 4, 5)
SHAPE = (12, 6, 8)  # z, y, x; frames end with a byte, which ITK's reader needs
IMAGE = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
MODEL = Algorithm("made", "1.2", "ab" * 32, "cd" * 32)
PLANES = {  # rows, columns
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (0.96, 0.28, 0, -0.168, 0.576, 0.8),
    "feet first": (-1, 0, 0, 0, 1, 0),
}
MIXED = np.random.default_rng(1).permutation(12)
ORDERS = dict(zip(PLANES, (range(12), range(11, -1, -1), MIXED, MIXED, range(12)), strict=True))


def some_labels(seed=0, labels=KNOWN, shape=SHAPE):
    random = np.random.default_rng(seed)
    return random.choice(np.array(labels, np.uint8), shape) * (random.random(shape) < 0.4)


def series_in(folder, array=IMAGE, name="t1c", **values):
    """A series as the program finds it."""
    writer = Writer(folder, name="{slice:03d}")
    writer.sequence(name, name, array, **values)
    return named_source(folder).series


def export(folder, series, labels, known=KNOWN, algorithm=MODEL, with_lesions=False):
    folder.mkdir()
    sizes = {size.name: size.volume_ml for size in measure(labels, series.grid, known)}
    lesions = find_lesions(labels, series.grid).items if with_lesions else ()
    write_objects(folder, labels, known, sizes, lesions, series, algorithm)
    return folder / SEG_FILE, folder / SR_FILE


def export_seg(file, series, labels):
    """Write the SEG alone, which is quicker."""
    made = segmentation_object(labels, KNOWN, series, source_headers(series), MODEL)
    made.save_as(file, enforce_file_format=True)
    return file
