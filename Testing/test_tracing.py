"""Every network of slices can be traced and exported, but for those named with a reason."""

import pytest
import torch
from test_networks import NETWORKS, make, random_image

NOT_TRACED = {
    "CRFRNN": "the lattice of its field has as many vertices as the values of the image ask for",
}
SLICES = sorted(name for name, entry in NETWORKS.items() if not name.endswith("3D"))


@pytest.fixture(params=SLICES, scope="module")
def network(request):
    if request.param in NOT_TRACED:
        pytest.skip(NOT_TRACED[request.param])
    return make(request.param).float()


def image_of(network, height, width):
    """Return an image of this size, or of one that gives few pixels where none is padded."""
    if not network.pads:
        height, width = (sum(network.margins) + edge // 10 for edge in (height, width))
    return random_image(network, height, width).float()


def same(traced, network, image):
    torch.testing.assert_close(traced(image), network(image), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of what becomes a constant, and that tracing is deprecated
class TestSlices:
    def test_traced_at_one_size_it_serves_another(self, network):
        with torch.no_grad():
            image = image_of(network, 32, 64)
            traced = torch.jit.trace(network, image, check_trace=False)
            same(traced, network, image)
            same(traced, network, image_of(network, 43, 66))

    def test_exported(self, network):
        if not hasattr(torch, "export"):
            pytest.skip("torch.export came with torch 2.1")
        with torch.no_grad():
            image = image_of(network, 32, 64)
            program = torch.export.export(network, (image,))
            same(program.module(), network, image)


def test_what_is_not_traced_depends_on_the_values_of_the_image():
    network = make("CRFRNN").float()
    image = image_of(network, 8, 8)
    with torch.no_grad(), pytest.raises(Exception, match="data-dependent"):
        torch.export.export(network, (image,))
