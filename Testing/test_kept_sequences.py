"""Networks that see fewer than four sequences: trained, described, segmented with."""

import json

import numpy as np
import pytest
import torch
from model_fixtures import described, shipped_table
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model, write_model
from scripted_models.cli import main
from scripted_models.errors import InputError, ModelError
from scripted_models.networks import build_network
from scripted_models.tasks.brains.case_preparation import lower_slices
from scripted_models.training.augmentation import build_augmentation
from scripted_models.transforms.preprocessing import build_preprocessing, preprocess
from scripted_models.transforms.steps import kept_sequences, read_preprocessing

EXPERIMENT = """
name = "t1c"
preprocessing = [
  {{ step = "mark_brain" }},
  {{ step = "crop_to_brain" }},
  {{ step = "zscore" }},
  {{ step = "keep_sequences", names = {names} }},
]
[network]
name = "{network}"
arguments = {arguments}
[data]
validation_every = 0
upper_share = 0.6
[training]
seed = 1
threads = 1
phases = 1
optimizer = "adam"
balance = "none"
pixels_per_patch = 0
output_bias = "zero"
output_size = {size}
batch_size = {batch}
augmentation = [{{ step = "intensity_jitter", prob = 1.0, std = 0.1 }}]
[training.phase1]
epochs = 1
steps_per_epoch = 3
learning_rate = 0.001
final_learning_rate = 0.001
patience = 0
"""
UNET = "{ in_channels = %d, widths = [4, 8] }"
SEGRESNET = "{ in_channels = 1, filters = 8, blocks_down = [1, 1], blocks_up = [1] }"
FCN = "{ in_channels = 1, num_classes = 5, scale = 0.015625 }"
REFINENET = '{ in_channels = 1, num_classes = 5, scale = 0.125, norm = "group", blocks = "single" }'
DILATED = "{ in_channels = 1, num_classes = 5, scale = 0.03125 }"


def train(folder, names, network="UNet", arguments=UNET % 1, size=16, batch=2):
    for seed in (1, 2):
        if not (folder / "data" / f"Brats18_A_{seed}_1").exists():
            write_small_case(folder / "data", f"Brats18_A_{seed}_1", seed)
    path = folder / "e.toml"
    stated = {
        "names": json.dumps(names),
        "network": network,
        "arguments": arguments,
        "batch": batch,
    }
    text = EXPERIMENT.format(size=size, **stated)
    path.write_text(text, encoding="utf-8")
    options = ["--data", str(folder / "data"), "--output", str(folder / "run")]
    return main(["train", str(path), *options, "--progress", "none"])


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        ("UNet", UNET % 1),
        ("SegResNet", SEGRESNET),
        ("FCN8s", FCN),
        ("DilatedFrontEnd", DILATED),
        ("RefineNet", REFINENET),
    ],
)
def test_t1c_alone_from_training_to_segmentation(tmp_path, capsys, network, arguments):
    assert train(tmp_path, ["t1c"], network, arguments) == 0
    folder = tmp_path / "run" / "model"
    description = load_model(str(folder)).description
    assert description.sequences == description.needs_one_of == ("t1c",)
    card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert "Channels: t1c; " in card
    t1c = tmp_path / "data" / "Brats18_A_1_1" / "Brats18_A_1_1_t1ce.nii.gz"
    output = tmp_path / "out"
    command = ["segment", "--model", str(folder), "--output", str(output), "--progress", "none"]
    assert main([*command, "--t1c", str(t1c), "--case-name", "a"]) == 0
    report = json.loads((output / "a" / "report.json").read_text(encoding="utf-8"))
    assert not any(
        warning.startswith(("Found no T", "Found no F")) for warning in report["warnings"]
    )
    flair = t1c.with_name("Brats18_A_1_1_flair.nii.gz")
    capsys.readouterr()
    assert main([*command, "--flair", str(flair), "--case-name", "b"]) == 2
    assert "expected t1c at least" in capsys.readouterr().err


def test_two_sequences_need_all_four_files_and_see_two(tmp_path, capsys):
    assert train(tmp_path, ["flair", "t1c"], arguments=UNET % 2) == 0
    model = load_model(str(tmp_path / "run" / "model"))
    assert model.description.sequences == ("t1c", "flair")
    assert model.description.needs_one_of == ()
    assert model.network.in_channels == 2


@pytest.mark.parametrize(
    ("names", "said"), [(["t1c"], "in_channels = 1"), ([], ".names'"), (["adc"], ".names[0]'")]
)
def test_what_does_not_fit_is_one_sentence(tmp_path, capsys, names, said):
    assert train(tmp_path, names, arguments=UNET % 4) in (2, 3)
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run" / "model").exists()


def test_patches_too_small_to_normalize_are_one_sentence(tmp_path, capsys):
    assert train(tmp_path, ["t1c"], size=2, batch=1) == 2
    message = capsys.readouterr().err
    assert "raise training.output_size" in message
    assert message.count("\n") == 1


def test_a_model_folder_of_other_channels_is_refused(tmp_path):
    steps = [*shipped_table()["preprocessing"], {"step": "keep_sequences", "names": ["t1"]}]
    stated = {"name": "UNet", "arguments": {"widths": [4, 8]}}
    network = build_network("UNet", widths=[4, 8])
    changed = described(preprocessing=steps, network=stated)
    with pytest.raises(ModelError, match="found a network of 4 image channels"):
        load_model(str(write_model(tmp_path / "m", network, changed)))


def test_the_kept_channels_are_those_of_their_names():
    image = np.random.default_rng(0).normal(100, 10, (4, 6, 7, 8)).astype(np.float32)
    steps = [{"step": "mark_brain"}, {"step": "keep_sequences", "names": ["flair", "t1c"]}]
    assert np.array_equal(preprocess(build_preprocessing(steps), image)["image"], image[[1, 3]])
    assert kept_sequences(read_preprocessing(steps)) == ("t1c", "flair")
    assert kept_sequences(read_preprocessing(steps[:1])) == ("t1", "t1c", "t2", "flair")
    with pytest.raises(ModelError, match="last"):
        build_preprocessing([*steps, {"step": "zscore"}])


def test_augmentation_of_fewer_channels_treats_their_slices_alike():
    jitter = build_augmentation([{"step": "intensity_jitter", "prob": 1.0, "std": 0.3}], 2)
    image = np.ones((6, 8, 8), np.float32)
    changed, _ = jitter(image, np.zeros((8, 8), np.uint8), 3)
    values = torch.from_numpy(changed)[:, 0, 0]
    assert values.unique().numel() == 2
    assert values.unflatten(0, (2, 3)).std(dim=1).max() == 0
    with pytest.raises(InputError, match="drop_sequences"):
        build_augmentation([{"step": "drop_sequences"}], 2)


def test_lower_slices_are_counted_inside_the_brain():
    brain = np.zeros((20, 3, 3), bool)
    brain[4:14, 1, 1] = True
    assert [lower_slices(brain, share) for share in (1.0, 0.6, 0.1)] == [0, 8, 13]
