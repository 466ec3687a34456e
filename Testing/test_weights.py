"""Model folders: written whole, verified before use, never executed."""

import io
import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import described, renew_checksums, restate

from scripted_models.bundle.model_folders import (
    DEFAULT_MODEL,
    shipped_models,
    verify_files,
)
from scripted_models.bundle.weights import load_model, write_model
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.images.volume_files import read_label_map
from scripted_models.labels import LABELS, TUMOR_LABELS
from scripted_models.networks import build_network
from scripted_models.sequences import SEQUENCES

KNOWN = (0, 1, 2, 4)  # labels of the models of BraTS 2017 and later


def description(name="made", **changes):
    plain = {"name": "TwoPathCNN", "arguments": {}}
    return described(**{"name": name, "network": plain, **changes})


@pytest.fixture
def folder(tmp_path, small_network):
    return write_model(tmp_path / "model", small_network, description())


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A model of four classes."""
    torch.manual_seed(0)
    network = build_network("TwoPathCNN", num_classes=4, initialization="he").eval()
    stated = description(
        "four",
        network={"name": "TwoPathCNN", "arguments": {"num_classes": 4}},
        labels={str(k): LABELS[k] for k in reversed(KNOWN)},
        postprocessing=[{"step": "inside_brain"}],
    )
    return write_model(tmp_path_factory.mktemp("four"), network, stated)


@pytest.fixture(scope="module")
def segmented(four, tmp_path_factory):
    """What `segment` leaves of a small case of 1 mm voxels and that model."""
    output = tmp_path_factory.mktemp("segmented")
    random = np.random.default_rng(0)
    command = ["segment", "--output", str(output), "--case-name", "case", "--model", str(four)]
    for sequence in SEQUENCES:
        image = sitk.GetImageFromArray(random.uniform(1, 9, (3, 24, 24)).astype(np.float32))
        sitk.WriteImage(image, str(output / f"{sequence}.nii.gz"))
        command += [f"--{sequence}", str(output / f"{sequence}.nii.gz")]
    assert main([*command, "--probabilities", "--progress", "none"]) == 0
    return output / "case"


def rewritten(weights, compression=zipfile.ZIP_STORED, data=None):
    """Return a weights file with its records compressed, or with another `data.pkl`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(weights) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, data if data and name.endswith("data.pkl") else old.read(name))
    return buffer.getvalue()


class TestBasic:
    def test_weights_and_description_come_back(self, folder, small_network):
        model = load_model(str(folder))
        expected = small_network.state_dict()
        assert all(torch.equal(v, expected[k]) for k, v in model.network.state_dict().items())
        assert model.name == "made"
        assert not model.network.training

    def test_it_is_a_monai_bundle(self, folder):
        metadata = json.loads((folder / "configs" / "metadata.json").read_text())
        keys = "version monai_version pytorch_version numpy_version required_packages_version"
        for key in f"{keys} task description authors copyright".split():
            assert key in metadata
        formats = metadata["network_data_format"]
        assert list(formats["inputs"]["image"]["channel_def"].values()) == list(SEQUENCES)
        assert formats["outputs"]["pred"]["channel_def"] == {
            str(k): v for k, v in TUMOR_LABELS.items()
        }
        assert (folder / "LICENSE").is_file()

    def test_monai_builds_the_network_from_the_bundle(self, folder):
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(str(folder / "configs" / "inference.json"))
        parser["bundle_root"] = str(folder)
        network = parser.get_parsed_content("network_def")
        network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
        assert len(parser.get_parsed_content("preprocessing").transforms) == 2

    def test_monai_verifies_the_stated_shapes(self, folder, monkeypatch):
        from monai.bundle import verify_net_in_out

        monkeypatch.chdir(folder)
        verify_net_in_out(
            net_id="network_def",
            meta_file="configs/metadata.json",
            config_file="configs/inference.json",
        )

    def test_rewriting_replaces_the_model(self, folder, small_network):
        write_model(folder, small_network, description("renamed"))
        assert load_model(str(folder)).name == "renamed"


class TestShipped:
    def test_the_default_is_there_and_sound(self):
        assert DEFAULT_MODEL in [path.name for path in shipped_models()]
        for path in shipped_models():
            verify_files(path)
            load_model(str(path))

    def test_its_card_names_data_and_limits(self):
        for path in shipped_models():
            card = (path / "docs" / "README.md").read_text()
            for word in ("Menze", "Baid", "Research only", "Training cases", "Limits"):
                assert word in card


