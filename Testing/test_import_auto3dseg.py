"""Import of a checkpoint of Auto3DSeg: the labels are those of MONAI's own steps."""

import copy
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from foreign_models import (
    AUTO3DSEG,
    auto3dseg,
    auto3dseg_network,
    make_home,  # noqa: F401 - the fixture home
    refuse_import,
    saved,
    write_folder,
    write_zip,
)
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInfererAdapt
from monai.networks.nets import SegResNetDS
from monai.transforms import Compose, CropForegroundd, Flipd, Invertd, NormalizeIntensityd
from phantom_fixtures import write_doll

from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.registry import import_model
from scripted_models.cli import main

ORDER = ["flair", "t1c", "t1", "t2"]
FILES = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}
CHECKPOINT = auto3dseg()
ANSWERS = Answers(channels=tuple(ORDER))


def with_config(**changes):
    config = {**copy.deepcopy(AUTO3DSEG), **changes}
    return auto3dseg({k: v for k, v in config.items() if v is not ...})


def with_network(**changes):
    return with_config(network={**AUTO3DSEG["network"], **changes})


def theirs(case):
    """Return the labels of MONAI's own steps and inferer, (x, y, z) in LPS."""
    images = [sitk.ReadImage(str(case / f"{case.name}_{FILES[name]}.nii.gz")) for name in ORDER]
    volume = np.stack([sitk.GetArrayFromImage(image).transpose(2, 1, 0) for image in images])
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS voxels in MONAI's RAS world
    data = {"image": MetaTensor(torch.as_tensor(volume.astype(np.float32)), affine=affine)}
    before = Compose(
        [
            CropForegroundd("image", source_key="image", margin=10, allow_smaller=True),
            Flipd("image", spatial_axis=(0, 1)),  # of LPS voxels what Orientationd makes, which
            # needs nibabel
            NormalizeIntensityd("image", nonzero=True, channel_wise=True),
        ]
    )
    seen = before(data)
    inferer = SlidingWindowInfererAdapt(
        roi_size=AUTO3DSEG["roi_size"], sw_batch_size=1, overlap=0.625, mode="gaussian"
    )
    with torch.no_grad():
        logits = inferer(seen["image"][None], auto3dseg_network())[0]
    invert = Invertd("pred", transform=before, orig_keys="image", nearest_interp=False)
    back = invert({"image": seen["image"], "pred": MetaTensor(logits.sigmoid())})["pred"]
    wt, tc, et = np.asarray(back) >= 0.5
    return np.where(et, 4, np.where(tc, 1, np.where(wt, 2, 0))) * (volume != 0).any(axis=0)


