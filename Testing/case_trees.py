"""Small folders of cases in the layouts of every BraTS year and of MSD Task01, for the tests."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from test_labels import MEANINGS, digits

from scripted_models.sequences import SEQUENCES

SHAPE = (3, 4, 4)  # z, y, x
GRAY = {"t1": 10, "t1c": 20, "t2": 30, "flair": 40}
OLD, YEAR_2021, YEAR_2023 = "T1 T1C T2 FLAIR", "t1 t1ce t2 flair", "t1n t1c t2w t2f"
VSD = "VSD.Brain.XX.O.MR_{0}/VSD.Brain.XX.O.MR_{0}.{1}.mha"
OT = "VSD.Brain_3more.XX.XX.OT"


@dataclass(frozen=True)
class Layout:
    """One case of a data set, its expected name and coding, and its files.

    `images` has places for the word of the sequence and a number; `words` are t1, t1c, t2, flair.
    """

    name: str
    coding: str | None
    words: str
    images: str
    truth: str | None = None
    also: tuple[str, ...] = ()  # files that are no part of the case

    def image(self, sequence: str) -> str:
        index = SEQUENCES.index(sequence)
        return self.images.format(self.words.split()[index], 680 + index)


def suffixed(folder: str, name: str, words: str, coding: str, sign="_", ext=".nii.gz") -> Layout:
    start = f"{folder}/{name}/{name}{sign}"
    return Layout(name, coding, words, start + "{}" + ext, f"{start}seg{ext}")


def since_2023(folder: str, name: str, coding: str) -> Layout:
    return suffixed(folder, name, YEAR_2023, coding, sign="-")


_P, _SIM = "BRATS_HG0001", "SimBRATS_LG0012"
_2012 = "BRATS-1/Images/{0}/{0}_{{}}.mha"
_MIRROR = "BraTS20_Training_001/BraTS20_Training_001_{0}.nii"
_ASNR = "ASNR-MICCAI-BraTS2023-{}-Challenge-TrainingData"
_355 = "MICCAI_BraTS2020_TrainingData/BraTS20_Training_355/"
LAYOUTS = {
    "2012": Layout(_P, "brats2012", OLD, _2012.format(_P), f"BRATS-1/Truth/{_P}_truth.mha"),
    "2012-one-folder": Layout(_P, "brats2012", OLD, f"{_P}/{_P}_{{}}.mha", f"{_P}/{_P}_truth.mha"),
    "2012-simulated": Layout(
        _SIM, "brats2012", OLD, _2012.format(_SIM), f"BRATS-1/Truth/{_SIM}_truth.mha"
    ),
    "2012-simulated-tissue": Layout(
        _SIM, "brats2012sim", OLD, _2012.format(_SIM), f"BRATS-1/Truth/{_SIM}_complete_truth.mha"
    ),
    "2012-slices": Layout(
        _P,
        "atropos",
        OLD,
        f"{_P}/{_P}_{{}}_slice90.nii.gz",
        f"{_P}/{_P}_atropos_truth_slice90.nii.gz",
    ),
    "2013": Layout(
        "HG_0001",
        "brats2013",
        "T1 T1c T2 Flair",
        f"Image_Data/HG/0001/{VSD}",
        f"Image_Data/HG/0001/{OT}/{OT}.6560.mha",
    ),
    "2013-low-grade": Layout(
        "LG_0015",
        "brats2013",
        "T1 T1c T2 Flair",
        f"Image_Data/LG/0015/{VSD}",
        f"Image_Data/LG/0015/{OT}/{OT}.6645.mha",
    ),
    "2013-challenge": Layout("HG_0301", None, "T1 T1c T2 Flair", f"Challenge/HG/0301/{VSD}"),
    "2015": Layout(
        "brats_tcia_pat105_0001",
        "brats2013",
        "T1 T1c T2 Flair",
        f"BRATS2015_Training/HGG/brats_tcia_pat105_0001/{VSD}",
        "BRATS2015_Training/HGG/brats_tcia_pat105_0001/VSD.Brain_3more.XX.O.OT.42283/"
        "VSD.Brain_3more.XX.O.OT.42283.mha",
    ),
    "2016-numbered-folders": Layout(
        "brats_2013_pat0001_1",
        "brats2013",
        "T1 T1c T2 Flair",
        "HGG/brats_2013_pat0001_1/VSD.Brain.XX.O.MR_{0}.{1}/VSD.Brain.XX.O.MR_{0}.{1}.mha",
        "HGG/brats_2013_pat0001_1/VSD.Brain_3more.XX.O.OT.54517/VSD.Brain_3more.XX.O.OT.54517.mha",
    ),
    "2017": suffixed("HGG", "Brats17_TCIA_101_1", YEAR_2021, "brats2021"),
    "2018": suffixed("MICCAI_BraTS_2018/LGG", "Brats18_2013_0_1", YEAR_2021, "brats2021"),
    "2019": suffixed("HGG", "BraTS19_CBICA_AAB_1", YEAR_2021, "brats2021"),
    "2020": suffixed("a", "BraTS20_Training_001", YEAR_2021, "brats2021", ext=".nii"),
    "2020-case-355": Layout(
        "BraTS20_Training_355",
        "brats2021",
        YEAR_2021,
        _355 + "BraTS20_Training_355_{}.nii",
        _355 + "W39_1998.09.19_Segm.nii",
    ),
    "2020-folders-like-files": Layout(
        "BraTS20_Training_001",
        "brats2021",
        YEAR_2021,
        _MIRROR + "/BraTS20_Training_001_{0}.nii",
        _MIRROR.format("seg") + "/BraTS20_Training_001_seg.nii",
    ),
    "2021": suffixed("a", "BraTS2021_00000", YEAR_2021, "brats2021"),
    "2023-GLI": since_2023(_ASNR.format("GLI"), "BraTS-GLI-00000-000", "brats2023"),
    "2023-SSA": since_2023(_ASNR.format("SSA") + "_V2", "BraTS-SSA-00002-000", "brats2023"),
    "2023-MEN": since_2023("BraTS-MEN-Train", "BraTS-MEN-00004-000", "brats2023"),
    "2023-MET": since_2023("training", "BraTS-MET-00001-000", "brats2023"),
    "2023-PED": since_2023(_ASNR.format("PED"), "BraTS-PED-00002-000", "brats2023"),
    "2024-GLI": since_2023("training_data1_v2", "BraTS-GLI-00005-100", "brats2024"),
    "2024-GLI-second-visit": since_2023("training_data1_v2", "BraTS-GLI-00005-101", "brats2024"),
    "2024-PED": since_2023("BraTS-PEDs2024_Training", "BraTS-PED-00002-000", "brats2024ped"),
    "PED-of-unknown-year": since_2023("training", "BraTS-PED-00002-000", None),
    "flat": Layout(
        "BraTS2021_00000",
        "brats2021",
        YEAR_2021,
        "BraTS2021_00000_{}.nii.gz",
        "BraTS2021_00000_seg.nii.gz",
    ),
    "loose": Layout("patient", None, "t1 t1c t2 flair", "patient/{}.nii.gz", "patient/seg.nii.gz"),
    "words": Layout(
        "patient",
        None,
        "T1 T1_post_contrast T2 T2_FLAIR",
        "export/patient_{}.nrrd",
        "export/patient_label.nrrd",
    ),
    "masks": Layout(
        "p",
        None,
        "t1 t1gd t2 flair",
        "p/p_{}.nii.gz",
        None,
        (
            "p/p_brain_mask.nii.gz",
            "p/mask.nii.gz",
            "p/p_t1_mask.nii.gz",
            "p/brainmask.nii.gz",
            "p/p_T1_brainmask.nii",
        ),
    ),
    "own-outputs": Layout(
        "p",
        "brats2021",
        "t1 t1ce t2 flair",
        "p/p_{}.nii.gz",
        "p/p_seg.nii.gz",
        (
            "p/segmentation.nii.gz",
            "p/probability_enhancing.nii.gz",
            "out/p/segmentation.nii.gz",
            "out/p/probability_non-enhancing.nii.gz",
            "p/probabilities.nii.gz",
        ),
    ),
    "hidden": Layout(
        "p",
        None,
        "t1 t1ce t2 flair",
        "p/p_{}.nii.gz",
        None,
        ("p/._p_t1.nii.gz", ".trash/q/q_t1.nii.gz", "p/p_t1.json", "p/t1.txt"),
    ),
}


def write(path: Path, array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.startswith("._") or path.suffix in (".json", ".txt"):
        path.write_bytes(b"no volume")
    else:
        sitk.WriteImage(sitk.GetImageFromArray(np.asarray(array)), str(path))
    return path


def write_images(root: Path, pattern: str, words="t1 t1c t2 flair") -> None:
    for sequence, word in zip(SEQUENCES, words.split(), strict=True):
        write(root / pattern.format(word), np.full(SHAPE, GRAY[sequence], np.int16))


def values_of(coding: str | None) -> np.ndarray:
    return np.resize(digits(MEANINGS[coding or "brats2013"][0]), SHAPE)


def plant(root: Path, layout: Layout) -> Path:
    for sequence in SEQUENCES:
        write(root / layout.image(sequence), np.full(SHAPE, GRAY[sequence], np.int16))
    if layout.truth:
        write(root / layout.truth, values_of(layout.coding))
    for path in layout.also:
        write(root / path, np.ones(SHAPE, np.uint8))
    return root


def plant_msd(root: Path, sequence: dict | None = None) -> Path:
    """Write Task01 with two training cases, one test case and the resource forks of the archive."""
    folder = root / "Task01_BrainTumour"
    order = ("flair", "t1", "t1c", "t2")
    volumes = [sitk.GetImageFromArray(np.full(SHAPE, GRAY[m], np.int16)) for m in order]
    image = sitk.JoinSeries(volumes)
    for part, name in (("imagesTr", "001"), ("imagesTr", "002"), ("imagesTs", "485")):
        path = folder / part / f"BRATS_{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path))
        write(folder / part / f"._BRATS_{name}.nii.gz", 0)
    for name in (
        "001",
        "485",
    ):  # no labels are published for imagesTs: what lies there is not theirs
        write(folder / "labelsTr" / f"BRATS_{name}.nii.gz", values_of("msd"))
        write(folder / "labelsTr" / f"._BRATS_{name}.nii.gz", 0)
    stated = sequence or {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    (folder / "dataset.json").write_text(json.dumps({"name": "BRATS", "modality": stated}))
    return folder
