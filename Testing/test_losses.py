"""Losses over pixels: the merged label, ignored pixels, the regions' Dice, weight penalties."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scripted_models.labels import REGIONS
from scripted_models.training.losses import pixel_cross_entropy, region_dice_loss, weight_penalty
from scripted_models.training.training_case import IGNORED, MERGED_CORE

MODERATE = torch.tensor([[0.3, 1.1, -0.4, 0.8, 0.2], [1.5, -0.7, 0.1, 0.4, -1.2]])


class TestCrossEntropy:
    def test_merged_truth_accepts_either_label(self):
        logits = torch.tensor([[0.0, 9.0, 0, 0, 0], [0.0, 0, 0, 9.0, 0], [9.0, 0, 0, 0, 0]])
        losses = [
            pixel_cross_entropy(row[None], torch.tensor([MERGED_CORE])).item() for row in logits
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-2)
        assert losses[0] < 0.01 < 5 < losses[2]

    @pytest.mark.parametrize("classes", [2, 5, 21])
    def test_any_number_of_classes_without_merged_ones(self, classes):
        torch.manual_seed(0)
        logits, target = torch.randn(200, classes), torch.randint(classes, (200,))
        expected = F.cross_entropy(logits, target, reduction="none")
        target[::7] = IGNORED
        expected[::7] = 0
        assert pixel_cross_entropy(logits, target).item() == pytest.approx(expected.mean().item())
        target[0] = classes  # a label that the network does not have
        with pytest.raises((IndexError, RuntimeError)):
            pixel_cross_entropy(logits[:, : classes - 1], target)

    @pytest.mark.parametrize("shape", [(200, 21), (6, 2)])
    def test_reductions_are_those_of_pytorch(self, shape):
        torch.manual_seed(0)
        logits, target = torch.randn(*shape), torch.randint(shape[1], shape[:1])
        target[::5] = IGNORED
        for ours, theirs in (("sum", "sum"), ("labeled", "mean")):
            expected = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction=theirs)
            torch.testing.assert_close(pixel_cross_entropy(logits, target, ours), expected)

    @pytest.mark.parametrize("reduction", ["pixels", "labeled", "sum"])
    def test_nothing_labeled_weighs_nothing(self, reduction):
        target = torch.full((9,), IGNORED)
        assert pixel_cross_entropy(torch.randn(9, 3), target, reduction).item() == 0

    def test_merged_truth_has_the_probabilities_of_both_labels_together(self):
        """Where neither label is certain, their sum is far from the larger of the two."""
        exponentials = MODERATE.double().exp()
        p = exponentials / exponentials.sum(dim=1, keepdim=True)
        expected = -(p[:, 1] + p[:, 3]).log()
        target = torch.tensor([MERGED_CORE, MERGED_CORE])
        for row, value in zip(MODERATE, expected, strict=True):
            found = pixel_cross_entropy(row[None], target[:1])
            assert found.item() == pytest.approx(value.item(), rel=1e-6)
        total = pixel_cross_entropy(MODERATE, target, "sum")
        assert total.item() == pytest.approx(expected.sum().item(), rel=1e-6)

    def test_merged_truth_draws_on_both_labels_in_proportion(self):
        logits = MODERATE[:1].clone().requires_grad_()
        pixel_cross_entropy(logits, torch.tensor([MERGED_CORE])).backward()
        p = MODERATE[0].softmax(dim=0)
        either = p[1] + p[3]
        wanted = torch.tensor([0, p[1] / either, 0, p[3] / either, 0])
        torch.testing.assert_close(logits.grad[0], p - wanted)


def written_out(logits, target):
    """The mean over the regions of 1 - (2 |P T| + 1) / (|P| + |T| + 1), in pixels that count."""
    counted = target != IGNORED
    p, t = logits.double().softmax(dim=1)[counted], target[counted]
    whole = {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}
    losses = []
    for region, labels in whole.items():
        merged = (MERGED_CORE,) if region != "ET" else ()
        true = sum((t == label).double() for label in (*labels, *merged))
        predicted = sum(p[:, label] for label in labels)
        both = (predicted * true).sum()
        losses.append(1 - (2 * both + 1) / (predicted.sum() + true.sum() + 1))
    return sum(losses) / 3


class TestRegionDice:
    @pytest.mark.parametrize("case", ["labels", "merged", "ignored", "no tumor", "nothing"])
    def test_value_and_gradient_are_those_of_the_formula(self, case):
        generator = torch.Generator().manual_seed(3)
        logits = torch.randn(60, 5, generator=generator)
        target = torch.randint(5, (60,), generator=generator)
        if case == "merged":
            target[(target == 1) | (target == 3)] = MERGED_CORE
        if case == "ignored":
            target[::3] = IGNORED
        if case in ("no tumor", "nothing"):
            target[:] = 0 if case == "no tumor" else IGNORED
        found, expected = (logits.clone().requires_grad_() for _ in range(2))
        loss, formula = region_dice_loss(found, target), written_out(expected, target)
        assert loss.shape == ()
        assert loss.item() == pytest.approx(formula.item(), rel=1e-6, abs=1e-7)
        loss.backward()
        if case != "nothing":
            formula.backward()
            torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-8)
        else:
            assert not found.grad.any()

    def test_a_missed_pixel_may_cost_more_than_a_false_one(self):
        target = torch.zeros(1000, dtype=torch.int64)
        target[:100] = 4
        less, more = target.clone(), target.clone()
        less[:50], more[100:150] = 0, 4
        logits = [50.0 * F.one_hot(found, 5) for found in (less, more)]
        costs = [[region_dice_loss(x, target, m).item() for x in logits] for m in (0.5, 0.8)]
        assert costs[0] == pytest.approx([1 - 100 / 150, 1 - 200 / 250], abs=5e-3)
        assert costs[1] == pytest.approx([1 - 50 / 90, 1 - 100 / 110], abs=5e-3)

    def test_region_dice_is_that_of_the_regions(self):
        """With certain labels the loss is 1 - Dice, up to the smoothing; 1 and 3 are alike."""
        rng = np.random.default_rng(0)
        target = torch.from_numpy(rng.integers(0, 5, 4000))
        predicted = torch.from_numpy(rng.integers(0, 5, 4000))
        dice = []
        for labels in REGIONS.values():
            true, found = (torch.isin(x, torch.tensor(labels)) for x in (target, predicted))
            dice.append(2 * (true & found).sum() / (true.sum() + found.sum()))
        expected = 1 - torch.stack(dice).mean().item()
        logits = 50.0 * F.one_hot(predicted, 5)
        assert region_dice_loss(logits, target).item() == pytest.approx(expected, abs=1e-3)
        merged = torch.where((target == 1) | (target == 3), MERGED_CORE, target)
        assert region_dice_loss(logits, merged).item() == pytest.approx(expected, abs=1e-3)
        beside = torch.cat([merged, torch.full((900,), IGNORED)])
        wrong = torch.cat([logits, 50.0 * F.one_hot(torch.full((900,), 4), 5)])
        assert region_dice_loss(wrong, beside).item() == pytest.approx(expected, abs=1e-3)


def test_penalty_counts_weights_that_train_and_no_biases():
    layers = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1))
    torch.nn.init.constant_(layers[0].weight, -2.0)
    torch.nn.init.constant_(layers[1].weight, 3.0)
    assert weight_penalty(layers, 0.5, 0.25).item() == pytest.approx(0.5 * 7 + 0.25 * 17)
    layers[1].requires_grad_(False)
    assert weight_penalty(layers, 0.5, 0.0).item() == pytest.approx(0.5 * 4)
    assert weight_penalty(layers, 0.0, 0.5).item() == pytest.approx(0.5 * 8)
    assert weight_penalty(layers, 0.0, 0.0) == 0.0
