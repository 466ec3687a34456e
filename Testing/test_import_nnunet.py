"""Import of a model of nnU-Net: its labels are those of the published steps by hand."""

import copy
import hashlib
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from foreign_models import (
    FORM,
    LABELS_2024,
    PLANS,
    REGIONS,
    make_home,  # noqa: F401 - the fixture home
    nnunet,
    nnunet_checkpoint,
    nnunet_network,
    refuse_import,
    saved,
    write_folder,
    write_zip,
)
from nnunet_reference import labels_of_regions, theirs
from phantom_fixtures import write_doll

from scripted_models.bundle.importers.answers import Understood
from scripted_models.bundle.registry import import_model
from scripted_models.cli import main
from scripted_models.errors import ModelError

pytest.importorskip("dynamic_network_architectures")


def ours(case, tmp_path):
    output = tmp_path / "out"
    command = ["segment", str(case), "--model", "mine", "--output", str(output)]
    assert main([*command, "--progress", "none"]) == 0
    return sitk.GetArrayFromImage(sitk.ReadImage(str(output / case.name / "segmentation.nii.gz")))


class TestGolden:
    @pytest.mark.parametrize("residual", [False, True])
    def test_regions(self, home, tmp_path, capsys, residual):
        network, plans = nnunet_network(3, residual), copy.deepcopy(PLANS)
        if residual:
            stated = plans["configurations"]["3d_base"]["architecture"]
            stated["network_class_name"] = stated["network_class_name"].replace(
                "PlainConv", "ResidualEncoder"
            )
            form = stated["arch_kwargs"]
            form["n_blocks_per_stage"] = form.pop("n_conv_per_stage")
        files = nnunet(REGIONS, nnunet_checkpoint(network), plans)
        top = "nnUNetTrainer__nnUNetPlans__3d_fullres/"
        source = write_zip(files, tmp_path / "m.zip", top)
        assert main(["models", "--import", str(source), "--name", "mine"]) == 0
        said = capsys.readouterr().out
        for line in (
            "format: nnU-Net, Dataset137_BraTS2021, nnUNetTrainer, 3d_fullres",
            "channels: t1 t1c t2 flair",
            "outputs: WT, TC, ET (sigmoid)",
            "windows: 16 x 48 x 48 (zyx), mirrored along z, y, x",
            "space: LPS, 1 x 1 x 1 mm",
            "terms: 'see BraTS 2021' (dataset.json)",
        ):
            assert line in said
        case = write_doll(tmp_path / "cases", 1)
        expected = labels_of_regions(*theirs(case, [network], 3))
        assert len(np.unique(expected)) > 2
        assert np.mean(ours(case, tmp_path) == expected) >= 0.999

    def test_labels_of_2024_with_the_resection_cavity(self, home, tmp_path, capsys):
        network = nnunet_network(5)
        source = write_folder(nnunet(LABELS_2024, nnunet_checkpoint(network)), tmp_path / "m")
        assert main(["models", "--import", str(source), "--name", "mine"]) == 0
        said = capsys.readouterr().out
        assert "outputs: background, necrosis, edema, enhancing, resection cavity" in said
        assert "made for: after operation (it knows the resection cavity)" in said
        case = write_doll(tmp_path / "cases", 1)
        logits, brain = theirs(case, [network], 5)
        logits[:, ~np.isfinite(logits).all(axis=0)] = 0
        shares = torch.as_tensor(logits).softmax(0).numpy()
        expected = np.array([0, 1, 2, 4, 5])[shares.argmax(axis=0)] * brain
        assert {4, 5} <= set(np.unique(expected))
        found = ours(case, tmp_path)
        assert np.mean(found == expected) >= 0.999
        self.check_cavity(case, tmp_path, found)

    def check_cavity(self, case, tmp_path, found):
        """The cavity stands beside the regions of the tumor, in all that is written."""
        folder = tmp_path / "out" / case.name
        report = json.loads((folder / "report.json").read_text("utf-8"))
        assert report["known_labels"] == [0, 1, 2, 4, 5]
        assert report["labels"]["5"] == "resection cavity"
        ml = report["volumes_ml"]
        assert ml["resection cavity"] == pytest.approx(np.sum(found == 5) / 1000, abs=1e-3)
        assert ml["WT"] == pytest.approx(np.isin(found, (1, 2, 4)).sum() / 1000, abs=1e-3)
        assert ml["TC"] == pytest.approx(np.isin(found, (1, 4)).sum() / 1000, abs=1e-3)
        assert "RC" in report["estimated_dice"]
        command = ["segment", str(case), "--model", "mine", "--progress", "none", "--output"]
        assert main([*command, str(tmp_path / "b"), "--coding", "brats2021"]) == 2
        assert not (tmp_path / "b").exists()
        wanted = [str(tmp_path / "c"), "--coding", "brats2024", "--probabilities"]
        assert main([*command, *wanted]) == 0
        coded = sitk.ReadImage(str(tmp_path / "c" / case.name / "segmentation.nii.gz"))
        assert np.array_equal(sitk.GetArrayFromImage(coded) == 4, found == 5)
        assert (tmp_path / "c" / case.name / "probability_resection_cavity.nii.gz").is_file()

    @pytest.mark.parametrize("form", ["even", "transposed", "lowres"])
    def test_several_windows_and_folds(self, home, tmp_path, capsys, form):
        """Windows that overlap, of two folds; turned axes; volumes of another spacing."""
        networks = [nnunet_network(3), nnunet_network(3, seed=1)]
        once = {"inference_allowed_mirroring_axes": (1,)}  # quicker than all axes
        plans, more = copy.deepcopy(PLANS), {"axes": (0, 1, 2)}
        stated = plans["configurations"]["3d_fullres"]
        patch = stated["patch_size"] = [8, 16, 16]
        if form == "transposed":
            plans["transpose_forward"] = [2, 0, 1]
            patch, more = [16, 8, 16], {"axes": (2, 0, 1)}
            stated["patch_size"] = patch
        if form == "lowres":
            stated["spacing"], more = [1.2, 1.5, 1.4], {"spacing": [1.2, 1.5, 1.4]}
        files = nnunet(REGIONS, nnunet_checkpoint(networks[0], **once), plans)
        files["fold_1/checkpoint_final.pth"] = nnunet_checkpoint(networks[1], **once)
        source = write_folder(files, tmp_path / "m")
        assert main(["models", "--import", str(source), "--name", "mine"]) == 0
        said = capsys.readouterr().out
        assert "the mean of 0, 1 is taken" in said
        assert "PlainConvUNet3D, the mean of 2 with " in said
        case = write_doll(tmp_path / "cases", 1)
        expected = labels_of_regions(*theirs(case, networks, 3, tuple(patch), mirror=(3,), **more))
        assert len(np.unique(expected)) > 2
        assert np.mean(ours(case, tmp_path) == expected) >= 0.999
        report = json.loads((tmp_path / "out" / case.name / "report.json").read_text())
        both = [files[f"fold_{fold}/checkpoint_final.pth"] for fold in (0, 1)]
        assert report["model"]["imported_sha256"] == hashlib.sha256(b"".join(both)).hexdigest()


