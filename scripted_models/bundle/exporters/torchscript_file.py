"""TorchScript: the network for PyTorch without this program."""

import json
from pathlib import Path

import torch

from scripted_models.bundle.exporters.interface import FILE as INTERFACE
from scripted_models.bundle.exporters.interface import Json
from scripted_models.bundle.exporters.traced_network import TracedNetwork

FILE = "model.ts"


def write_torchscript(path: Path, network: TracedNetwork, interface: Json) -> None:
    """Write a TorchScript file.

    Args:
        path: of the file.
        network: maps the image to logits.
        interface: stays in the file, too, as an extra file of its name.
    """
    torch.jit.save(network.graph, path, _extra_files={INTERFACE: json.dumps(interface)})
