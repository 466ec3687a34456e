"""The MONAI bundle for MONAI alone: its loaders run it without this program, to the same labels."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import described
from monai.bundle import verify_metadata
from monai.data import load_net_with_metadata
from phantom_fixtures import write_doll
from test_bundle_run import METADATA, find_targets
from volume_models import write_volume_model

from scripted_models.bundle import load_model
from scripted_models.bundle.exporters import whole_volume as whole_volume_module
from scripted_models.bundle.exporters.bundle_for_monai import inference_of
from scripted_models.bundle.exporters.traced_network import traced
from scripted_models.bundle.exporters.whole_volume import whole_volume
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.inference import Rung
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.segmentation.volume_steps import predict, prepare
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.preprocessing import build_preprocessing, preprocess
from scripted_models.transforms.region_thresholds import decide_labels
from scripted_models.transforms.steps import read_preprocessing
from scripted_models.transforms.torchscript_steps import script_steps

# What MONAI Label's loader and MONAI Deploy's operator do with a bundle; the first argument names
# the transforms that are done elsewhere. Both programs read and write files themselves.
LOADER = """
import sys
sys.modules["scripted_models"] = None
import numpy as np, torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
without, root, given, written = sys.argv[1:]
parser = ConfigParser()
parser.read_config(f"{root}/configs/inference.json")
parser.config.update({"bundle_root": root, "device": "cpu"})
for part in ("preprocessing", "postprocessing"):
    steps = parser.config[part]["transforms"]
    steps[:] = [s for s in steps if s["_target_"].split(".")[-1] not in without.split()]
network = torch.jit.load(f"{root}/models/model.ts", map_location="cpu").eval()
case = np.load(given)
image = MetaTensor(torch.from_numpy(case["image"]), affine=case["affine"], meta={"space": "RAS"})
data = parser.get_parsed_content("preprocessing")({"image": image})
with torch.no_grad():
    data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