class TestForms:
    def imported(self, tmp_path, **parts):
        dataset = parts.get("dataset", REGIONS)
        outputs = parts.get("outputs", 3)
        checkpoint = nnunet_checkpoint(nnunet_network(outputs), **parts.get("changes", {}))
        files = {**nnunet(dataset, checkpoint, parts.get("plans", PLANS)), **parts.get("more", {})}
        understood = Understood()
        source = write_folder(files, tmp_path / "m")
        model = import_model(source, "mine", parts.get("answers"), understood)
        return model.description, " | ".join(understood.lines)

    def test_old_plans(self, home, tmp_path):
        plans = copy.deepcopy(PLANS)
        stated = plans["configurations"]["3d_base"]
        del stated["architecture"]
        stated.update(
            UNet_class_name="PlainConvUNet",
            UNet_base_num_features=8,
            unet_max_num_features=320,
            conv_kernel_sizes=FORM["kernel_sizes"],
            pool_op_kernel_sizes=FORM["strides"],
            n_conv_per_stage_encoder=[2, 2, 2],
            n_conv_per_stage_decoder=[2, 2],
        )
        description, _ = self.imported(tmp_path, plans=plans)
        assert description.network.arguments["features_per_stage"] == [8, 16, 32]

    def test_labels_of_2021_and_of_the_decathlon(self, home, tmp_path):
        names = {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}
        dataset = {**REGIONS, "labels": names, "regions_class_order": None}
        description, said = self.imported(tmp_path, dataset=dataset, outputs=4)
        assert description.network_outputs.order == (0, 2, 1, 4)
        assert "holds necrosis as well" in said

    def test_regions_with_the_resection_cavity(self, home, tmp_path):
        names = {
            **{"background": 0, "whole tumor": [1, 2, 3], "tumor core": [1, 3]},
            **{"enhancing tumor": [3], "resection cavity": [4]},
        }
        dataset = {**REGIONS, "labels": names, "regions_class_order": [2, 1, 3, 4]}
        description, said = self.imported(tmp_path, dataset=dataset, outputs=4)
        assert description.network_outputs.order == ("WT", "TC", "ET", "RC")
        assert description.known_labels == (0, 1, 2, 4, 5)
        assert set(description.decision) == {"WT", "TC", "ET", "RC"}
        assert "outputs: WT, TC, ET, RC (sigmoid)" in said
        assert description.made_for == "after operation"

    def test_a_cavity_inside_of_the_whole_tumor_must_be_written_last(self, home, tmp_path):
        names = {
            **{"background": 0, "cavity": [4], "whole tumor": [1, 2, 3, 4]},
            **{"tumor core": [1, 3], "enhancing tumor": [3]},
        }
        dataset = {**REGIONS, "labels": names, "regions_class_order": [4, 2, 1, 3]}
        with pytest.raises(ModelError, match="a resection cavity inside of the whole tumor"):
            self.imported(tmp_path, dataset=dataset, outputs=4)

    def test_regions_of_which_no_label_follows(self, home, tmp_path):
        names = {"background": 0, "whole tumor": [1, 2], "tumor core": [2]}
        dataset = {**REGIONS, "labels": names, "regions_class_order": [1, 2]}
        with pytest.raises(
            ModelError, match=r"tells WT and TC and not ET.*whole tumor alone is no"
        ):
            self.imported(tmp_path, dataset=dataset, outputs=2)

    def test_several_folds(self, home, tmp_path, capsys):
        other = nnunet_checkpoint(nnunet_network(3, seed=1))
        more = {f"fold_{fold}/checkpoint_final.pth": other for fold in (1, 2)}
        more["fold_all/checkpoint_final.pth"] = other
        description, said = self.imported(tmp_path, more=more)
        assert "of the folds 0, 1, 2, all the mean of 0, 1, 2 is taken" in said
        assert description.network.arguments["members"] == 3
        command = ["models", "--import", str(tmp_path / "m"), "--name", "two", "--fold"]
        assert main([*command, "2"]) == 0
        assert "fold 2 is taken" in capsys.readouterr().out
        command[command.index("two")] = "four"
        assert main([*command, "4"]) == 2
        assert "expected one of 0, 1, 2, all" in capsys.readouterr().err

    def test_transposed_axes_and_mirroring(self, home, tmp_path):
        plans = copy.deepcopy(PLANS)
        plans["transpose_forward"] = [2, 0, 1]
        plans["configurations"]["3d_base"]["spacing"] = [3.0, 1.0, 2.0]
        changes = {"inference_allowed_mirroring_axes": (0, 2)}
        description, said = self.imported(tmp_path, plans=plans, changes=changes)
        assert description.sliding_window.axes == "xzy"
        assert description.sliding_window.mirror == ("x", "y")
        assert description.training_space.spacing_xyz_mm == (3.0, 2.0, 1.0)
        assert description.sliding_window.resampling == "cubic"
        assert "3 x 2 x 1 mm" in said

    def test_an_unknown_data_set_is_asked_for_its_orientation(self, home, tmp_path, capsys):
        plans = {**PLANS, "dataset_name": "Dataset500_Ours"}
        dataset = {**REGIONS, "name": "ours"}
        files = nnunet(dataset, nnunet_checkpoint(nnunet_network(3)), plans)
        source = write_folder(files, tmp_path / "m")
        assert main(["models", "--import", str(source)]) == 2
        assert "--orientation" in capsys.readouterr().err


