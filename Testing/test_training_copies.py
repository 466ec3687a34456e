"""Copies that train beside real cases: degraded ones, and tumors in the brains of others."""

import numpy as np
import pytest

from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.degradation import KINDS, degrade
from scripted_models.tasks.brains.training_copies import draw_copies
from scripted_models.tasks.brains.tumor_transplant import transplant
from scripted_models.training.experiment_config import DataConfig


def phantom(seed):
    made = make_phantom(seed, (56, 60, 48))
    return np.stack([made.volumes[m] for m in SEQUENCES]).astype(np.float32), made.labels


@pytest.fixture(scope="module")
def case():
    return phantom(3)


class TestDegradation:
    @pytest.mark.parametrize("kind", KINDS)
    def test_changes_the_image_and_repeats_itself(self, case, kind):
        image, labels = case
        before = image.copy()
        once, again = (degrade(image, labels, 4, [kind]) for _ in range(2))
        assert np.array_equal(once[0], again[0])
        assert np.array_equal(once[1], again[1])
        assert np.array_equal(image, before)
        assert not np.array_equal(once[0], image)
        assert once[0].shape == image.shape
        assert np.isfinite(once[0]).all()
        assert np.array_equal(once[1], labels) == (kind != "rotate")

    @pytest.mark.parametrize("kind", sorted(set(KINDS) - {"rotate", "misalign", "remask"}))
    def test_leaves_the_background(self, case, kind):
        image, labels = case
        changed, _ = degrade(image, labels, 2, [kind])
        assert not changed[:, ~(image != 0).any(axis=0)].any()

    def test_labels_turn_with_the_head(self, case):
        image, labels = case
        turned, moved = degrade(image, labels, 1, ["rotate"])
        volume = [(part > 0).sum() for part in (labels, moved)]
        assert volume[1] == pytest.approx(volume[0], rel=0.1)
        flair = SEQUENCES.index("flair")
        assert turned[flair][moved == 2].mean() == pytest.approx(
            image[flair][labels == 2].mean(), rel=0.1
        )

    def test_a_cut_leaves_the_rest_as_it_was(self, case):
        image, labels = case
        changed, _ = degrade(image, labels, 0, ["cut"])
        away = (changed == 0) & (image != 0)
        assert 0.001 < away.mean() < 0.2
        assert np.array_equal(changed[~away], image[~away])

    def test_kinds_are_drawn(self, case):
        results = [degrade(*case, seed)[0] for seed in range(6)]
        assert len({result.tobytes() for result in results}) == 6


class TestTransplant:
    def test_the_tumor_comes_beside_the_own_one(self, case):
        image, labels = case
        donor = phantom(18)
        changed, both = transplant(image, labels, *donor, seed=5)
        new = (both > 0) & (labels == 0)
        assert new.sum() > 0.5 * (donor[1] > 0).sum()
        assert set(np.unique(both[new])) <= set(np.unique(donor[1]))
        assert not both[~(image != 0).any(axis=0)].any()
        far = np.abs(changed - image).max(axis=0) == 0
        assert far.mean() > 0.7
        flair = SEQUENCES.index("flair")
        assert changed[flair][new].mean() > 1.1 * image[flair][new].mean()

    def test_repeats_itself_and_changes_no_input(self, case):
        donor = phantom(18)
        kept = [part.copy() for part in (*case, *donor)]
        once, again = (transplant(*case, *donor, seed=2) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(kept, (*case, *donor), strict=True))

    def test_a_healthy_donor_gives_nothing(self, case):
        image, labels = case
        healthy = np.zeros_like(labels)
        changed, both = transplant(image, labels, image, healthy, seed=1)
        assert np.array_equal(changed, image)
        assert np.array_equal(both, labels)


class TestDraw:
    NAMES = ("a", "b", "c")

    def test_counts_kinds_and_donors(self):
        data = DataConfig(contrast_suppressed=5, degraded=4, transplanted=7)
        drawn = list(draw_copies(self.NAMES, data))
        kinds = [copy.kind for _, copy in drawn]
        assert [kinds.count(k) for k in ("contrast_suppressed", "degraded", "transplanted")] == [
            *(3, 4, 7)
        ]
        assert len(set(drawn)) == len(drawn)
        for name, copy in drawn:
            assert (copy.donor in self.NAMES) == (copy.kind == "transplanted")
            assert copy.donor != name

    def test_order_of_names_does_not_matter(self):
        data = DataConfig(degraded=4, transplanted=4)
        assert list(draw_copies(self.NAMES, data)) == list(draw_copies(self.NAMES[::-1], data))

    def test_one_case_has_no_donor(self):
        assert not list(draw_copies(("a",), DataConfig(transplanted=3)))
