"""The inferer for MONAI's workflows gives what `predict_volume` gives."""

import numpy as np
import pytest
import torch
from monai.inferers import Inferer

from scripted_models.inference import predict_volume
from scripted_models.inference.brain_inferer import BrainInferer
from scripted_models.networks import build_network

SHAPE = (6, 20, 18)


def case(seed):
    rng = np.random.default_rng(seed)
    brain = np.zeros(SHAPE, bool)
    brain[1:5, 3 + seed : 17, 4:15] = True
    return (rng.standard_normal((4, *SHAPE)) * brain).astype(np.float32), brain


@pytest.fixture(params=["UNet", "TwoPathCNN"])
def network(request):
    torch.manual_seed(0)
    small = {"widths": (4, 8), "context_slices": 1} if request.param == "UNet" else {}
    return build_network(request.param, **small).eval()


def batch_of(*cases):
    images, brains = zip(*cases, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(brains))[:, None]


def test_each_volume_of_a_batch_is_predicted(network):
    cases = [case(0), case(2)]
    inputs, brains = batch_of(*cases)
    inferer = BrainInferer()
    assert isinstance(inferer, Inferer)
    found = inferer(inputs, network, brain=brains)
    assert found.shape == (2, 5, *SHAPE)
    for probabilities, (image, brain) in zip(found, cases, strict=True):
        assert np.array_equal(probabilities.numpy(), predict_volume(network, image, brain))
        assert probabilities[0][~torch.from_numpy(brain)].eq(1).all()


def test_the_brain_is_where_a_channel_differs_from_zero(network):
    inputs, brains = batch_of(case(0))
    inferer = BrainInferer()
    assert torch.equal(inferer(inputs, network), inferer(inputs, network, brain=brains))
    inputs[:, :, 2, 8, 8] = 0.0  # a voxel of the brain with the mean of all sequences
    assert not torch.equal(inferer(inputs, network), inferer(inputs, network, brain=brains))


def test_a_volume_without_brain_is_background(network):
    inputs = torch.zeros(1, 4, *SHAPE)
    found = BrainInferer()(inputs, network)
    assert found[:, 0].eq(1).all()
    assert not found[:, 1:].any()


def test_softmax_gives_the_probabilities_back(network):
    inputs, brains = batch_of(case(1))
    plain = BrainInferer()(inputs, network, brain=brains)
    log = BrainInferer(log=True)(inputs, network, brain=brains)
    assert log.isfinite().all()
    torch.testing.assert_close(log.softmax(dim=1), plain)


def test_what_does_not_fit_is_refused(network):
    inputs, brains = batch_of(case(0))
    with pytest.raises(TypeError, match="no arguments"):
        BrainInferer()(inputs, network, 1)
    with pytest.raises(TypeError, match="a SliceNetwork"):
        BrainInferer()(inputs, torch.nn.Identity())
    with pytest.raises(ValueError, match="expected"):
        BrainInferer()(inputs[0], network)
    with pytest.raises(ValueError, match="expected"):
        BrainInferer()(inputs, network, brain=brains[..., 1:])
