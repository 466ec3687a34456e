"""Faults in folders of DICOM files."""

import numpy as np
import SimpleITK as sitk
from dicom_fixtures import Study, Writer
from fault_table import MODEL, NAMES, fault

NAME = "dicom-fbeae7c1_20240117_c47f"


def study(inputs, change=lambda name: {}):
    """Write the case as the series of one study; return writer and command.

    Args:
        inputs: of the case, which are removed.
        change: sequence -> attributes of its series.
    """
    writer = Writer(inputs.folder, Study("P1", uid="1.2.3"))
    for name in NAMES:
        array = sitk.GetArrayFromImage(inputs.image(name))
        array = np.rint(array * (1000 / array.max())).astype(np.uint16)
        writer.sequence(name, f"AX {name}", array, **{"spacing": (1, 1, 5), **change(name)})
        inputs.paths[name].unlink()
    return writer, of_folder(inputs)


def of_folder(inputs):
    return ["segment", str(inputs.folder), "--output", str(inputs.output), "--model", MODEL]


@fault(
    77,
    "a DICOM study with a localizer",
    0,
    f"{NAME}, series 5 'scout' was ignored: it is a localizer (ImageType).",
)
def dicom_study(inputs):
    writer, command = study(inputs)
    localizer = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    writer.series("scout", np.ones((3, 9, 9), np.uint16), ImageType=localizer)
    return command


@fault(
    77,
    "a DICOM series without two of its slices",
    2,
    f"Case {NAME}: found t1 (series 1 'AX t1'), "
    "t1c (series 2 'AX t1c'), flair (series 4 'AX flair') "
    "and no sure t2 "
    "(series 3 'AX t2': slices are missing or uneven: 5 to 15 mm apart), expected all four "
    "sequences; add the files or name them with --t1 --t1c --t2 --flair.",
)
def dicom_series_with_a_gap(inputs):
    order = [*range(6), *range(8, 14)]
    return study(inputs, lambda name: {"order": order} if name == "t2" else {})[1]


@fault(
    77,
    "a DICOM study whose T1c is a reformat only",
    2,
    f"Case {NAME}: found t1 (series 1 'AX t1'), t2 (series 3 'AX t2'), flair (series 4 'AX flair') "
    "and no sure t1c "
    "(series 2 'AX t1c': it is derived (ImageType DERIVED\\SECONDARY\\MPR)), expected all four "
    "sequences; add the files or name them with --t1 --t1c --t2 --flair.",
)
def dicom_reformat(inputs):
    derived = {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}
    return study(inputs, lambda name: derived if name == "t1c" else {})[1]


@fault(
    77,
    "a slice of a DICOM series cut off",
    2,
    "{IN}/SE003/IM0004.dcm: found a DICOM image that cannot be decoded, expected a whole image in "
    "a transfer syntax that GDCM reads; export the series again, uncompressed if it can be chosen.",
)
def truncated_dicom(inputs):
    command = study(inputs)[1]
    path = inputs.folder / "SE003" / "IM0004.dcm"
    path.write_bytes(path.read_bytes()[:-700])
    return command


@fault(
    77,
    "a DICOM folder named for T1 that holds several series",
    2,
    "{IN}: found 4 series of a volume (series 1 'AX t1'; series 2 'AX t1c'; series 3 'AX t2'; "
    "series 4 'AX flair'), expected one; name a file of the series, or a folder that holds it "
    "alone.",
)
def folder_of_several_series(inputs):
    study(inputs)
    inputs.paths.update(dict.fromkeys(NAMES, inputs.folder))


@fault(
    77,
    "--dicom-seg for volumes that are no DICOM series",
    2,
    "Case case: found case_t1c.nii.gz as t1c, expected a DICOM series as t1c, to which a DICOM "
    "SEG can refer; leave out --dicom-seg, or give DICOM files.",
)
def dicom_seg_of_other_files(inputs):
    return [*of_folder(inputs), "--dicom-seg"]


@fault(
    77,
    "--dicom-seg for a study that lost its frame of reference",
    2,
    "{IN}/SE002/IM0000.dcm: found series 2 'AX t1c' without FrameOfReferenceUID, expected magnetic "
    "resonance images that a DICOM SEG can refer to; leave out --dicom-seg, or export the series "
    "again from where it is from.",
)
def dicom_seg_without_frame(inputs):
    return [*study(inputs, lambda name: {"each": without_frame})[1], "--dicom-seg"]


def without_frame(data, index):
    del data.FrameOfReferenceUID
