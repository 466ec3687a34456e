"""Exported models: the same labels elsewhere, whole folders, refusals that leave nothing."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import described, quick_model
from phantom_fixtures import write_doll
from torch import nn
from volume_models import write_volume_model

from scripted_models.bundle import load_model
from scripted_models.bundle.exporters import onnx_file
from scripted_models.bundle.model_folders import SHIPPED
from scripted_models.bundle.weights import write_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.networks import build_network
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter

STATED = ("in_channels", "num_classes", "margins", "receptive_field", "context_slices")


def export(model, kind, output):
    return main(["export", str(model), "--format", kind, "--output", str(output)])


class OnnxNetwork(SliceNetwork):
    """A network that onnxruntime evaluates, for the pipelines of this program."""

    def __init__(self, path, network):
        runtime = pytest.importorskip("onnxruntime")
        super().__init__()
        for name in (*STATED, "planes", "slice_step"):
            setattr(self, name, getattr(network, name))
        self.weight = nn.Parameter(torch.zeros(1))  # tells where it lies
        self.run = runtime.InferenceSession(path).run

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        return torch.from_numpy(self.run(None, {"image": x.numpy()})[0])


def onnx_agrees(name, folder, case):
    """Segment a case with a model and with what was exported of it."""
    pytest.importorskip("onnx")
    assert export(name, "onnx", folder) == 0
    model = load_model(name)
    exported = OnnxNetwork(folder / "model.onnx", model.network)
    ours, theirs = (
        Segmenter(dataclasses.replace(model, network=network), "cpu").segment(case, Progress())
        for network in (model.network, exported)
    )
    likeliest = ours.probabilities.argmax(axis=0)
    assert likeliest.any()
    np.testing.assert_array_equal(theirs.probabilities.argmax(axis=0), likeliest)
    np.testing.assert_array_equal(theirs.labels, ours.labels)


class TestOnnx:
    def test_labels_of_a_phantom(self, tmp_path):
        onnx_agrees("fast", tmp_path / "m", find_cases(write_doll(tmp_path / "cases", 5))[0])

    @pytest.mark.slow
    @pytest.mark.real_data
    def test_labels_of_a_real_case(self, real_data, tmp_path):
        """Eight of its slices, so that they are quick."""
        case = tmp_path / "Brats18_CBICA_ABM_1"
        case.mkdir()
        for path in (real_data / "brats" / case.name).glob("*.nii*"):
            sitk.WriteImage(sitk.ReadImage(str(path))[:, :, 75:83], str(case / path.name))
        onnx_agrees("fast", tmp_path / "m", find_cases(case)[0])

    def test_the_file_says_what_it_is(self, tmp_path):
        onnx = pytest.importorskip("onnx")
        assert export(quick_model(), "onnx", tmp_path / "m") == 0
        stated = json.loads((tmp_path / "m" / "interface.json").read_text("utf-8"))
        model = onnx.load_model(tmp_path / "m" / "model.onnx")
        (entry,) = model.metadata_props
        assert json.loads(entry.value) == stated
        sizes = [
            d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim
        ]
        assert sizes == ["batch", 4, "y", "x"]

    def test_a_network_of_volumes_in_its_own_order_of_axes(self, tmp_path):
        onnx = pytest.importorskip("onnx")
        folder, _ = write_volume_model(tmp_path / "model")
        assert export(folder, "onnx", tmp_path / "m") == 0
        stated = json.loads((tmp_path / "m" / "interface.json").read_text("utf-8"))
        assert stated["input"]["channels"] == ["t1c", "t1", "t2", "flair"]
        assert stated["input"]["axes"] == ["batch", "channel", "x", "y", "z"]
        assert stated["output"]["channels"] == ["TC", "WT", "ET"]
        assert stated["output"]["probabilities"] == "sigmoid"
        assert stated["volume"]["sliding_window"]["size"] == [24, 32, 12]
        graph = onnx.load_model(tmp_path / "m" / "model.onnx").graph
        sizes = [d.dim_param or d.dim_value for d in graph.output[0].type.tensor_type.shape.dim]
        assert sizes == ["batch", 3, "x", "y", "z"]

    def test_without_the_package_it_is_one_sentence(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
        assert export(quick_model(), "onnx", tmp_path / "m") == 4
        assert "scripted-models[onnx]" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


class TestTorchScript:
    def test_a_folder_is_whole_and_says_what_it_holds(self, tmp_path, capsys):
        folder = tmp_path / "m"
        assert export("fast", "torchscript", folder) == 0
        printed = capsys.readouterr().out
        listed = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
        names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
        assert names == ["LICENSE", "README.md", "interface.json", "model.ts"]
        assert sorted(line.split("  ")[1] for line in listed) == names
        for line in listed:
            assert line in printed
            digest, name = line.split("  ")
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (folder / "LICENSE").read_text() == (SHIPPED / "fast" / "LICENSE").read_text()
        assert "monai.bundle run" not in (folder / "README.md").read_text("utf-8")
        assert [path.name for path in tmp_path.iterdir()] == ["m"]

    def test_the_interface_says_how_a_volume_is_led_through(self, tmp_path):
        assert export("fast", "torchscript", tmp_path / "m") == 0
        stated = json.loads((tmp_path / "m" / "interface.json").read_text("utf-8"))
        assert stated["input"]["channels"][2:5] == ["t1 (slice +1)", "t1c (slice -1)", "t1c"]
        assert stated["input"]["size"] == "any"
        assert stated["output"]["channels"][4] == "4 enhancing"
        assert stated["volume"]["planes"] == ["axial", "coronal", "sagittal"]
        assert stated["volume"]["slice_step"] == 4
        assert stated["method"] == load_model("fast").description.method
        assert stated["model"]["weights_sha256"] == load_model("fast").checksum

    def test_read_back_it_gives_the_logits_of_the_network(self, tmp_path):
        assert export("fast", "torchscript", tmp_path / "m") == 0
        extra = {"interface.json": ""}
        graph = torch.jit.load(tmp_path / "m" / "model.ts", _extra_files=extra)
        assert json.loads(extra["interface.json"])["file"] == "model.ts"
        image = torch.randn(2, 12, 37, 50)
        with torch.no_grad():
            torch.testing.assert_close(graph(image), load_model("fast").network(image))

    def test_a_model_of_pictures(self, tmp_path):
        scale = {"colors": "RGB", "scale": 1.0, "mean": [0.4] * 3, "std": [0.2] * 3}
        arguments = {"scale": 1 / 32, "num_classes": 3}
        stated = described(
            task="voc",
            made_for=None,
            network={"name": "FCN32s", "arguments": arguments},
            channels=["R", "G", "B"],
            image_scale=scale,
            labels={"0": "background", "1": "cat", "2": "dog"},
            preprocessing=[],
            postprocessing=[],
            needs_one_of=[],
            dice_by_sequences={},
        )
        write_model(tmp_path / "voc", build_network("FCN32s", **arguments), stated)
        assert export(tmp_path / "voc", "torchscript", tmp_path / "m") == 0
        told = json.loads((tmp_path / "m" / "interface.json").read_text("utf-8"))
        assert told["image_scale"] == scale
        assert told["output"]["channels"] == ["0 background", "1 cat", "2 dog"]
        assert export(tmp_path / "voc", "bundle", tmp_path / "b") == 3


class TestRefusals:
    def test_a_network_that_cannot_be_traced(self, tmp_path, capsys):
        arguments = {"network": "UNet", "widths": [4, 8]}
        stated = described(network={"name": "CRFRNN", "arguments": arguments})
        write_model(tmp_path / "crf", build_network("CRFRNN", **arguments), stated)
        assert export(tmp_path / "crf", "torchscript", tmp_path / "m") == 3
        assert "made anew for the size and the values" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["crf"]

    def test_what_is_there_stays(self, tmp_path, capsys):
        folder = tmp_path / "m"
        folder.mkdir()
        (folder / "mine").write_text("kept")
        assert export(quick_model(), "torchscript", folder) == 2
        assert "there already" in capsys.readouterr().err
        assert [path.name for path in folder.iterdir()] == ["mine"]

    def test_an_empty_folder_is_taken(self, tmp_path):
        (tmp_path / "m").mkdir()
        assert export(quick_model(), "torchscript", tmp_path / "m") == 0

    def test_damaged_weights(self, tmp_path):
        folder = write_model(
            tmp_path / "damaged",
            build_network("ThresholdBaseline"),
            described(network={"name": "ThresholdBaseline", "arguments": {}}),
        )
        path = folder / "models" / "model.pt"
        path.write_bytes(path.read_bytes()[:-1])
        assert export(folder, "torchscript", tmp_path / "m") == 3
        assert [path.name for path in tmp_path.iterdir()] == ["damaged"]
