"""ONNX: the network for runtimes in other languages, in browsers and on other devices.

PyTorch's exporter for traced graphs writes it. It takes every network that can be traced, in any
size, and needs the package `onnx` alone.
"""

import inspect
import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from scripted_models.bundle.exporters.interface import INPUT, OUTPUT, Json
from scripted_models.bundle.exporters.traced_network import TracedNetwork
from scripted_models.errors import ResourceError

FILE = "model.onnx"
OPSET = 17


def require_onnx() -> None:
    """Make sure that the package is there.

    Raises:
        ResourceError: it is not.
    """
    if find_spec("onnx") is None:
        raise ResourceError(
            found="no package 'onnx'",
            expected="it, to write ONNX",
            action="install it with pip install 'scripted-models[onnx]', or take --format "
            "torchscript",
        )


def write_onnx(path: Path, network: TracedNetwork, interface: Json) -> None:
    """Write an ONNX file and check it as such.

    Args:
        path: of the file.
        network: its input is called `INPUT`, its output `OUTPUT`.
        interface: table of `interface_of`; it stays in the file, too, as its property 'interface'.

    Raises:
        ResourceError: the package `onnx` is not there.
    """
    require_onnx()
    import onnx

    axes = enumerate(interface["input"]["axes"])
    free = {place: name for place, name in axes if network.any_size and name != "channel"}
    by_trace: dict[str, Any] = {"dynamo": False} if _has_another_exporter() else {}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that exporters change
        torch.onnx.export(
            network.graph,
            (network.example,),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: free, OUTPUT: free},
            opset_version=OPSET,
            **by_trace,
        )
    model = onnx.load_model(path)
    onnx.helper.set_model_props(model, {"interface": json.dumps(interface)})
    onnx.checker.check_model(model)
    onnx.save_model(model, path)


def _has_another_exporter() -> bool:
    return "dynamo" in inspect.signature(torch.onnx.export).parameters
