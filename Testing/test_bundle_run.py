"""A shipped model folder is a MONAI bundle: stock MONAI segments with it, to the same label map.

The commands of MONAI need fire, pytorch-ignite and jsonschema; without them the tests of the
commands are skipped, and those of what the configuration says remain.
"""

import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.bundle import ConfigParser, load, verify_metadata, verify_net_in_out
from monai.data import decollate_batch
from phantom_fixtures import write_doll
from volume_models import write_volume_model

from scripted_models.bundle.card import card_text
from scripted_models.bundle.model_folders import SHIPPED, shipped_models
from scripted_models.bundle.monai_files import SCHEMA, monai_files
from scripted_models.bundle.weights import load_model
from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError, ModelError
from scripted_models.labels import CODINGS
from scripted_models.networks import NETWORKS
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.outputs import OutputOptions
from scripted_models.segmentation.segmenter import Segmenter

MODELS = [folder.name for folder in shipped_models()]
TEXT, NUMBERS = {"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "number"}}
TENSOR = {
    "type": "object",
    "properties": {
        **{name: TEXT for name in ("type", "format", "modality", "dtype")},
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}},
        "value_range": NUMBERS,
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object", "additionalProperties": TEXT},
    },
    "required": [
        *("type", "format", "modality", "num_channels", "spatial_shape", "dtype"),
        *("value_range", "is_patch_data", "channel_def"),
    ],
    "additionalProperties": False,
}


def of_one(name):
    return {"type": "object", "properties": {name: TENSOR}, "required": [name]}


VERSIONS = {"type": "object", "additionalProperties": TEXT}
# What MONAI's specification asks of metadata.json; the file behind the URL is not at hand.
METADATA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        **{name: TEXT for name in ("schema", "version", "task", "description", "authors")},
        **{name: TEXT for name in ("monai_version", "pytorch_version", "numpy_version")},
        **{name: TEXT for name in ("copyright", "intended_use", "data_source", "data_type")},
        **{name: TEXT for name in ("image_classes", "label_classes", "pred_classes")},
        "required_packages_version": VERSIONS,
        "changelog": VERSIONS,
        "eval_metrics": {"type": "object", "additionalProperties": {"type": "number"}},
        "network_data_format": {
            "type": "object",
            "properties": {
                "inputs": of_one("image"),
                "outputs": of_one("pred"),
            },
            "required": ["inputs", "outputs"],
        },
    },
    "required": [
        *("version", "monai_version", "pytorch_version", "numpy_version", "task", "description"),
        *("required_packages_version", "authors", "copyright", "network_data_format"),
    ],
}


def write_case(folder, spacing=(2.0, 2.0, 3.0), orientation="LPS", seed=5):
    """Write a phantom of 40 x 40 x 14 voxels of another spacing and orientation."""
    return write_doll(folder, seed, spacing_xyz_mm=spacing, orientation=orientation)


def segment(model, folder, output, coding="internal"):
    """Write the label maps that `scripted-models segment` writes."""
    batch = Batch(Segmenter.load(model, "cpu"), output, OutputOptions(CODINGS[coding]))
    batch.run(find_cases(folder), Progress())


def run_configuration(model, folder, output, **options):
    """Do with MONAI's parser and loader what its evaluator does, without ignite."""
    bundle = SHIPPED / model
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    parser.update({"bundle_root": str(bundle), "device": "cpu", **options})
    parser.update({"dataset_dir": str(folder), "output_dir": str(output)})
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    inferer = parser.get_parsed_content("inferer")
    for batch in parser.get_parsed_content("dataloader"):
        found = inferer(batch["image"], network, brain=batch["brain"])
        for item in decollate_batch({**batch, "pred": found}):
            parser.get_parsed_content("postprocessing")(item)


def same_files(found, expected):
    paths = sorted(path.relative_to(expected) for path in expected.glob("*/segmentation.nii.gz"))
    assert paths
    for path in paths:
        ours, theirs = (sitk.ReadImage(str(root / path)) for root in (expected, found))
        labels = sitk.GetArrayFromImage(ours)
        assert labels.any()
        assert np.array_equal(labels, sitk.GetArrayFromImage(theirs))
        for geometry in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(ours, geometry)() == getattr(theirs, geometry)()


