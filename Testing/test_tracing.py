"""Every network can be traced and exported, but for those that say why not."""

import io

import pytest
import torch
from test_networks import NETWORKS, make, random_image

from scripted_models.bundle.exporters.interface import INPUT
from scripted_models.bundle.exporters.onnx_file import write_onnx
from scripted_models.bundle.exporters.traced_network import traced
from scripted_models.errors import ModelError

NOT_TRACED = ("CRFRNN",)  # says why
ONE_SIZE = ("SwinUNETR3D",)  # its windows of attention are smaller in small images
WINDOW = (32, 32, 32)
TRACED = sorted(set(NETWORKS) - set(NOT_TRACED))
SLICES = [name for name in TRACED if not name.endswith("3D")]


@pytest.fixture(params=TRACED, scope="module")
def network(request):
    return make(request.param).float()


@pytest.fixture(scope="module")
def graph(network):
    return traced(network, WINDOW if network.dimensions == 3 else ())


@pytest.fixture(scope="module")
def images(network, graph):
    """Return the traced size and, where it serves others, an odd one of two images."""
    sizes = [(1, *graph.size)]
    if graph.any_size:
        sizes.append((2, *(edge + 1 + 2 * axis for axis, edge in enumerate(graph.size))))
    generator = torch.Generator().manual_seed(9)
    return [
        torch.randn((n, network.input_channels, *size), generator=generator) for n, *size in sizes
    ]


class TestEveryNetwork:
    def test_the_graph_serves_other_sizes(self, graph, network, request):
        name = request.node.callspec.params["network"]
        assert graph.any_size == (name not in ONE_SIZE)

    def test_onnx_gives_the_same_logits_and_labels(self, network, graph, images, tmp_path):
        pytest.importorskip("onnx")
        runtime = pytest.importorskip("onnxruntime")
        write_onnx(tmp_path / "model.onnx", graph, {})
        session = runtime.InferenceSession(tmp_path / "model.onnx")
        for image in images:
            (found,) = session.run(None, {INPUT: image.numpy()})
            with torch.no_grad():
                expected = network(image)
            found = torch.from_numpy(found)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
            sure = margin(expected) > 1e-3
            assert torch.equal(found.argmax(1)[sure], expected.argmax(1)[sure])
            assert sure.float().mean() > 0.9

    def test_torchscript_read_back_gives_the_same_logits(self, network, graph, images):
        stream = io.BytesIO()
        torch.jit.save(graph.graph, stream)
        stream.seek(0)
        again = torch.jit.load(stream)
        for image in images:
            with torch.no_grad():
                torch.testing.assert_close(again(image), network(image), rtol=1e-3, atol=1e-3)


def margin(logits):
    """Return how far the largest logit is ahead."""
    best = logits.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


class TestOthers:
    @pytest.mark.parametrize("name", NOT_TRACED)
    def test_it_says_why(self, name):
        with pytest.raises(ModelError, match="made anew for the size and the values"):
            traced(make(name).float())

    def test_a_trace_that_says_something_else_is_refused(self):
        class Loud(torch.nn.Identity):
            def forward(self, x):
                return x * (2 if x.shape[2] > 40 else 1)

        network = make("UNet").float()
        network.output = torch.nn.Sequential(network.output, Loud())
        with pytest.raises(ModelError, match="serves the traced image alone"):
            traced(network)

    @pytest.mark.parametrize("name", SLICES)
    def test_torch_export_takes_networks_of_slices(self, name):
        network = make(name).float()
        height, width = (32, 64) if network.pads else (sum(network.margins) + n for n in (3, 6))
        image = random_image(network, height, width).float()
        with torch.no_grad():
            program = torch.export.export(network, (image,))
            torch.testing.assert_close(program.module()(image), network(image))


