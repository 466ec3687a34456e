"""Faults 60 and 61: models and runs."""

import json
import shutil
import zipfile

import torch
from fault_table import INPUT, fault
from model_fixtures import renew_checksums, shipped_table

from scripted_models.bundle import shipped_models


def model(inputs, change, checksums=True):
    """Copy a shipped model, spoil it, fix its checksums, and segment with it."""
    (source,) = [path for path in shipped_models() if path.name == "TwoPathCNN"]
    folder = inputs.root / "model"
    shutil.copytree(source, folder)
    change(folder)
    if checksums:
        renew_checksums(folder)
    inputs.options = ["--model", str(folder)]


def with_state(change):
    def spoil(folder):
        path = folder / "models" / "model.pt"
        state = torch.load(path, weights_only=True)
        torch.save(change(state), path)

    return spoil


def with_description(**fields):
    def spoil(folder):
        path = folder / "configs" / "model.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return spoil


@fault(
    60,
    "weights of another network",
    3,
    "{ROOT}/model: found weights that do not fit UNet (for example [('global_path.0.bias', "
    "(320,)), ('global_path.0.weight', (320, 4, 13, 13)), ('joined.0.0.weight', (128, 256, 3, "
    "3))]), expected those of this network; the folder mixes files of different models.",
)
def other_network(inputs):
    model(inputs, with_description(network={"name": "UNet", "arguments": {}}))


@fault(
    60,
    "weights without one tensor",
    3,
    "{ROOT}/model: found weights that do not fit TwoPathCNN (for example "
    "[('local_path.layer1.0.weight', (128, 4, 7, 7))]), expected those of this network; the "
    "folder mixes files of different models.",
)
def key_missing(inputs):
    model(inputs, with_state(lambda state: dict(list(state.items())[1:])))


@fault(
    60,
    "weights of another number of classes",
    3,
    "{ROOT}/model: found a network of 5 classes, expected one for each of the 3 labels; get the "
    "model folder again.",
)
def other_classes(inputs):
    labels = {"0": "background", "1": "necrosis", "2": "edema"}
    model(inputs, with_description(labels=labels, decision={}, postprocessing=[]))


def described(path, value):
    """Write a value at a path of the description, such as 'preprocessing.2.margin'."""
    table = shipped_table()
    inner, keys = table, [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return with_description(**table)


@fault(
    60,
    "an ensemble of ten million networks",
    3,
    "{ROOT}/model: found the arguments {'members': 10000000} for VotedEnsemble (more layers than "
    "its weights are for), expected those that it takes; get the model folder again.",
)
def endless_ensemble(inputs):
    network = {"name": "VotedEnsemble", "arguments": {"members": 10**7}}
    model(inputs, with_description(network=network))


@fault(
    60,
    "a negative margin in the description",
    3,
    "{ROOT}/model/configs/model.json: found 'preprocessing[2].margin' = -50, expected a whole "
    "number from 0 to 1000; get the model folder again.",
)
def negative_margin(inputs):
    model(inputs, described("preprocessing.2.margin", -50))


@fault(
    60,
    "a training space that has no extent",
    3,
    "{ROOT}/model/configs/model.json: found 'training_space.spacing_xyz_mm[2]' = 5e-324, expected "
    "a number from 0.1 to 20 or null; get the model folder again.",
)
def tiny_spacing(inputs):
    model(inputs, described("training_space.spacing_xyz_mm.2", 5e-324))


@fault(
    60,
    "a training space with one axis three times",
    3,
    "{ROOT}/model/configs/model.json: found 'training_space.orientation' = 'LLL', expected one "
    "letter each of L or R, A or P, S or I; get the model folder again.",
)
def no_orientation(inputs):
    model(inputs, described("training_space.orientation", "LLL"))


@fault(
    60,
    "scores that are no table",
    3,
    "{ROOT}/model/configs/model.json: found 'dice_by_sequences.t1' = [0.5], expected a table; get "
    "the model folder again.",
)
def shapeless_scores(inputs):
    model(inputs, with_description(dice_by_sequences={"t1": [0.5]}))


@fault(
    60,
    "a number that is none",
    3,
    "{ROOT}/model/configs/model.json: found no readable model description (the number NaN), "
    "expected JSON written by this program; get the model folder again.",
)
def nan_number(inputs):
    model(inputs, with_description(check_below={"WT": float("nan")}))


@fault(
    60,
    "a NaN weight",
    3,
    "{ROOT}/model: found NaN or infinity in the weights ['local_path.layer1.0.weight'], expected "
    "finite numbers; train again.",
)
def nan_weight(inputs):
    def change(state):
        next(iter(state.values())).view(-1)[0] = float("nan")
        return state

    model(inputs, with_state(change))


@fault(
    60,
    "a flipped byte in the weights",
    3,
    "{ROOT}/model/models/model.pt: found another checksum, expected that of models/SHA256SUMS; "
    "the file was damaged or changed, get the model folder again.",
)
def flipped_weight(inputs):
    def change(folder):
        path = folder / "models" / "model.pt"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))

    model(inputs, change, checksums=False)


class _Code:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


@fault(
    60,
    "weights that are a pickle with code",
    3,
    "{ROOT}/model: found weights that are not a plain state dict (UnpicklingError), expected "
    "tensors by name; nothing was loaded, get the model folder again from a source you trust.",
)
def pickle_with_code(inputs):
    model(inputs, with_state(lambda state: {**state, "code": _Code()}))


@fault(
    60,
    "a zip file of a model with a path out of its folder",
    3,
    "{ROOT}/model.zip: found the path '../evil.txt' that leads elsewhere, expected only the "
    "files of a model folder (configs, models, docs, LICENSE); nothing was imported, get the "
    "model again from a source you trust.",
)
def zip_with_parent(inputs):
    path = inputs.root / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.txt", "x")
    return ["models", "--import", str(path)]


@fault(
    60,
    "no model of this name",
    3,
    "Found no model 'nobody', expected one of ['default', 'fast', 'InputCascadeCNN', "
    "'TwoPathCNN'] or the path of a model folder (with configs/model.json); check the name.",
)
def unknown_model(inputs):
    inputs.options = ["--model", "nobody"]


@fault(
    61,
    "CUDA where there is none",
    4,
    "Found no GPU that PyTorch can use, expected one for --device cuda; choose --device auto, or "
    "install the driver and a CUDA build of PyTorch.",
    INPUT,
)
def no_cuda(inputs):
    inputs.options = ["--device", "cuda"]


@fault(
    61,
    "a resumed run whose checkpoint was cut",
    2,
    "{ROOT}/run/checkpoint.pt: found a checkpoint that cannot be read (RuntimeError), expected the "
    "one of this run; start a new run in another folder.",
)
def cut_checkpoint(inputs):
    run = inputs.root / "run"
    run.mkdir()
    (run / "checkpoint.pt").write_bytes(b"PK\x03\x04 half")
    return [
        "train",
        "shipped/TwoPathCNN",
        "--data",
        str(inputs.folder),
        "--output",
        str(run),
        "--resume",
    ]