class TestConfiguration:
    @pytest.mark.parametrize("model", MODELS)
    def test_it_makes_the_label_map_of_segment(self, model, tmp_path):
        case = write_case(tmp_path / "cases")
        segment(model, case, tmp_path / "ours")
        run_configuration(model, case, tmp_path / "theirs")
        same_files(tmp_path / "theirs", tmp_path / "ours")

    @pytest.mark.parametrize(
        ("spacing", "orientation"), [((1.3, 1.7, 3.0), "LPS"), ((2.0, 1.5, 3.0), "SAR")]
    )
    def test_on_another_grid(self, spacing, orientation, tmp_path):
        case = write_case(tmp_path / "cases", spacing, orientation)
        segment("fast", case, tmp_path / "ours")
        run_configuration("fast", case, tmp_path / "theirs")
        same_files(tmp_path / "theirs", tmp_path / "ours")

    def test_a_network_of_volumes(self, tmp_path):
        folder, _ = write_volume_model(tmp_path / "m")
        case = write_doll(tmp_path / "cases", 5, orientation="SAR")
        segment(str(folder), case, tmp_path / "ours")
        run_configuration(folder, case, tmp_path / "theirs")
        same_files(tmp_path / "theirs", tmp_path / "ours")
        verify_net_in_out(
            net_id="network",
            meta_file=str(folder / "configs" / "metadata.json"),
            config_file=str(folder / "configs" / "inference.json"),
            device="cpu",
        )

    def test_cases_of_a_folder_with_a_missing_sequence_and_another_coding(self, tmp_path):
        for seed in (1, 5):
            write_case(tmp_path / "cases", seed=seed)
        (tmp_path / "cases" / "Phantom_00005" / "Phantom_00005_t1.nii.gz").unlink()
        segment("fast", tmp_path / "cases", tmp_path / "ours", "brats2021")
        run_configuration("fast", tmp_path / "cases", tmp_path / "theirs", coding="brats2021")
        same_files(tmp_path / "theirs", tmp_path / "ours")
        assert len(list((tmp_path / "theirs").iterdir())) == 2

    @pytest.mark.slow
    @pytest.mark.real_data
    def test_a_real_case(self, real_data, tmp_path):
        """Its grid and its intensities; fifteen slices of it show both."""
        case = tmp_path / "Brats18_CBICA_ABM_1"
        case.mkdir()
        for path in (real_data / "brats" / case.name).glob("*.nii*"):
            sitk.WriteImage(sitk.ReadImage(str(path))[:, :, 75:90], str(case / path.name))
        segment("fast", case, tmp_path / "ours")
        run_configuration("fast", case, tmp_path / "theirs")
        same_files(tmp_path / "theirs", tmp_path / "ours")

    def test_what_the_user_should_know_is_logged(self, tmp_path, caplog):
        case = write_case(tmp_path / "cases", (1.5, 1.5, 6.0))
        with caplog.at_level(logging.WARNING):
            run_configuration("fast", case, tmp_path / "out")
        assert any("6 mm" in record.message for record in caplog.records)

    def test_unusable_cases_are_refused(self, tmp_path):
        case = write_case(tmp_path / "cases")
        (path,) = case.glob("*flair*")
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(RuntimeError) as refusal:
            run_configuration("fast", case, tmp_path / "out")
        causes = [refusal.value]
        while causes[-1].__cause__ is not None:
            causes.append(causes[-1].__cause__)
        assert any(isinstance(cause, InputError) for cause in causes)

    def test_damaged_weights_are_refused(self, tmp_path):
        folder = shutil.copytree(SHIPPED / "fast", tmp_path / "fast")
        weights = folder / "models" / "model.pt"
        weights.write_bytes(weights.read_bytes()[:-1])
        parser = ConfigParser()
        parser.read_config(folder / "configs" / "inference.json")
        parser.update({"bundle_root": str(folder), "device": "cpu"})
        with pytest.raises(RuntimeError, match="model") as refusal:
            parser.get_parsed_content("model")
        assert isinstance(refusal.value.__cause__, ModelError)


