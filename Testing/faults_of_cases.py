"""Faults 67 and 77: patients of several cases, and how the files of cases lie in folders."""

import json
import shutil

import numpy as np
import SimpleITK as sitk
from fault_table import MODEL, NAMES, fault


def of_folder(inputs):
    """Return `segment` of the folder of the case."""
    return ["segment", str(inputs.folder), "--output", str(inputs.output), "--model", MODEL]


def move(inputs, places):
    """Move the inputs, sequence -> path in the folder of the case."""
    for sequence, place in places.items():
        path = inputs.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        inputs.paths[sequence] = inputs.paths[sequence].rename(path)
    return of_folder(inputs)


def train(inputs, *options):
    """Make two cases with label maps, of one patient; return `train`."""
    truth = sitk.Cast(inputs.image("flair") > 1e9, sitk.sitkUInt8)
    for visit in (1, 2):
        folder = inputs.folder / f"sub-01_ses-{visit}"
        folder.mkdir()
        for sequence, path in inputs.paths.items():
            shutil.copy(path, folder / f"{folder.name}_{sequence}.nii.gz")
        sitk.WriteImage(truth, str(folder / f"{folder.name}_seg.nii.gz"))
    for path in inputs.paths.values():
        path.unlink()
    folders = ["--data", str(inputs.folder), "--output", str(inputs.output)]
    return ["train", "havaei2017/LocalPathCNN", *folders, "--coding", "brats2021", *options]


@fault(
    67,
    "lists that put two time points of a patient into training and test",
    2,
    "Found cases of patient sub-01 for two parts: sub-01_ses-1 in data.train and sub-01_ses-2 in "
    "data.test, expected all cases of a patient in one; list them together; if they are of "
    "different patients, say so in the table of data.patients.",
)
def divided_patient(inputs):
    lists = ['data.train=["sub-01_ses-1"]', 'data.test=["sub-01_ses-2"]', "data.real=true"]
    return train(inputs, "--set", *lists)


def with_table(inputs, text):
    table = inputs.root / "patients.tsv"
    table.write_text(text)
    return train(inputs, "--patients", str(table), "--set", "data.real=true")


@fault(
    67,
    "a table of patients that lacks a case",
    2,
    "{ROOT}/patients.tsv: found no patient of sub-01_ses-2, expected each case of the data in a "
    "row; add them, by the names that `scripted-models cases` lists.",
)
def table_without_a_case(inputs):
    return with_table(inputs, "case\tpatient\nsub-01_ses-1\tA\n")


@fault(
    67,
    "a table of patients with other columns",
    2,
    "{ROOT}/patients.tsv: found a table with the columns id and group, expected one column 'case' "
    "and one column 'patient' in its first row; name them so, with tabs or commas between.",
)
def table_of_other_columns(inputs):
    return with_table(inputs, "id\tgroup\nsub-01_ses-1\tA\n")


@fault(
    67,
    "a table of patients with a case in two rows",
    2,
    "{ROOT}/patients.tsv: found a second row of case sub-01_ses-1 in row 3, expected one row with "
    "case and patient for each case; correct the table.",
)
def table_with_a_case_twice(inputs):
    return with_table(inputs, "case,patient\nsub-01_ses-1,A\nsub-01_ses-1,B\n")


@fault(
    77,
    "a folder with a damaged DICOM file and nothing else",
    2,
    "{IN}: found DICOM files of no T1, T1c, T2 or FLAIR (I0001: it is a damaged DICOM file), "
    "expected magnetic resonance series of a head; choose another folder, or name the series "
    "with --t1 --t1c --t2 --flair.",
)
def dicom_folder(inputs):
    for path in inputs.paths.values():
        path.unlink()
    series = inputs.folder / "PAT1" / "T1"
    series.mkdir(parents=True)
    (series / "I0001").write_bytes(bytes(128) + b"DICM" + bytes(3000))
    return of_folder(inputs)


@fault(77, "one folder for each sequence", 0)
def folders_of_sequences(inputs):
    return move(inputs, {m: f"{m.upper()}/p1.nii.gz" for m in NAMES})


@fault(77, "one folder for each sequence in that of the patient, files of any name", 0)
def folders_in_that_of_the_patient(inputs):
    return move(inputs, {m: f"p1/{m.upper()}/scan{n}.nii.gz" for n, m in enumerate(NAMES)})


def nnunet(inputs):
    return move(inputs, {m: f"imagesTr/p1_{n:04d}.nii.gz" for n, m in enumerate(NAMES)})


@fault(77, "nnU-Net's raw layout", 0)
def layout_of_nnunet(inputs):
    channels = {str(n): m for n, m in enumerate(NAMES)}
    (inputs.folder / "dataset.json").write_text(json.dumps({"channel_names": channels}))
    return nnunet(inputs)


@fault(
    77,
    "nnU-Net's raw layout without its dataset.json",
    2,
    "{IN}: found volumes numbered as nnU-Net does (such as p1_0000.nii.gz), expected a "
    "dataset.json beside imagesTr that names the channels; restore it, or name the files by "
    "sequence (t1, t1ce, t2, flair).",
)
def nnunet_without_description(inputs):
    return nnunet(inputs)


@fault(77, "MSD with a name of four digits", 0)
def msd_of_four_digits(inputs):
    whole = sitk.JoinSeries([inputs.image(m) for m in NAMES])
    for path in inputs.paths.values():
        path.unlink()
    inputs.paths.clear()
    (inputs.folder / "imagesTr").mkdir()
    sitk.WriteImage(whole, str(inputs.folder / "imagesTr" / "BRATS_1000.nii.gz"))
    table = {"name": "BRATS", "modality": {str(n): m for n, m in enumerate(NAMES)}}
    (inputs.folder / "dataset.json").write_text(json.dumps(table))
    return of_folder(inputs)


@fault(77, "pairs of header and voxels (.mhd with .raw)", 0)
def pairs_of_files(inputs):
    for sequence in NAMES:
        inputs.write(sequence, inputs.image(sequence), f"case_{sequence}.mhd")
    return of_folder(inputs)


@fault(
    77,
    "a volume beside the case that is no part of it",
    0,
    "{IN}: found 1 volume(s) left out because their names tell no sequence (thing.nii.gz).",
)
def volume_that_is_left_out(inputs):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    sitk.WriteImage(image, str(inputs.folder / "thing.nii.gz"))
    return of_folder(inputs)