data = parser.get_parsed_content("postprocessing")(data)
np.save(written, np.asarray(data["pred"]))
"""
FILES = "LoadImaged SaveImaged"
WAYS = "Orientationd Spacingd Invertd"  # nothing to do in the space that trained; need nibabel


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "fast"
    assert main(["export", "fast", "--format", "bundle", "--output", str(folder)]) == 0
    return folder


def stack_of(images):
    """Return the volumes as MONAI reads them, (4, x, y, z), and their affine in RAS."""
    first = images[SEQUENCES[0]]
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(first.GetDirection(), (3, 3)) * np.array(first.GetSpacing())
    affine[:3, 3] = first.GetOrigin()
    volumes = [sitk.GetArrayFromImage(images[m]).astype(np.float32).T for m in SEQUENCES]
    return np.stack(volumes), np.diag([-1, -1, 1, 1]) @ affine


class TestMonai:
    def test_its_loaders_make_our_labels_without_us(self, bundle, tmp_path):
        self.agrees(bundle, write_doll(tmp_path / "cases", 5), f"{FILES} {WAYS}")

    def test_volumes_of_another_orientation(self, bundle, tmp_path):
        pytest.importorskip("nibabel")
        self.agrees(bundle, write_doll(tmp_path / "cases", 5, orientation="SAR"), FILES)

    def agrees(self, bundle, folder, without):
        (case,) = find_cases(folder)
        image, affine = stack_of(read_on_one_grid(case))
        given, written = folder.with_suffix(".npz"), folder.with_suffix(".npy")
        np.savez(given, image=image, affine=affine)
        command = [sys.executable, "-c", LOADER, without, str(bundle), str(given), str(written)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        segmenter = Segmenter.load("fast", "cpu")
        ours = segmenter.segment(case, Progress())
        least = {str(region): share for region, share in segmenter.model.decision.items()}
        expected = decide_labels(ours.probabilities, ours.known_labels, least)
        assert len(np.unique(expected)) > 2
        np.testing.assert_array_equal(np.load(written)[0].T, expected)

    def test_metadata(self, bundle, tmp_path):
        pytest.importorskip("jsonschema")
        (tmp_path / "schema.json").write_text(json.dumps(METADATA))
        path = bundle / "configs" / "metadata.json"
        verify_metadata(meta_file=str(path), filepath=str(tmp_path / "schema.json"))
        stated = json.loads(path.read_text("utf-8"))["network_data_format"]
        assert list(stated["inputs"]["image"]["channel_def"].values()) == list(SEQUENCES)
        assert stated["outputs"]["pred"]["num_channels"] == 5

    def test_the_configuration_names_only_monai(self, bundle):
        content = json.loads((bundle / "configs" / "inference.json").read_text("utf-8"))
        assert {target.partition(".")[0] for target in find_targets(content)} == {"monai"}

    def test_the_torchscript_file_holds_its_configurations(self, bundle):
        path = bundle / "models" / "model.ts"
        names = zipfile.ZipFile(path).namelist()
        assert {"model/extra/metadata.json", "model/extra/inference.json"} <= set(names)
        _, metadata, files = load_net_with_metadata(path, more_extra_files=["inference.json"])
        assert metadata["name"] == "fast"
        assert json.loads(files["inference.json"])["inferer"]

    def test_the_card_says_what_segment_does_beyond_it(self, bundle):
        card = (bundle / "docs" / "README.md").read_text("utf-8")
        assert "remove_small_components" in card
        assert "cases.json" in card


def whole(model, images):
    window = model.description.sliding_window
    network = traced(model.network, window.size if window else ())
    image, _ = stack_of(images)
    with torch.no_grad():
        found = whole_volume(model, network)(torch.from_numpy(image)[None])
    return found[0].numpy().transpose(0, 3, 2, 1)


WINDOWS = {"size": [24, 32, 12], "overlap": 0.6, "axes": "yxz", "mirror": ["z", "x"]}


class TestWholeVolume:
    @pytest.mark.parametrize(
        "changes",
        [
            {"sliding_window": WINDOWS},
            {"outputs": {"kind": "softmax", "order": [2, 0, 4]}, "labels": None, "decision": {}},
        ],
        ids=["regions, mirrored", "labels"],
    )
    def test_windows_are_those_of_this_program(self, changes, phantom_folder, tmp_path):
        names = {"0": "background", "2": "edema", "4": "enhancing"}
        changes = {**changes, **({"labels": names} if "labels" in changes else {})}
        folder, _ = write_volume_model(tmp_path / "m", **changes)
        self.agrees(load_model(str(folder)), phantom_folder)

    def test_slices_of_a_network_without_padding(self, phantom_folder):
        self.agrees(load_model("TwoPathCNN"), phantom_folder)

    def test_settings_that_are_not_known_are_refused(self, tmp_path, monkeypatch):
        folder, _ = write_volume_model(tmp_path / "m", sliding_window=WINDOWS)
        monkeypatch.setattr(whole_volume_module, "WINDOW_SETTINGS", {"size", "overlap", "axes"})
        model = load_model(str(folder))
        with pytest.raises(ModelError, match="'mirror'"):
            whole_volume(model, traced(model.network))

    def agrees(self, model, phantom_folder):
        images = read_on_one_grid(find_cases(phantom_folder)[0])
        seen = prepare(images, model)
        expected = predict(model, seen, Rung.CPU)
        found = whole(model, images)
        box = tuple(slice(a, a + n) for a, n in zip(seen.corner, seen.brain.shape, strict=True))
        np.testing.assert_allclose(found[(slice(None), *box)], expected, atol=1e-4)
        np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


class TestSteps:
    @pytest.mark.parametrize(
        "steps",
        [
            [{"step": "clip_percentiles", "lower": 2, "upper": 97}, {"step": "zscore"}],
            [{"step": "clip_percentiles", "lower": 0, "upper": 90, "region": "volume"}],
            [{"step": "crop_to_brain", "margin": 2}, {"step": "zscore", "voxels": "all"}],
            [{"step": "crop_to_brain"}, {"step": "zscore", "offset": 3.0}],
            [{"step": "keep_sequences", "names": ["flair", "t1"], "order": "stated"}],
        ],
        ids=["clip", "clip volume", "all", "offset", "keep"],
    )
    def test_they_are_those_of_this_program(self, steps):
        rng = np.random.default_rng(1)
        image = np.zeros((4, 9, 10, 11), np.float32)
        image[:, 2:8, 3:9, 1:10] = rng.normal(100, 30, (4, 6, 6, 9))
        image[1, 3, 4] = 0  # inside of the brain
        image[:, 5, 6, 5] = 0  # a hole
        image[2] = 0  # missing
        stated = read_preprocessing([{"step": "mark_brain"}, *steps])
        expected = preprocess(build_preprocessing(stated), image.copy(), missing=["t2"])
        scripted = torch.jit.script(script_steps(stated))
        found, brain, box = scripted(torch.from_numpy(image))
        np.testing.assert_allclose(found.numpy(), expected["image"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(brain.numpy(), expected["brain"])
        assert box == [edge for axis in expected["box"] for edge in (axis.start, axis.stop)]

    @pytest.mark.parametrize("step", [{"step": "n4"}, {"step": "zscore", "voxels": "brain"}])
    def test_what_pytorch_alone_cannot_do_is_refused(self, step):
        with pytest.raises(ModelError, match=f"'{step['step']}'"):
            script_steps(read_preprocessing([{"step": "mark_brain"}, step]))


class TestDecision:
    @settings(max_examples=12)
    @given(seed=st.integers(0, 99), core=st.sampled_from([(1,), (3,), (1, 3)]), by=st.booleans())
    def test_the_expression_decides_as_we_do(self, seed, core, by):
        known = tuple(sorted({0, 2, 4, *core}))
        names = {0: "background", 1: "necrosis", 2: "edema", 3: "non-enhancing", 4: "enhancing"}
        least = {"WT": 0.4, "TC": 0.5, "ET": 0.3} if by else {}
        table = {str(label): names[label] for label in known}
        description = described(labels=table, decision=least, dice_by_sequences={}, scores={})
        steps = inference_of(description)["postprocessing"]["transforms"]
        decide = eval(steps[1]["func"].removeprefix("$"), {"torch": torch})
        rng = np.random.default_rng(seed)
        p = rng.dirichlet([0.5] * len(known), 60).T.reshape(-1, 3, 4, 5).astype(np.float32)
        found = decide(torch.from_numpy(p)).numpy()
        assert found.shape == (1, 3, 4, 5)
        np.testing.assert_array_equal(found[0], decide_labels(p, known, least))
