"""What goes into an exported network and what comes out, as a table beside its file."""

from collections.abc import Sequence
from typing import Any

from scripted_models import __version__
from scripted_models.bundle.exporters.traced_network import TracedNetwork
from scripted_models.bundle.monai_files import channel_names
from scripted_models.bundle.weights import Model
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.typed_tables import as_table
from scripted_models.transforms.volume_networks import OUR_AXES

FILE = "interface.json"
INPUT, OUTPUT = "image", "logits"

Json = dict[str, Any]


def interface_of(model: Model, network: TracedNetwork, file: str) -> Json:
    """Return the table.

    Args:
        model: the model.
        network: its network, traced.
        file: name of the file that holds it.
    """
    description, built = model.description, model.network
    outputs = description.network_outputs
    low, high = built.margins
    return {
        "file": file,
        "model": {
            "name": model.name,
            "version": description.version,
            "summary": description.summary,
            "task": description.task,
            "weights_sha256": model.checksum,
            "exported_by": f"scripted_models {__version__}",
        },
        "input": {
            "name": INPUT,
            "type": "float32",
            "axes": list(_axes(model)),
            **_size(network),
            "channels": channel_names(description, built),
            **_optional(description.needs_one_of),
        },
        "output": {
            "name": OUTPUT,
            "type": "float32",
            "axes": list(_axes(model)),
            "pixels_less": {"low": low, "high": high},
            "channels": _output_names(model),
            "probabilities": "sigmoid" if outputs.kind == "regions" else "softmax over channel",
        },
        "volume": _volume(model),
        "method": description.method,
        **({"image_scale": as_table(scale)} if (scale := description.image_scale) else {}),
    }


def _axes(model: Model) -> tuple[str, ...]:
    """Return the names of the axes; a network of volumes may have them in another order."""
    window = model.description.sliding_window
    return ("batch", "channel", *(window.axes if window else OUR_AXES[1:]))


def _output_names(model: Model) -> list[str]:
    """Return regions, or labels with their names, in the order of the outputs."""
    outputs, labels = model.description.network_outputs, model.description.labels
    if outputs.kind == "regions":
        return list(map(str, outputs.order))
    return [f"{label} {labels[int(label)]}" for label in outputs.order]


def _size(network: TracedNetwork) -> Json:
    """Return which sizes the graph serves; smaller ones than that of its trace were not tried."""
    if network.any_size:
        return {"size": "any", "batch": "any", "least_size_tried": list(network.size)}
    return {"size": list(network.size), "batch": 1}


def _volume(model: Model) -> Json:
    """Return how what the network says of its images becomes what is said of a volume."""
    description, network = model.description, model.network
    if description.task != "brains":
        return {}
    if not isinstance(network, SliceNetwork):
        return {
            "sliding_window": as_table(description.sliding_window, defaults=True),
            "how": [
                "Windows of this size go over the whole preprocessed volume; where they overlap "
                "the weighted mean of the logits counts, and the mean over the mirrored forms."
            ],
        }
    return {
        "planes": list(network.planes),
        "slice_step": network.slice_step,
        "neighboring_slices": network.context_slices,
        "how": _ways_of_slices(network),
    }


def _optional(one_of: Sequence[str]) -> Json:
    """Return what is said of missing sequences."""
    return {"missing_sequence": "0 everywhere", "needs_one_of": list(one_of)} if one_of else {}


def _ways_of_slices(network: SliceNetwork) -> list[str]:
    """Return sentences on how slices are cut and joined."""
    low, high = network.margins
    ways = [
        "Slices of each plane are cut from the preprocessed volume (z, y, x): axial (y, x), "
        "coronal (z, x), sagittal (z, y)."
    ]
    if network.context_slices:
        ways.append("Beyond the first and the last slice these are repeated.")
    if low or high:
        ways.append(
            f"Each slice is padded with zeros, {low} pixels before and {high} after along both "
            "axes, so that every pixel gets a result."
        )
    if network.slice_step > 1:
        ways.append(
            f"Of the slices that hold brain one of {network.slice_step} is computed, and the last "
            "one; the probabilities of those between are interpolated."
        )
    if len(network.planes) > 1:
        ways.append("The mean of the probabilities of the planes counts.")
    return [*ways, "Outside of the brain everything is background."]
