"""Models of networks of volumes: described, loaded, segmented with, trained, refused."""

import dataclasses
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from json_schema import faults
from model_fixtures import described, restate
from monai.inferers import sliding_window_inference
from monai.transforms import NormalizeIntensity
from phantom_fixtures import write_doll
from test_description import SCHEMA
from test_memory import Said
from volume_models import BRATS_MRI, ORDER, small_network, volume_description, write_volume_model

from scripted_models.bundle.description import ModelDescription, read_description
from scripted_models.bundle.weights import load_model, write_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import Cancelled, InputError, ModelError, ResourceError
from scripted_models.experiments.personal_experiment import refuse_unfit
from scripted_models.images.volume_files import read_label_map, read_volume
from scripted_models.inference import GpuMemoryError, Rung
from scripted_models.networks import build_network
from scripted_models.runtime import memory
from scripted_models.runtime.progress import Progress
from scripted_models.runtime.typed_tables import read_table
from scripted_models.segmentation import segmenter as segmenter_module
from scripted_models.segmentation.result import MEMORY_WORDS
from scripted_models.segmentation.segmenter import Segmenter

SIZE = (24, 32, 12)
FILES = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A doll's head whose files lie in another orientation than the model's."""
    return write_doll(tmp_path_factory.mktemp("cases"), 1, orientation="RAS")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_volume_model(tmp_path_factory.mktemp("models") / "brats_mri", SIZE)


def arrays(case):
    """Return the volumes (x, y, z) in LPS orientation in the order of the model's channels."""
    images = [read_volume(case / f"{case.name}_{FILES[name]}.nii.gz") for name in ORDER]
    turned = [sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")) for image in images]
    return np.stack([array.transpose(2, 1, 0) for array in turned]).astype(np.float32)


class TestBratsMri:
    """The model zoo's `brats_mri_segmentation`, small and with random weights."""

    def test_its_network_has_the_published_tensors(self):
        with torch.device("meta"):
            network = build_network("SegResNet3D", **BRATS_MRI["network"]["arguments"])
        tensors = network.trunk.state_dict()
        assert len(tensors) == 83
        assert sum(value.numel() for value in tensors.values()) == 4_702_227
        assert tensors["convInit.conv.weight"].shape == (16, 4, 3, 3, 3)
        assert tensors["conv_final.2.conv.weight"].shape == (3, 16, 1, 1, 1)

    def test_its_description_is_valid(self):
        table = described(**BRATS_MRI, needs_one_of=[]).to_table()
        assert list(faults(json.loads(SCHEMA.read_text(encoding="utf-8")), table)) == []
        read = read_table(ModelDescription, table)
        assert read.to_table() == table
        assert read.sequences == tuple(ORDER)
        assert read.known_labels == (0, 1, 2, 4)

    def test_labels_are_those_of_monai_by_hand(self, case, written, tmp_path):
        folder, network = written
        output = tmp_path / "out"
        command = ["segment", str(case), "--model", str(folder), "--output", str(output)]
        assert main([*command, "--progress", "none", "--probabilities"]) == 0
        image = arrays(case)
        seen = NormalizeIntensity(nonzero=True, channel_wise=True)(image)
        with torch.no_grad():
            logits = sliding_window_inference(torch.as_tensor(seen)[None], SIZE, 1, network, 0.5)[0]
        tc, wt, et = (logits.sigmoid() > 0.5).numpy()
        expected = np.where(et, 4, np.where(tc, 1, np.where(wt, 2, 0))) * (image != 0).any(axis=0)
        result = read_volume(output / case.name / "segmentation.nii.gz")
        found = sitk.GetArrayFromImage(sitk.DICOMOrient(result, "LPS")).transpose(2, 1, 0)
        assert len(np.unique(expected)) > 2
        assert np.mean(found == expected) > 0.9999
        report = json.loads((output / case.name / "report.json").read_text())
        assert report["form"] == "windows"
        assert set(report["estimated_dice"]) == {"WT", "TC", "ET"}
        assert len(list((output / case.name).glob("probability_*"))) == 4

    def test_evaluate_and_the_card_know_it(self, case, written, tmp_path):
        folder, _ = written
        card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
        assert "Channels: t1c, t1, t2, flair" in card
        assert "windows of 24 x 32 x 12 voxels (x, y, z), 50% of each in the next one" in card
        assert "outputs: TC, WT, ET" in card
        stated = json.loads((folder / "configs" / "metadata.json").read_text())
        channels = stated["network_data_format"]["outputs"]["pred"]["channel_def"]
        assert channels == {"0": "TC", "1": "WT", "2": "ET"}
        output = tmp_path / "out"
        command = ["segment", str(case), "--model", str(folder), "--output", str(output)]
        assert main([*command, "--progress", "none"]) == 0
        scored = ["evaluate", "--predictions", str(output), "--truth", str(case.parent)]
        assert main([*scored, "--output", str(tmp_path / "s"), "--progress", "none"]) == 0


class TestSegmenting:
    @pytest.fixture(scope="class")
    @staticmethod
    def model(written):
        return load_model(str(written[0]))

    def test_cancelled_while_a_window_is_computed(self, model, case):
        told = Progress()
        (found,) = find_cases(case)
        asked = []

        def cancelled():
            asked.append(told._fraction)
            return told._fraction > 0.14

        with pytest.raises(Cancelled):
            Segmenter(model, "cpu").segment(found, told, cancelled)
        assert len(asked) > 5
        assert told._fraction < 0.5

    def test_memory_is_estimated_before_and_refused(self, model, case, monkeypatch):
        (found,) = find_cases(case)
        monkeypatch.setattr(memory, "obtainable_bytes", lambda: 5 << 30)
        window = dataclasses.replace(model.description.sliding_window, size=(512, 512, 512))
        wide = dataclasses.replace(model.description, sliding_window=window)
        with pytest.raises(ResourceError, match="another model, whose windows are smaller"):
            Segmenter(dataclasses.replace(model, description=wide), "cpu").segment(
                found, Progress()
            )

    def test_a_gpu_without_room_is_left_stepwise(self, model, case, monkeypatch):
        """The fault is injected: what predicts has no memory above the CPU."""
        (found,) = find_cases(case)
        seen, real = [], segmenter_module.predict

        def scarce(model, image, rung, *told):
            seen.append(rung)
            if rung is not Rung.CPU:
                raise GpuMemoryError
            return real(model, image, rung, *told)

        monkeypatch.setattr(segmenter_module, "predict", scarce)
        monkeypatch.setattr(Rung, "top_on", classmethod(lambda cls, device: Rung.GPU))
        own, progress = Segmenter(model, "auto"), Said()
        result = own.segment(found, progress)
        assert seen == [Rung.GPU, Rung.GPU_HALF, Rung.CPU]
        assert result.memory_steps == (Rung.GPU_HALF, Rung.CPU)
        assert progress.warnings[-1] == f"The network now runs {MEMORY_WORDS[Rung.CPU]}."

    def test_the_cpu_has_no_rung_below(self):
        assert Rung.CPU.below(MemoryError(), True, by_slices=False) is None


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"outputs": {"kind": "regions", "order": ["WT", "ET"]}}, "each of ['WT', 'TC', 'ET']"),
            ({"outputs": {"kind": "regions", "order": ["WT"] * 3}}, "each of ['WT', 'TC', 'ET']"),
            (
                {"outputs": {"kind": "sigmoid", "order": []}},
                "expected one of ['regions', 'softmax']",
            ),
            ({"outputs": {"kind": "softmax", "order": [0, 2, 4]}}, "[0, 2, 4], as its outputs"),
            ({"outputs": {"kind": "softmax", "order": [0, 1, 1]}}, "each label once"),
            ({"outputs": {**BRATS_MRI["outputs"], "core": 3}}, "[0, 2, 3, 4], as its outputs"),
            ({"decision": {}}, "the least probability of each region"),
            ({"sliding_window": None}, "none without a 'sliding_window'"),
            ({"sliding_window": {"size": [4, 8, 8]}}, "'sliding_window.size[0]' = 4"),
            ({"sliding_window": {"size": [8, 8]}}, "3 values"),
            ({"sliding_window": {"size": [8, 8, 8], "overlap": 0.95}}, "from 0 to 0.9"),
            ({"sliding_window": {"size": [8, 8, 8], "axes": "xxz"}}, "'xyz'"),
            ({"sliding_window": {"size": [8, 8, 8], "mirror": ["x", "x"]}}, "each axis once"),
            ({"sliding_window": {"size": [8, 8, 8], "placement": "odd"}}, "'steps' or 'even'"),
            (
                {"sliding_window": {"size": [8, 8, 8], "resampling": "cubic"}, "crf": {}},
                "'sliding_window.resampling' = 'cubic'",
            ),
        ],
    )
    def test_a_description_that_does_not_fit(self, written, tmp_path, changes, says):
        table = {**volume_description(SIZE).to_table(), **changes}
        with pytest.raises(ModelError) as refusal:
            read_table(ModelDescription, table, ModelError)
        assert says in str(refusal.value)

    def test_a_network_of_volumes_needs_a_window_and_no_other_has_one(self, tmp_path):
        folder, network = write_volume_model(tmp_path / "a")
        path = folder / "configs" / "model.json"
        table = json.loads(path.read_text(encoding="utf-8"))
        del table["sliding_window"], table["outputs"]
        path.write_text(json.dumps(table), encoding="utf-8")
        says = "the 3-D network 'SegResNet3D' without a 'sliding_w"
        restate(folder, labels={"0": "background", "2": "edema", "4": "enhancing"}, decision={})
        with pytest.raises(ModelError, match=says):
            load_model(str(folder))
        with pytest.raises(ModelError, match=says):
            write_model(tmp_path / "c", network, read_description(folder))
        flat = {"name": "UNet", "arguments": {"widths": [4, 8]}}
        network = build_network("UNet", widths=[4, 8])
        folder = write_model(tmp_path / "b", network, described(network=flat))
        restate(folder, sliding_window={"size": [8, 8, 8]})
        with pytest.raises(ModelError, match="the 2-D network 'UNet' with a 'sliding_window'"):
            load_model(str(folder))

    def test_another_number_of_regions(self, tmp_path):
        network, stated = small_network(num_classes=4)
        folder = write_model(tmp_path / "m", network, volume_description(network=stated))
        with pytest.raises(ModelError, match="one for each of the 3 regions"):
            load_model(str(folder))

    def test_it_is_not_trained_further_on_corrections_and_draws_no_slices(self, written):
        model = load_model(str(written[0]))
        with pytest.raises(InputError, match="a network of volumes"):
            refuse_unfit(model)
        with pytest.raises(ModelError, match="expected a network of slices"):
            model.slice_network  # noqa: B018


def test_labels_on_the_input_grid(case, written, tmp_path):
    output = tmp_path / "out"
    command = ["segment", str(case), "--model", str(written[0]), "--output", str(output)]
    assert main([*command, "--progress", "none", "--coding", "brats2021"]) == 0
    labels, _ = read_label_map(output / case.name / "segmentation.nii.gz")
    assert set(np.unique(labels)) <= {0, 1, 2, 4}
