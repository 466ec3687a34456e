"""Fewer than four volumes, with a model that can do without some: real scene, real child."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_fixtures import described
from slicer_fixtures import (
    SEQUENCES,
    add_volume,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

from scripted_models.bundle.description import NetworkDescription

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import logic  # noqa: E402
from BrainTumorSegLib.input_check import InputCheck, reference_of  # noqa: E402
from BrainTumorSegLib.resampling import ras_matrix  # noqa: E402

from scripted_models.bundle.weights import write_model  # noqa: E402
from scripted_models.cases.phantom.phantom_case import make_phantom  # noqa: E402
from scripted_models.errors import InputError  # noqa: E402
from scripted_models.networks import build_network  # noqa: E402

pytestmark = pytest.mark.slicer

OPTIONAL = described(needs_one_of=["t1c", "flair"])


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(1, (40, 40, 14))


@pytest.fixture
def nodes(slicer_scene, phantom):
    matrix = ras_matrix(phantom.grid)
    return {m: add_volume(slicer_scene, f"my {m}", phantom.volumes[m], matrix) for m in SEQUENCES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    arguments = {"widths": [2, 3], "planes": ["axial"]}
    torch.manual_seed(1)
    network = build_network("UNet", **arguments).eval()
    stated = replace(OPTIONAL, network=NetworkDescription("UNet", arguments))
    return write_model(tmp_path_factory.mktemp("models") / "m", network, stated)


@pytest.mark.parametrize(
    ("gone", "reference"),
    [(["t1"], "t1c"), (["t1", "t2"], "t1c"), (["t1c"], "flair"), (["t1", "t1c", "t2"], "flair")],
)
def test_what_may_be_missing_is_a_warning_and_the_rest_is_checked(nodes, gone, reference):
    nodes.update(dict.fromkeys(gone))
    assert reference_of(nodes, OPTIONAL) == reference
    (finding,) = InputCheck().check(nodes, description=OPTIONAL)
    assert (finding.severity, finding.slots) == ("warning", tuple(gone))
    assert finding.found.startswith("no ")
    slicer.util.arrayFromVolume(nodes[reference])[:] = np.nan
    assert "stop" in [f.severity for f in InputCheck().check(nodes, description=OPTIONAL)]


def test_without_all_that_are_needed_it_stops(nodes):
    nodes["t1c"] = nodes["flair"] = None
    stop, *_ = InputCheck().check(nodes, description=OPTIONAL)
    assert stop.severity == "stop"
    assert stop.sentence.endswith(", expected T1c or FLAIR; choose one.")


def test_a_run_with_two_volumes_gives_a_segmentation(slicer_scene, nodes, folder):
    nodes["t1"], nodes["t1c"] = None, None
    for node in (nodes["t2"], nodes["flair"]):
        node.SetSpacing(1, 1, 1)  # a doll's head, nothing to resample
    said = []
    node = logic.segment(
        nodes, on_event=lambda e: said.append(e.text), model=str(folder), device="cpu"
    )
    assert node.GetName() == "my flair tumor"
    assert any(text and "Found no T1 and no T1c;" in text for text in said)


def test_a_model_that_needs_all_four_refuses(nodes):
    nodes["t1"] = None
    with pytest.raises(InputError, match="expected all four sequences"):
        logic.segment(nodes, model="TwoPathCNN", device="cpu")
