"""Labels from probabilities: the most probable one, or regions inside each other."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import described, restate
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model, write_model
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.labels import REGIONS, region_mask
from scripted_models.transforms.region_thresholds import ESTIMATED_DICE, best_share, decide_labels

KNOWN = (0, 1, 2, 3, 4)
SHARES = st.floats(0.0, 1.0)


def random_probabilities(seed, classes=5, shape=(3, 4, 50)):
    p = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), shape)
    return np.moveaxis(p, -1, 0).astype(np.float32)


@pytest.mark.parametrize("known", [KNOWN, (0, 2, 4), (0, 1, 2, 4)])
def test_without_shares_the_likeliest_label_wins(known):
    p = random_probabilities(0, len(known))
    assert np.array_equal(decide_labels(p, known), np.array(known)[p.argmax(axis=0)])
    assert decide_labels(p, known, {}).dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), shares=st.tuples(SHARES, SHARES, SHARES))
def test_regions_are_where_their_probabilities_reach_the_share_inside_the_larger_region(
    seed, shares
):
    p, least = random_probabilities(seed), dict(zip(REGIONS, shares, strict=True))
    labels = decide_labels(p, KNOWN, least)
    inside = np.ones(labels.shape, bool)
    together = {"WT": 1 - p[0], "TC": p[4] + p[[1, 3]].sum(axis=0), "ET": p[4]}
    for region in REGIONS:
        inside = inside & (together[region] >= least[region])
        assert np.array_equal(region_mask(labels, region), inside)
    rest = np.isin(labels, (1, 3))
    assert (labels[rest] == np.where(p[1] >= p[3], 1, 3)[rest]).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), sharpness=st.floats(0.05, 3))
def test_the_best_share_has_the_greatest_expected_dice(seed, sharpness):
    p = np.random.default_rng(seed).beta(0.3 * sharpness, sharpness, (4, 5, 30)).astype(np.float32)
    promised = lambda share: 2 * p[p >= share].sum() / ((p >= share).sum() + p.sum())  # noqa: E731
    best = best_share(p)
    others = [promised(share) for share in np.linspace(0.01, 0.99, 99)]
    assert promised(best) >= max(others) - 1e-5
    if (p >= 0.01).any():
        # half of the greatest value, within the distance of neighboring probabilities
        below, above = p[p < best], p[p >= best]
        assert above.min() >= promised(best) / 2 - 1e-5
        assert below.max(initial=0.01) <= max(promised(best) / 2, 0.01) + 1e-5


def test_certain_regions_are_as_they_are_and_absent_ones_stay_absent():
    assert best_share(np.array([0.0, 1.0, 1.0] * 20)) == 1.0
    assert best_share(np.array([0.99] * 30 + [0.4] * 3)) > 0.4
    assert best_share(np.array([0.6] * 30 + [0.4] * 30)) < 0.41
    assert best_share(np.zeros(9)) == 1.0
    labels = decide_labels(
        np.array([[1.0, 0.999], [0, 0], [0, 0.001], [0, 0], [0, 0]], np.float32),
        KNOWN,
        dict.fromkeys(REGIONS, ESTIMATED_DICE),
    )
    assert not labels.any()


def test_labels_that_a_model_does_not_know_are_not_given():
    p = random_probabilities(3, 4)
    labels = decide_labels(p, (0, 1, 2, 4), dict.fromkeys(REGIONS, 0.2))
    assert set(np.unique(labels)) == {0, 1, 2, 4}


class TestModel:
    def model(self, folder, small_network, **changes):
        stated = described(
            network={"name": "TwoPathCNN", "arguments": {}},
            postprocessing=[{"step": "inside_brain"}],
            **changes,
        )
        return write_model(folder, small_network, stated)

    def test_a_model_decides_as_it_says(self, small_network, tmp_path):
        write_small_case(tmp_path / "data", "Brats18_A_1_1", 1)
        volumes = []
        for share in (0.0, 1.0):
            least = {"WT": share, "TC": 0.5, "ET": 0.5}
            folder = self.model(tmp_path / f"m{share}", small_network, decision=least)
            out = tmp_path / f"out{share}"
            options = ["--output", str(out), "--model", str(folder), "--progress", "none"]
            assert main(["segment", str(tmp_path / "data"), *options]) == 0
            report = json.loads((out / "Brats18_A_1_1" / "report.json").read_text())
            volumes.append(report["volumes_ml"]["WT"])
            assert "WT from" in (folder / "docs" / "README.md").read_text()
        assert volumes[0] == pytest.approx(6 * 22 * 22 / 1000)  # the whole brain
        assert volumes[1] == 0

    @pytest.mark.parametrize(
        "decision",
        [{"WT": 0.5}, *({**dict.fromkeys(REGIONS, 0.5), "TC": x} for x in ("best", 2))],
    )
    def test_impossible_shares_are_refused(self, decision, small_network, tmp_path):
        folder = restate(self.model(tmp_path / "m", small_network), decision=decision)
        with pytest.raises(ModelError, match="decision"):
            load_model(str(folder))

    def test_other_shares_are_told_by_the_checksum(self, small_network, tmp_path):
        folders = [
            self.model(tmp_path / str(share), small_network, decision=dict.fromkeys(REGIONS, share))
            for share in (0.4, 0.5, 0.4)
        ]
        sums = [load_model(str(folder)).method_checksum for folder in folders[:2]]
        assert sums[0] != sums[1]
        again = self.model(
            tmp_path / "again",
            small_network,
            decision=dict.fromkeys(REGIONS, 0.4),
            summary="other words",
        )
        assert load_model(str(again)).method_checksum == sums[0]