class TestGolden:
    @pytest.mark.parametrize("form", ["file", "zip"])
    def test_the_labels_are_those_of_monai(self, home, tmp_path, capsys, form):
        source = tmp_path / "brats-gli.pt"
        source.write_bytes(CHECKPOINT)
        if form == "zip":
            files = {"model.pt": CHECKPOINT, "labels.csv": b"LabelValue,Name", "LICENSE": b"MIT"}
            source = write_zip(files, tmp_path / "brats-gli-v1.0.0.zip")
        command = ["models", "--import", str(source), "--name", "gli", "--channels", *ORDER]
        assert main(command) == 0
        said = capsys.readouterr().out
        for line in (
            "format: Auto3DSeg",
            "channels: flair t1c t1 t2",
            "outputs: WT, TC, ET (sigmoid)",
            "space: RAS, 1 x 1 x 1 mm",
            "preprocessing: crop_to_brain, zscore",
            "network: SegResNetDS3D",
            "terms: LICENSE" if form == "zip" else "terms: none",
        ):
            assert line in said
        case = write_doll(tmp_path / "cases", 1)
        output = tmp_path / "out"
        command = ["segment", str(case), "--model", "gli", "--output", str(output)]
        assert main([*command, "--progress", "none"]) == 0
        image = sitk.ReadImage(str(output / case.name / "segmentation.nii.gz"))
        found = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
        expected = theirs(case)
        assert len(np.unique(expected)) > 2
        assert np.mean(found == expected) >= 0.999

    def test_the_channels_are_asked_for(self, home, tmp_path, capsys):
        (tmp_path / "model.pt").write_bytes(CHECKPOINT)
        assert main(["models", "--import", str(tmp_path / "model.pt")]) == 2
        said = capsys.readouterr()
        assert "--channels (of brats-gli: flair t1c t1 t2)" in said.err
        assert said.err.count("\n") == 1
        assert list((home / "models").iterdir()) == []

    @pytest.mark.parametrize("key", ["orientation_ras", "resample_resolution", "class_names"])
    def test_what_is_not_stated_is_asked_for(self, home, tmp_path, capsys, key):
        (tmp_path / "model.pt").write_bytes(with_config(**{key: ...}))
        command = ["models", "--import", str(tmp_path / "model.pt"), "--channels", *ORDER]
        assert main(command) == 2
        option = {"class_names": "--labels", "orientation_ras": "--orientation"}
        assert option.get(key, "--spacing") in capsys.readouterr().err

    @pytest.mark.parametrize("tables", [False, True])
    def test_names_that_their_labels_contradict(self, home, tmp_path, capsys, tables):
        names = ["whole tumor", "enhancing tumor", "tumor core"]  # of [1, 2, 3], [1, 3], [3]
        if tables:
            inside = AUTO3DSEG["class_index"]
            names = [{"name": n, "index": i} for n, i in zip(names, inside, strict=True)]
        (tmp_path / "model.pt").write_bytes(with_config(class_names=names))
        command = ["models", "--import", str(tmp_path / "model.pt"), "--channels", *ORDER]
        assert main(command) == 3
        assert "names of classes that their labels" in capsys.readouterr().err
        assert list((home / "models").iterdir()) == []
        assert main([*command, "--labels", "WT", "TC", "ET"]) == 0

    def test_labels_with_softmax(self, home, tmp_path):
        network = {**AUTO3DSEG["network"], "out_channels": "@output_classes"}
        torch.manual_seed(0)
        sizes = {k: v for k, v in network.items() if k not in ("_target_", "norm", "out_channels")}
        state = SegResNetDS(**sizes, out_channels=4, norm="INSTANCE").state_dict()
        names = [{"name": "NCR", "index": [1]}, "edema", "enhancing tumour"]
        config = {**AUTO3DSEG, "network": network, "output_classes": 4, "sigmoid": False}
        (tmp_path / "model.pt").write_bytes(auto3dseg({**config, "class_names": names}, state))
        understood = Understood()
        model = import_model(tmp_path / "model.pt", "soft", ANSWERS, understood)
        assert model.description.network_outputs.order == (0, 1, 2, 4)
        assert "it does not resample volumes" in json.dumps(understood.lines)


class Evil:
    def __reduce__(self):
        return (open, ("executed", "w"))


STATE = auto3dseg_network().state_dict()
FIRST = next(iter(STATE))
HOSTILE = {
    "pickle that calls": (saved({"state_dict": STATE, "config": Evil()}), "plain state dict"),
    "global outside the list": (
        saved({"state_dict": STATE, "config": AUTO3DSEG, "x": np.float64(1)}),
        "plain state dict",
    ),
    "expression": (with_network(init_filters="$exec('1')"), "expression"),
    "reference": (with_network(init_filters="@epoch"), "reference"),
    "unknown network": (with_network(_target_="os.system"), "the network"),
    "known network of others": (with_network(_target_="SegResNet"), "SegResNet"),
    "object inside": (with_network(norm={"_target_": "os.system"}), "_target_"),
    "no network": (with_config(network=...), "'network'"),
    "no config": (saved({"state_dict": STATE}), "'config'"),
    "no weights": (saved({"config": AUTO3DSEG}), "state_dict"),
    "normalization": (with_config(normalize_mode="range"), "normalize_mode"),
    "windows": (with_config(roi_size=[10**9] * 3), "windows"),
    "flag": (with_config(sigmoid="yes"), "sigmoid"),
    "wrong shapes": (with_network(init_filters=16), "do not fit"),
    "missing tensor": (
        auto3dseg(state={k: v for k, v in STATE.items() if k != FIRST}),
        "do not fit",
    ),
    "huge tensor": (auto3dseg(state={**STATE, FIRST: torch.zeros(1).expand(10**12)}), "plain"),
    "text as a tensor": (auto3dseg(state={**STATE, FIRST: "text"}), "no tensor"),
}


class TestHostile:
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_one_sentence_and_nothing_left(self, home, tmp_path, capsys, kind):
        content, words = HOSTILE[kind]
        (tmp_path / "model.pt").write_bytes(content)
        refuse_import(home, capsys, words, str(tmp_path / "model.pt"), "--channels", *ORDER)

    def test_labels_without_weights(self, home, tmp_path, capsys):
        folder = write_folder({"labels.csv": b"LabelValue,Name"}, tmp_path / "m")
        assert main(["models", "--import", str(folder)]) == 3
        assert "no model.pt" in capsys.readouterr().err