class TestFewerLabels:
    """Models of BraTS 2017 and later: necrosis and non-enhancing tumor are one label."""

    def test_classes_stand_in_ascending_order_of_labels(self, four):
        assert load_model(str(four)).known_labels == KNOWN
        metadata = json.loads((four / "configs" / "metadata.json").read_text())
        names = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        assert list(names.values()) == [LABELS[k] for k in KNOWN]

    def test_the_label_map_holds_the_likeliest_known_label(self, segmented):
        labels, _ = read_label_map(segmented / "segmentation.nii.gz")
        assert set(np.unique(labels)) <= set(KNOWN)
        paths = [segmented / f"probability_{LABELS[k]}.nii.gz" for k in KNOWN]
        assert sorted(segmented.glob("probability_*")) == sorted(paths)
        values = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in paths])
        assert np.allclose(values.sum(axis=0), 1, atol=1e-4)
        tumor = labels > 0
        most_probable = np.array(KNOWN)[values.argmax(axis=0)]
        assert np.array_equal(labels[tumor], most_probable[tumor])
        assert len(np.unique(labels[tumor])) > 1

    def test_the_report_tells_only_what_the_model_knows(self, segmented):
        report = json.loads((segmented / "report.json").read_text())
        assert report["known_labels"] == list(KNOWN)
        assert report["labels"] == {str(k): LABELS[k] for k in KNOWN}
        volumes = report["volumes_ml"]
        assert list(volumes) == ["necrosis", "edema", "enhancing", "WT", "TC", "ET"]
        assert volumes["TC"] == pytest.approx(volumes["necrosis"] + volumes["enhancing"])

    def test_every_label_needs_a_class(self, four, tmp_path):
        folder = shutil.copytree(four, tmp_path / "copy")
        restate(folder, labels={str(k): LABELS[k] for k in (0, 2, 4)})
        with pytest.raises(ModelError, match="4 classes, expected one for each of the 3 labels"):
            load_model(str(folder))


class TestErrors:
    def test_unknown_name_lists_the_known(self):
        with pytest.raises(ModelError, match="default"):
            load_model("no-such-model")

    @pytest.mark.parametrize(
        "name", ["models/model.pt", "configs/model.json", "configs/metadata.json"]
    )
    def test_a_changed_byte_is_noticed(self, folder, name):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(ModelError, match="checksum"):
            load_model(str(folder))

    @pytest.mark.parametrize("name", ["models/model.pt", "models/SHA256SUMS", "configs/model.json"])
    def test_a_missing_file_is_noticed(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(ModelError):
            load_model(str(folder))

    @pytest.mark.parametrize("packed", [True, False], ids=["in a weights file", "bare"])
    def test_a_pickle_with_code_is_not_run(self, folder, tmp_path, packed):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "ran"), "w"))

        content = pickle.dumps(Bomb(), protocol=2)
        if packed:
            content = rewritten(folder / "models" / "model.pt", data=content)
            with pytest.raises(
                pickle.UnpicklingError, match="Unsupported"
            ):  # the bomb gets that far
                torch.load(io.BytesIO(content), weights_only=True)
        (folder / "models" / "model.pt").write_bytes(content)
        renew_checksums(folder)
        with pytest.raises(ModelError, match="not a plain state dict"):
            load_model(str(folder))
        assert not (tmp_path / "ran").exists()

    def test_weights_that_unpack_to_more_than_the_file_are_refused(self, folder):
        path = folder / "models" / "model.pt"
        path.write_bytes(rewritten(path, zipfile.ZIP_DEFLATED))
        renew_checksums(folder)
        with pytest.raises(ModelError, match="not a plain state dict"):
            load_model(str(folder))

    def test_nan_weights_are_refused(self, folder):
        path = folder / "models" / "model.pt"
        weights = torch.load(path, weights_only=True)
        weights["output.bias"][0] = float("nan")
        torch.save(weights, path)
        renew_checksums(folder)
        with pytest.raises(ModelError, match="NaN"):
            load_model(str(folder))

    def test_weights_of_another_network_are_refused(self, folder):
        restate(folder, network={"name": "InputCascadeCNN", "arguments": {}})
        with pytest.raises(ModelError, match="that do not fit"):
            load_model(str(folder))

    @pytest.mark.parametrize("text", ["[]", "null", "{", '{"format": 1}'])
    def test_a_description_that_is_none_is_refused(self, folder, text):
        (folder / "configs" / "model.json").write_text(text)
        renew_checksums(folder)
        with pytest.raises(ModelError, match=r"model\.json"):
            load_model(str(folder))

    def test_an_interrupted_write_is_not_loadable(self, folder, small_network):
        shutil.copy(folder / "configs" / "model.json", folder / "configs" / "metadata.json")
        (folder / "models" / "SHA256SUMS").unlink()
        with pytest.raises(ModelError):
            load_model(str(folder))