class TestFiles:
    @pytest.mark.parametrize("model", MODELS)
    def test_the_shipped_files_are_those_that_are_written(self, model):
        loaded = load_model(model)
        written = monai_files(loaded.description, loaded.network)
        for name, content in written.items():
            shipped = (SHIPPED / model / name).read_bytes()
            if name.endswith("metadata.json"):
                assert without_versions(shipped) == without_versions(content)
            else:
                assert shipped == content, name
        card = (SHIPPED / model / "docs" / "README.md").read_text("utf-8")
        assert card == card_text(loaded.description, loaded.network)
        assert "python -m monai.bundle run" in card

    @pytest.mark.parametrize("model", MODELS)
    def test_the_configuration_names_only_us_monai_and_torch(self, model):
        content = (SHIPPED / model / "configs" / "inference.json").read_text("utf-8")
        targets = set(find_targets(json.loads(content)))
        assert targets
        assert {target.partition(".")[0] for target in targets} == {"scripted_models", "monai"}
        assert json.loads(content)["imports"] == ["$import torch"]
        assert json.loads(content)["network_def"]["name"] in NETWORKS


def without_versions(content):
    table = json.loads(content)
    return {key: value for key, value in table.items() if not key.endswith("_version")}


def find_targets(value):
    if isinstance(value, dict):
        yield from ([value["_target_"]] if "_target_" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from find_targets(part)


@pytest.mark.filterwarnings("ignore:parsing config")
class TestStock:
    """MONAI's own commands."""

    @pytest.mark.parametrize("model", MODELS)
    def test_verify_net_in_out(self, model):
        configs = SHIPPED / model / "configs"
        verify_net_in_out(
            net_id="network_def",
            meta_file=str(configs / "metadata.json"),
            config_file=str(configs / "inference.json"),
            device="cpu",
        )
        stated = json.loads((configs / "metadata.json").read_text("utf-8"))["network_data_format"]
        image, pred = stated["inputs"]["image"], stated["outputs"]["pred"]
        network = load_model(model).network
        with torch.no_grad():
            found = network(torch.rand(1, image["num_channels"], *image["spatial_shape"]))
        assert list(found.shape[1:]) == [pred["num_channels"], *pred["spatial_shape"]]

    @pytest.mark.parametrize("model", MODELS)
    def test_verify_metadata(self, model, tmp_path):
        pytest.importorskip("jsonschema")
        path = tmp_path / "schema.json"
        path.write_text(json.dumps(METADATA))
        metadata = SHIPPED / model / "configs" / "metadata.json"
        verify_metadata(meta_file=str(metadata), filepath=str(path))
        assert json.loads(metadata.read_text("utf-8"))["schema"] == SCHEMA
        spoilt = json.loads(metadata.read_text("utf-8"))
        del spoilt["network_data_format"]["outputs"]["pred"]["num_channels"]
        (tmp_path / "metadata.json").write_text(json.dumps(spoilt))
        with pytest.raises(ValueError, match="Failed validating"):
            verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=str(path))

    @pytest.mark.parametrize("model", MODELS)
    def test_load_gives_the_network(self, model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        network = load(
            model,
            workflow_type="inference",
            bundle_dir=SHIPPED,
            source="monaihosting",
            device="cpu",
        )
        expected = load_model(model).network.state_dict()
        found = network.state_dict()
        assert list(found) == list(expected)
        assert all(torch.equal(value, expected[key]) for key, value in found.items())

    @pytest.mark.slow
    @pytest.mark.parametrize("model", ["fast"])
    def test_run(self, model, tmp_path):
        pytest.importorskip("fire")
        pytest.importorskip("ignite")
        case = write_case(tmp_path / "cases")
        segment(model, case, tmp_path / "ours", "brats2021")
        command = [
            *(sys.executable, "-m", "monai.bundle", "run"),
            *("--config_file", "configs/inference.json", "--coding", "brats2021"),
            *("--dataset_dir", str(case), "--output_dir", str(tmp_path / "theirs")),
        ]
        done = subprocess.run(command, cwd=SHIPPED / model, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        same_files(tmp_path / "theirs", tmp_path / "ours")
