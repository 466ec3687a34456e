"""Every network can be traced and written as ONNX, but for those that say why not."""

import pytest
import torch
from test_networks import NETWORKS, make

from scripted_models.bundle.exporters.interface import INPUT
from scripted_models.bundle.exporters.onnx_file import write_onnx
from scripted_models.bundle.exporters.traced_network import traced
from scripted_models.errors import ModelError

NOT_TRACED = ("CRFRNN",)  # says why
ONE_SIZE = ("SwinUNETR3D",)  # its windows of attention are smaller in small images
WINDOW = (32, 32, 32)
SURE = 1e-3  # of the largest logit; a label that is less ahead may change by rounding


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(NOT_TRACED)))
def test_onnx_gives_the_same_logits_and_labels_at_another_size(name, tmp_path):
    """`traced` itself compares the graph with the network at two sizes."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network = make(name).float()
    graph = traced(network, WINDOW if network.dimensions == 3 else ())
    assert graph.any_size == (name not in ONE_SIZE)
    size = tuple(edge + 1 for edge in graph.size) if graph.any_size else graph.size
    image = torch.randn(
        (2 if graph.any_size else 1, network.input_channels, *size),
        generator=torch.Generator().manual_seed(9),
    )
    axes = ["batch", "channel", *"zyx"[-network.dimensions :]]
    write_onnx(tmp_path / "model.onnx", graph, {"input": {"axes": axes}})
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {INPUT: image.numpy()})
    with torch.no_grad():
        expected = network(image)
    largest = float(expected.abs().max())
    found = torch.from_numpy(found)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * largest)
    sure = margin(expected) > SURE * largest
    assert sure.float().mean() > 0.5
    assert torch.equal(found.argmax(1)[sure], expected.argmax(1)[sure])


def margin(logits):
    """Return how far the largest logit is ahead."""
    best = logits.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


@pytest.mark.parametrize("name", NOT_TRACED)
def test_what_cannot_be_traced_says_why(name):
    with pytest.raises(ModelError, match="made anew for the size and the values"):
        traced(make(name).float())


def test_a_trace_that_says_something_else_is_refused():
    class Loud(torch.nn.Identity):
        def forward(self, x):
            return x * (2 if x.shape[2] > 32 else 1)

    network = make("UNet").float()
    network.output = torch.nn.Sequential(network.output, Loud())
    with pytest.raises(ModelError, match="serves the traced image alone"):
        traced(network)