class Evil:
    def __reduce__(self):
        return (open, ("executed", "w"))


def with_plans(place="3d_base", **changes):
    plans = copy.deepcopy(PLANS)
    table = plans if place is None else plans["configurations"][place]
    table.update(changes)
    return nnunet(REGIONS, SOUND, plans)


def with_form(**changes):
    form = {key: value for key, value in {**FORM, **changes}.items() if value is not ...}
    stated = PLANS["configurations"]["3d_base"]["architecture"]
    return with_plans(architecture={**stated, "arch_kwargs": form})


def with_checkpoint(**changes):
    return nnunet(REGIONS, nnunet_checkpoint(NETWORK, **changes))


def with_dataset(**changes):
    return nnunet({**REGIONS, **changes}, SOUND)


NETWORK = nnunet_network(3)
SOUND, STATE = nnunet_checkpoint(NETWORK), NETWORK.state_dict()
FIRST = next(iter(STATE))


MIRRORED = nnunet_checkpoint(NETWORK, inference_allowed_mirroring_axes=(0,))


def without(end):
    return {k: v for k, v in nnunet(REGIONS, SOUND).items() if not k.endswith(end)}


HOSTILE = {
    "pickle that calls": (with_checkpoint(logging=Evil()), "plain state dict"),
    "global outside the list": (with_checkpoint(logging=np.ones(3)), "plain state dict"),
    "no checkpoint": (nnunet(REGIONS, saved([1])), "network_weights"),
    "trainer": (with_checkpoint(trainer_name="nnUNetTrainerEvil"), "the trainer"),
    "no configuration": (with_checkpoint(init_args={}), "configuration"),
    "unknown configuration": (with_checkpoint(init_args={"configuration": "x"}), "configuration"),
    "cascade": (with_checkpoint(init_args={"configuration": "3d_cascade_fullres"}), "cascade"),
    "slices": (with_checkpoint(init_args={"configuration": "2d"}), "3d"),
    "circle": (with_plans(inherits_from="3d_fullres"), "circle"),
    "mirroring": (with_checkpoint(inference_allowed_mirroring_axes=(5,)), "mirroring"),
    "unknown network": (
        with_plans(architecture={"network_class_name": "os.system", "arch_kwargs": {}}),
        "the network",
    ),
    "layer": (with_form(nonlin="os.system"), "nonlin"),
    "expression": (with_form(strides="$exec('1')"), "expression"),
    "unknown argument": (with_form(block="os.system"), "'block'"),
    "missing argument": (with_form(strides=...), "'strides'"),
    "normalization": (with_plans(normalization_schemes=["CTNormalization"] * 4), "CTNormal"),
    "resampling": (with_plans(resampling_fn_data="os.system"), "'resampling_fn_data'"),
    "order of resampling": (
        with_plans(resampling_fn_probabilities_kwargs={"order": 3}),
        "'resampling_fn_probabilities_kwargs'",
    ),
    "mixed masks": (with_plans(use_mask_for_norm=[True, False, True, True]), "use_mask_for_norm"),
    "another number of masks": (with_plans(use_mask_for_norm=[True]), "use_mask_for_norm"),
    "another number of schemes": (
        with_plans(normalization_schemes=["ZScoreNormalization"] * 3),
        "3 'normalization_schemes' for 4 channels",
    ),
    "nested masks": (with_plans(use_mask_for_norm=[[True]] * 4), "use_mask_for_norm"),
    "reader": (with_plans(None, image_reader_writer="evil.Reader"), "the reader"),
    "transpose": (with_plans(None, transpose_forward=[0, 0, 1]), "transpose_forward"),
    "wrong shapes": (with_form(features_per_stage=[16, 16, 32]), "do not fit"),
    "huge network": (with_form(features_per_stage=[10**6] * 3), "do not fit"),
    "missing tensor": (
        with_checkpoint(network_weights={k: v for k, v in STATE.items() if k != FIRST}),
        "do not fit",
    ),
    "huge tensor": (
        with_checkpoint(network_weights={**STATE, FIRST: torch.zeros(1).expand(10**12)}),
        "plain state dict",
    ),
    "labels with a gap": (
        with_dataset(labels={"background": 0, "edema": 5}, regions_class_order=None),
        "count from 0",
    ),
    "order of regions": (
        with_dataset(labels={"background": 0, "ET": [3], "TC": [2, 3], "WT": [1, 2, 3]}),
        "in this order",
    ),
    "regions beside each other": (
        with_dataset(labels={"background": 0, "WT": [1], "TC": [2], "ET": [3]}),
        "inside each other",
    ),
    "no order of regions": (with_dataset(regions_class_order=None), "regions_class_order"),
    "no channels": (with_dataset(channel_names=None), "channel_names"),
    "no fold": (without(".pth"), "checkpoint_final.pth"),
    "no data set": (without("dataset.json"), "no dataset.json"),
    "folds of two trainers": (
        {**nnunet(REGIONS, SOUND), "fold_1/checkpoint_final.pth": MIRRORED},
        "different trainers",
    ),
    "path upwards": ({**nnunet(REGIONS, SOUND), "../evil": b""}, "leads elsewhere"),
}


class TestHostile:
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_one_sentence_and_nothing_left(self, home, tmp_path, capsys, kind):
        files, words = HOSTILE[kind]
        source = write_zip(files, tmp_path / "m.zip")
        refuse_import(home, capsys, words, str(source), "--name", "mine")
