"""What is doubted of a prepared case: its brain, its field of view, a tumor at the mask's edge."""

import numpy as np

from scripted_models.geometry import Grid
from scripted_models.preparation.doubts import (
    doubts_of,
    mask_border_finding,
)
from scripted_models.preparation.needs import Needs


class TestDoubts:
    def finds(self, brain, reached=None):
        image = Grid(brain.shape[::-1], (2.0, 2.0, 2.0)).image_from(brain)
        reached = {"t1c": np.ones_like(brain) if reached is None else reached}
        found = doubts_of(
            Needs(("t1c",), "t1c", (), ()), {"t1c": image}, {"t1c": image}, {}, image, reached
        )
        return [finding.found for finding in found]

    def ball(self, radius=36, shift=0):
        z, y, x = np.indices((80, 80, 80)) - 39.5
        return (z - shift) ** 2 + y**2 + x**2 < radius**2

    def test_a_whole_brain_is_no_doubt(self):
        assert not self.finds(self.ball())

    def test_small_brains(self):
        assert any("a brain of" in found for found in self.finds(self.ball(28)))

    def test_what_the_field_of_view_lacks(self):
        reached = np.ones((80, 80, 80), bool)
        reached[:20] = False
        (found,) = self.finds(self.ball(), reached)
        assert "outside of the field of view" in found

    def test_a_brain_that_is_cut_off(self):
        assert any("goes on beyond" in found for found in self.finds(self.ball(36, 25)))

    def test_tumor_at_the_border_of_the_mask(self):
        brain, labels = self.ball(30), np.zeros((80, 80, 80), np.uint8)
        labels[35:45, 35:45, 35:45] = 4
        assert mask_border_finding(labels, brain) is None
        assert mask_border_finding(labels * 0, brain) is None
        labels[:] = 0
        labels[brain & (np.indices(brain.shape)[0] > 62)] = 4
        assert mask_border_finding(labels, brain) is not None
