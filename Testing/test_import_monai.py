"""Import of a MONAI bundle: what it gives is what MONAI gives; what is not data is refused."""

import hashlib
import json
from typing import ClassVar

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from foreign_models import (
    INFERENCE,
    changed,
    make_home,  # noqa: F401 - the fixture home
    monai_bundle,
    refuse_import,
    saved,
    write_folder,
    write_zip,
    zoo_network,
)
from monai.bundle import ConfigParser
from monai.inferers import SlidingWindowInferer
from monai.networks import nets
from phantom_fixtures import write_doll

from scripted_models.bundle.description import read_description
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.registry import import_model
from scripted_models.cli import main
from scripted_models.errors import InputError, ModelError

BUNDLE = monai_bundle()
CONFIG, META, WEIGHTS = "configs/inference.json", "configs/metadata.json", "models/model.pt"


class Evil:
    """What a pickle may hold: a call."""

    def __reduce__(self):
        return (open, ("executed", "w"))


def with_config(path, value, name=CONFIG):
    return {**BUNDLE, name: changed(BUNDLE[name], path, value)}


def weights_with(**tensors):
    return {**BUNDLE, WEIGHTS: saved({**zoo_network().state_dict(), **tensors})}


def theirs(case, tmp_path):
    """Return the labels that MONAI's own transforms and inferer give, (x, y, z) as in the files."""
    steps = ConfigParser({"preprocessing": INFERENCE["preprocessing"]})
    before = steps.get_parsed_content("preprocessing")
    names = [case / f"{case.name}_{name}.nii.gz" for name in ("t1ce", "t1", "t2", "flair")]
    stacked = sitk.JoinSeries([sitk.ReadImage(str(path), sitk.sitkFloat32) for path in names])
    # MONAI reads channels from the last axis of a NIfTI file; SimpleITK reads it in our place
    image = sitk.GetArrayFromImage(stacked).transpose(0, 3, 2, 1)
    seen = before.transforms[1]({"image": torch.as_tensor(image.copy())})["image"]
    options = {k: v for k, v in INFERENCE["inferer"].items() if k != "_target_"}
    with torch.no_grad():
        logits = SlidingWindowInferer(**options)(torch.as_tensor(seen)[None], zoo_network())[0]
    tc, wt, et = (logits.sigmoid() >= 0.5).numpy()
    return np.where(et, 4, np.where(tc, 1, np.where(wt, 2, 0))) * (image != 0).any(axis=0)


