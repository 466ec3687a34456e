"""Fault 74: model folders of strangers."""

import os
import shutil
import struct
import warnings
import zipfile

import torch
from fault_table import fault
from faults_in_models import model, with_state

SOURCE = "nothing was loaded, get the model folder again from a source you trust."
REFUSED = "expected tensors by name; " + SOURCE
FIRST = "local_path.layer1.0.weight"


def first_as(change):
    """Replace the first tensor of the weights."""

    def spoil(state):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's about kinds that it will give up
            return {**state, FIRST: change(state[FIRST].float())}

    return with_state(spoil)


def refused_tensor(name, what, change, words):
    """Add a row about weights that are no plain tensors."""
    says = f"{{ROOT}}/model: found weights that are not a plain state dict ({words}), {REFUSED}"

    def spoil(inputs):
        model(inputs, first_as(change))

    spoil.__name__ = name
    fault(74, what, 3, says)(spoil)


for arguments in (
    ("short_weights", "weights of 32-bit integers", torch.Tensor.int, "holds int32"),
    ("true_weights", "weights that are true or false", torch.Tensor.bool, "holds bool"),
    (
        "complex_weights",
        "complex weights",
        lambda value: value.to(torch.complex64),
        "holds complex64",
    ),
    (
        "float8_weights",
        "weights of 8 bits",
        lambda value: value.to(torch.float8_e4m3fn),
        "holds float8_e4m3fn",
    ),
    (
        "quantized_weights",
        "quantized weights",
        lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        "holds qint8",
    ),
    ("sparse_weights", "sparse weights", torch.Tensor.to_sparse, "is nested or sparse"),
    (
        "nested_weights",
        "nested weights",
        lambda value: torch.nested.nested_tensor(list(value)),
        "is nested or sparse",
    ),
    (
        "meta_weights",
        "weights without values",
        lambda value: value.to("meta"),
        "has no values (device meta)",
    ),
    (
        "expanded_weights",
        "one number that is expanded to a tensor",
        lambda value: torch.ones(1).expand(value.shape),
        "repeats its values",
    ),
    (
        "overlapping_weights",
        "a tensor whose rows overlap in memory",
        lambda value: value.flatten().as_strided(value.shape, (1, 1, 1, 1)),
        "repeats its values",
    ),
    ("empty_weights", "a tensor of no numbers", lambda value: value[:0], "is empty"),
):
    refused_tensor(*arguments[:3], f"'{FIRST}' {arguments[3]}")


@fault(
    74,
    "whole numbers where the network has weights",
    3,
    "{ROOT}/model: found whole numbers in the weights ['" + FIRST + "'], expected floating-point "
    "numbers; get the model folder again.",
)
def long_weights(inputs):
    model(inputs, first_as(torch.Tensor.long))


@fault(
    74,
    "weights of 64 bits that are infinite in 32",
    3,
    "{ROOT}/model: found numbers too large for float32 in the weights ['" + FIRST + "'], expected "
    "finite numbers; train again.",
)
def too_large_weights(inputs):
    model(inputs, first_as(lambda value: value.double() * 1e300))


@fault(74, "weights of 64 bits that fit into 32", 0)
def double_weights(inputs):
    model(inputs, with_state(lambda state: {key: value.double() for key, value in state.items()}))


def replaced(name, change):
    """Return a change of a model folder: one file goes, something else comes."""

    def spoil(folder):
        path = folder / name
        path.unlink()
        change(path)

    return spoil


@fault(
    74,
    "a list of checksums that is a pipe",
    3,
    "{ROOT}/model/models/SHA256SUMS: found no readable list of checksums; get the complete model "
    "folder again.",
)
def piped_checksums(inputs):
    model(inputs, replaced("models/SHA256SUMS", os.mkfifo), checksums=False)


@fault(
    74,
    "a list of checksums without an end",
    3,
    "{ROOT}/model/models/SHA256SUMS: found no readable list of checksums; get the complete model "
    "folder again.",
)
def endless_checksums(inputs):
    change = replaced("models/SHA256SUMS", lambda path: path.symlink_to("/dev/zero"))
    model(inputs, change, checksums=False)