class TestGolden:
    @pytest.mark.parametrize("form", ["folder", "zip"])
    def test_the_labels_are_those_of_monai(self, home, tmp_path, capsys, form):
        source = tmp_path / "brats_mri_segmentation_v0.5.2.zip"
        if form == "zip":
            write_zip(BUNDLE, source, "brats_mri_segmentation/")
        else:
            source = write_folder(BUNDLE, tmp_path / "brats_mri_segmentation")
        assert main(["models", "--import", str(source), "--name", "zoo"]) == 0
        said = capsys.readouterr().out
        for line in (
            "format: MONAI bundle, BRATS MRI segmentation 0.5.2",
            "channels: t1c t1 t2 flair",
            "outputs: TC, WT, ET (sigmoid)",
            "space: LPS, 1 x 1 x 1 mm",
            "preprocessing: zscore",
            "windows: 24 x 32 x 16",
            "network: SegResNet3D, 4,702,227 parameters, weights fit",
            "terms: Apache License",
            "programs in it were not read: models/model.ts, scripts/prepare_datalist.py",
        ):
            assert line in said
        case = write_doll(tmp_path / "cases", 1)
        output = tmp_path / "out"
        command = ["segment", str(case), "--model", "zoo", "--output", str(output)]
        assert main([*command, "--progress", "none"]) == 0
        image = sitk.ReadImage(str(output / case.name / "segmentation.nii.gz"))
        found = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
        expected = theirs(case, tmp_path)
        assert len(np.unique(expected)) > 2
        assert np.mean(found == expected) >= 0.999
        report = json.loads((output / case.name / "report.json").read_text())
        digest = hashlib.sha256(BUNDLE[WEIGHTS]).hexdigest()
        assert digest in json.dumps(report)

    def test_where_it_comes_from_is_kept(self, home, tmp_path):
        source = write_folder(BUNDLE, tmp_path / "zoo")
        model = import_model(source, "zoo")
        origin = read_description(model.folder).origin
        assert origin.sha256 == hashlib.sha256(BUNDLE[WEIGHTS]).hexdigest()
        assert (origin.format, origin.file, origin.version) == ("MONAI bundle", "zoo", "0.5.2")
        assert "brats2018" in origin.source
        terms = (model.folder / "LICENSE").read_text()
        assert "Apache License" in terms
        assert "BraTS 2018" in terms
        assert origin.sha256 in model.card
        stated = json.loads((model.folder / META).read_text())
        assert stated["authors"] == "MONAI team"
        assert model.description.sequences == ("t1c", "t1", "t2", "flair")
        assert not model.problem

    def test_json_answers_with_what_was_understood(self, home, tmp_path, capsys):
        source = write_zip(BUNDLE, tmp_path / "zoo.zip")
        assert main(["models", "--import", str(source), "--name", "zoo", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert "channels: t1c t1 t2 flair" in answer["understood"]
        assert answer["path"] == str(home / "models" / "zoo")


class TestSteps:
    def test_turning_resampling_and_cropping(self, home, tmp_path):
        transforms = [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {
                "_target_": "Spacingd",
                "keys": "image",
                "pixdim": [1.0, 1.0, 2.0],
                "mode": "bilinear",
            },
            {"_target_": "CropForegroundd", "keys": "image", "margin": 5},
            {"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True},
        ]
        files = with_config("preprocessing.transforms", transforms)
        stated = import_model(write_folder(files, tmp_path / "m"), "m").description
        assert stated.training_space.orientation == "RAS"
        assert stated.training_space.spacing_xyz_mm == (1.0, 1.0, 2.0)
        assert [step.step for step in stated.preprocessing][1:3] == ["crop_to_brain", "zscore"]
        assert stated.preprocessing[1].margin == 5
        assert stated.preprocessing[2].voxels == "all"
        transforms[4], transforms[5] = transforms[5], transforms[4]
        files = with_config("preprocessing.transforms", transforms)
        with pytest.raises(ModelError, match="the order"):
            import_model(write_folder(files, tmp_path / "n"), "n")

    def test_labels_with_softmax(self, home, tmp_path):
        names = {"0": "background", "1": "edema", "2": "necrosis", "3": "enhancing tumor"}
        network = nets.SegResNet(init_filters=8, in_channels=4, out_channels=4)
        files = monai_bundle(network)
        table = {"_target_": "SegResNet", "in_channels": 4, "out_channels": 4}
        files[CONFIG] = changed(files[CONFIG], "network_def", table)
        files[CONFIG] = changed(
            files[CONFIG],
            "postprocessing.transforms",
            [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}],
        )
        files[META] = changed(files[META], "network_data_format.outputs.pred.channel_def", names)
        stated = import_model(write_folder(files, tmp_path / "m"), "m").description
        assert stated.network_outputs.order == (0, 2, 1, 4)
        assert stated.network.arguments["init_filters"] == 8


class TestQuestions:
    """What the file does not say is asked for, and never guessed."""

    CASES: ClassVar = {
        "channels": (META, "network_data_format.inputs.image.channel_def", None, "--channels"),
        "a channel": (
            *(META, "network_data_format.inputs.image.channel_def.0", "PD", "--channels"),
        ),
        "labels": (META, "network_data_format.outputs.pred.channel_def", None, "--labels"),
        "a label": (*(META, "network_data_format.outputs.pred.channel_def.0", "cyst", "--labels"),),
        "orientation": (META, "data_source", "a hospital", "--orientation"),
    }

    @pytest.mark.parametrize("kind", CASES)
    def test_a_question_is_one_sentence(self, home, tmp_path, capsys, kind):
        name, path, value, option = self.CASES[kind]
        files = with_config(path, value, name)
        if kind == "orientation":
            files[META] = changed(files[META], "name", "mine")
        source = write_zip(files, tmp_path / "m.zip")
        assert main(["models", "--import", str(source), "--name", "mine"]) == 2
        said = capsys.readouterr()
        assert option in said.err
        assert said.err.count("\n") == 1
        assert "format: MONAI bundle" in said.out
        assert list((home / "models").iterdir()) == []
        assert main(["models", "--import", str(source), "--name", "mine", "--json"]) == 2
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert events[-1]["event"] == "error"
        assert {event["event"] for event in events[:-1]} == {"message"}

    def test_answers_count(self, home, tmp_path):
        files = with_config("network_data_format", {}, META)
        source = write_folder(files, tmp_path / "m")
        answers = Answers(
            channels=("t1c", "t1", "t2", "flair"),
            labels=("TC", "WT", "ET"),
            orientation="RAS",
            spacing_xyz_mm=(1.0, 1.0, 2.0),
        )
        understood = Understood()
        model = import_model(source, "mine", answers, understood)
        assert model.description.sequences == answers.channels
        assert model.description.training_space.orientation == "RAS"
        assert model.description.training_space.spacing_xyz_mm == (1.0, 1.0, 2.0)
        assert model.description.network_outputs.order == ("TC", "WT", "ET")

    @pytest.mark.parametrize(
        "answers",
        [
            Answers(channels=("t1", "t2")),
            Answers(channels=("t1", "t1", "t2", "flair")),
            Answers(labels=("TC", "WT")),
            Answers(labels=("edema", "WT", "ET")),
            Answers(orientation="XYZ"),
            Answers(spacing_xyz_mm=(0.0, 1.0, 1.0)),
        ],
    )
    def test_impossible_answers_are_refused(self, home, tmp_path, answers):
        source = write_folder(BUNDLE, tmp_path / "m")
        with pytest.raises(InputError):
            import_model(source, "mine", answers)
        assert list((home / "models").iterdir()) == []


HUGE = "network_def.init_filters"
STEP = "preprocessing.transforms.1"
HOSTILE = {
    "expression": (with_config(HUGE, "$__import__('os').system('touch executed')"), "expression"),
    "reference": (with_config(HUGE, "@other"), "reference"),
    "target inside": (with_config("network_def.norm", {"_target_": "os.system"}), "_target_"),
    "unknown network": (with_config("network_def._target_", "os.system"), "the network"),
    "network elsewhere": (with_config("network_def._target_", "evil.SegResNet"), "the network"),
    "mode of a table": (with_config("network_def._mode_", "debug"), "_mode_"),
    "import": (with_config("imports", ["$import scripts.net"]), "the import"),
    "import of an expression": (with_config("imports", ["$exec('1')"]), "the import"),
    "no network": (with_config("network_def", None), "network_def"),
    "part elsewhere": (with_config("network_def#norm", "batch"), "network_def#norm"),
    "unknown step": (with_config(f"{STEP}._target_", "GaussianSmoothd"), "GaussianSmooth"),
    "unknown option": (with_config(f"{STEP}.divisor", 3), "divisor"),
    "step elsewhere": (with_config(f"{STEP}._target_", "evil.NormalizeIntensityd"), "evil"),
    "expression in a step": (with_config(f"{STEP}.nonzero", "$print()"), "expression"),
    "no windows": (with_config("inferer._target_", "SimpleInferer"), "inferer"),
    "huge windows": (with_config("inferer.roi_size", [10**9] * 3), "windows"),
    "no activation": (with_config("postprocessing.transforms", []), "no way"),
    "huge network": (with_config(HUGE, 10**6), "do not fit"),
    "deep network": (with_config("network_def.blocks_down", [9**9]), "SegResNet3D"),
    "many channels": (with_config("network_def.in_channels", 10**6), "in_channels"),
    "wrong form": (with_config("network_def.blocks_up", [1, 1]), "SegResNet3D"),
    "program alone": ({k: v for k, v in BUNDLE.items() if k != WEIGHTS}, "model.ts"),
    "no configuration": ({k: v for k, v in BUNDLE.items() if k != CONFIG}, "inference.json"),
    "no JSON": ({**BUNDLE, CONFIG: b"{"}, "inference.json"),
    "no table": ({**BUNDLE, META: b"[]"}, "no table"),
    "pickle that calls": ({**BUNDLE, WEIGHTS: saved({"a": Evil()})}, "state dict"),
    "network as a pickle": ({**BUNDLE, WEIGHTS: saved(torch.nn.Linear(2, 2))}, "state dict"),
    "missing tensor": (
        {**BUNDLE, WEIGHTS: saved(dict(list(zoo_network().state_dict().items())[:-1]))},
        "do not fit",
    ),
    "tensor too many": (weights_with(more=torch.zeros(2)), "do not fit"),
    "NaN": (
        weights_with(**{"convInit.conv.weight": torch.full((16, 4, 3, 3, 3), torch.nan)}),
        "NaN",
    ),
    "huge tensor": (
        weights_with(**{"convInit.conv.weight": torch.zeros(1).expand(10**12)}),
        "state dict",
    ),
    "path upwards": ({**BUNDLE, "../evil.txt": b""}, "leads elsewhere"),
    "absolute path": ({**BUNDLE, "/evil.txt": b""}, "leads elsewhere"),
    "bomb": ({**BUNDLE, META: b" " * (5 << 20)}, "more than 4 MiB"),
}


class TestHostile:
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_one_sentence_and_nothing_left(self, home, tmp_path, capsys, kind):
        files, words = HOSTILE[kind]
        source = write_zip(files, tmp_path / "m.zip")
        refuse_import(home, capsys, words, str(source), "--name", "mine")

    def test_links_in_a_folder(self, home, tmp_path, capsys):
        folder = write_folder(BUNDLE, tmp_path / "m")
        (folder / "models" / "model.ts").unlink()
        (folder / "models" / "model.ts").symlink_to("/etc/passwd")
        assert main(["models", "--import", str(folder)]) == 3
        assert "link or special file" in capsys.readouterr().err

    def test_two_bundles_in_one_file(self, home, tmp_path, capsys):
        both = {f"{top}/{name}": content for top in "ab" for name, content in BUNDLE.items()}
        source = write_zip(both, tmp_path / "m.zip")
        assert main(["models", "--import", str(source)]) == 3
        assert "2 models" in capsys.readouterr().err