@fault(
    74,
    "a description of the bundle that is a pipe",
    3,
    "{ROOT}/model/configs/metadata.json: found a file that cannot be used (It is a pipe or "
    "device, not a file), expected a file of a model; get the complete model folder again.",
)
def piped_metadata(inputs):
    model(inputs, replaced("configs/metadata.json", os.mkfifo), checksums=False)


@fault(
    74,
    "weights that are a folder",
    3,
    "{ROOT}/model/models/model.pt: found a file that cannot be used (It is a folder), expected a "
    "file of a model; get the complete model folder again.",
)
def folder_as_weights(inputs):
    model(inputs, replaced("models/model.pt", os.mkdir), checksums=False)


def described_as(change):
    """Return a change of a model folder: other text in the description, right checksums."""

    def spoil(folder):
        path = folder / "configs" / "model.json"
        path.write_text(change(path.read_text("utf-8")), "utf-8")

    return spoil


def refused_text(name, what, change, words):
    """Add a row about a description that is no plain JSON."""
    says = (
        f"{{ROOT}}/model/configs/model.json: found no readable model description ({words}), "
        "expected JSON written by this program; get the model folder again."
    )

    def spoil(inputs):
        model(inputs, described_as(change))

    spoil.__name__ = name
    fault(74, what, 3, says)(spoil)


def summary_as(json_text):
    return lambda text: text.replace("{", '{"x": ' + json_text + ", ", 1)


refused_text(
    "deep_description",
    "a description of 100,000 lists inside each other",
    summary_as("[" * 10**5 + "]" * 10**5),
    "more than 64 tables or lists inside each other",
)
refused_text(
    "rather_deep_description",
    "a description of 200 tables inside each other",
    summary_as('{"a":' * 200 + "1" + "}" * 200),
    "more than 64 tables or lists inside each other",
)
refused_text(
    "key_twice",
    "a description with a key twice",
    lambda text: text.replace("{", '{"name": "another", ', 1),
    "the key 'name' twice",
)
refused_text(
    "half_a_character",
    "a description with half of a character",
    summary_as('"\\ud800"'),
    "half of a character (a lone surrogate)",
)


@fault(74, "a description with a byte order mark", 0)
def marked_description(inputs):
    model(inputs, described_as(lambda text: "\ufeff" + text))


def many_entries(path, count):
    """Write a zip file of one entry whose list names it many times."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("LICENSE", "mine")
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    listing = content[start:end] * count
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(listing), start, 0)
    path.write_bytes(content[:start] + listing + tail)


@fault(
    74,
    "a zip file that lists 200,000 files",
    3,
    "{ROOT}/model.zip: found a damaged or incomplete file (its list of files has more than 1024 "
    "KiB), expected a zip file of a model folder; get it again.",
)
def endless_zip(inputs):
    path = inputs.root / "model.zip"
    many_entries(path, 200_000)
    return ["models", "--import", str(path)]


@fault(
    74,
    "a zip file that is a pipe",
    3,
    "{ROOT}/model.zip: found no readable folder or file (It is a pipe or device, not a file), "
    "expected a model folder or a zip file of one; check the path.",
)
def piped_zip(inputs):
    os.mkfifo(inputs.root / "model.zip")
    return ["models", "--import", str(inputs.root / "model.zip")]


@fault(
    74,
    "a model folder with a symbolic link",
    3,
    "{ROOT}/model: found the link or special file 'docs/link.md', expected only the files of a "
    "model folder (configs, models, docs, LICENSE); nothing was imported, get the model again "
    "from a source you trust.",
)
def linked_file(inputs):
    from scripted_models.bundle import shipped_models

    (source,) = [path for path in shipped_models() if path.name == "TwoPathCNN"]
    shutil.copytree(source, inputs.root / "model")
    (inputs.root / "model" / "docs" / "link.md").symlink_to("/etc/passwd")
    return ["models", "--import", str(inputs.root / "model")]
