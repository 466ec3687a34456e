"""Crops, their pixels, the label frequencies and the loss over pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from training_fixtures import make_case

from scripted_models.labels import REGIONS
from scripted_models.networks.slice_network import PLANES, SliceNetwork
from scripted_models.training.experiment_config import TrainingConfig
from scripted_models.training.losses import (
    pixel_cross_entropy,
    region_dice_loss,
    weight_penalty,
)
from scripted_models.training.sampling import (
    CropSampler,
    EpochCrops,
    choose_pixels,
    label_frequencies,
)
from scripted_models.training.training_case import IGNORED, MERGED_CORE


def sampler(cases=None, margins=(16, 16), context=0, planes=("axial",), **changes):
    network = SliceNetwork()
    network.in_channels = 4
    network.margins, network.context_slices, network.planes = margins, context, planes
    changes = {"output_size": 8, "pixels_per_crop": 16, **changes}
    return CropSampler(cases or [make_case()], TrainingConfig(**changes), network)


def drawn(source, phase, count):
    """Targets of all chosen pixels of many crops."""
    crops = [source.crop(phase, 0, 0, index) for index in range(count)]
    return torch.stack([targets for _, _, targets in crops])


class TestCrops:
    @pytest.mark.parametrize("margins", [(16, 16), (28, 27), (32, 32)])
    @pytest.mark.parametrize("phase", [1, 2])
    def test_chosen_pixels_lie_under_their_image(self, margins, phase):
        """The image holds column numbers, so a pixel's target must occur in the column it shows."""
        case, low = make_case(), margins[0]
        source = sampler([case], margins)
        for index in range(30):
            image, chosen, targets = source.crop(phase, 0, 0, index)
            assert image.shape == (4, 8 + sum(margins), 8 + sum(margins))
            rows, columns = np.unravel_index(chosen.numpy(), (8, 8))
            shown = image[0, low + rows, low + columns].numpy().astype(int)
            for column, target in zip(shown, targets.numpy(), strict=True):
                assert target in case.target[:, :, column]

    @pytest.mark.parametrize("margins", [(16, 16), (28, 27)])
    def test_mirrored_crops_stay_aligned(self, margins):
        case = make_case()
        case.image[:] = case.target  # the image shows the target
        source = sampler([case], margins, augmentation=({"step": "flip", "prob": 1.0},))
        for index in range(20):
            image, chosen, targets = source.crop(2, 0, 0, index)
            low = margins[0]
            window = image[0, low : low + 8, low : low + 8].flatten()
            assert torch.equal(window[chosen].long(), targets)

    @pytest.mark.parametrize("context", [0, 1])
    @pytest.mark.parametrize("planes", [("coronal",), ("sagittal",), PLANES])
    def test_crops_of_other_planes_show_their_own_slices(self, planes, context):
        """The image holds the number of the voxel, so each pixel tells where it was cut."""
        case = make_case()
        case.image[:] = np.arange(case.target.size).reshape(case.target.shape) + 1
        source = sampler([case], (0, 0), context, planes, pixels_per_crop=0)
        moving = set()
        for index in range(30):
            image, chosen, targets = source.crop(1, 0, 0, index)
            assert image.shape == (4 * (2 * context + 1), 8, 8)
            assert torch.equal(chosen, torch.arange(64))
            middle = image[context].flatten().long()
            inside = middle > 0
            truth = torch.from_numpy(case.target.reshape(-1))[middle[inside] - 1]
            assert torch.equal(truth.long(), targets[inside])
            assert (targets[~inside] == IGNORED).all()
            places = np.unravel_index(middle[inside].numpy() - 1, case.target.shape)
            (fixed,) = [axis for axis in range(3) if len(set(places[axis])) == 1] or [None]
            moving.add(fixed)
            if context and fixed is not None and inside.all():
                step = np.ravel_multi_index(np.eye(3, dtype=int)[fixed], case.target.shape)
                after = image[2 * context].flatten().long()
                assert ((after == middle + step) | (after == 0)).all()
        assert moving == {PLANES.index(plane) for plane in planes}

    def test_without_balance_phase_one_draws_as_phase_two(self):
        case = make_case()
        labels = drawn(sampler([case], output_size=1, pixels_per_crop=1, balance="none"), 1, 500)
        assert (labels == 0).float().mean() > 0.9

    def test_a_crop_balanced_by_labels_gives_one_label_only(self):
        labels = drawn(sampler(), 1, 60)
        assert all(len(row.unique()) == 1 for row in labels)
        assert set(labels.unique().tolist()) == {0, 1, 2, 3, 4}

    def test_a_crop_balanced_by_crops_gives_all_its_pixels(self):
        labels = drawn(sampler(balance="crops"), 1, 60)
        assert max(len(row.unique()) for row in labels) > 1

    def test_phase_one_draws_the_labels_equally_often(self):
        labels = drawn(sampler(output_size=1, pixels_per_crop=1), 1, 1000).flatten()
        shares = torch.bincount(labels, minlength=5) / len(labels)
        assert shares.tolist() == pytest.approx([0.2] * 5, abs=0.05)

    def test_phase_two_draws_the_labels_as_they_occur(self):
        case = make_case()
        labels = drawn(sampler([case], output_size=1, pixels_per_crop=1), 2, 1000).flatten()
        expected = np.array(case.counts[:5]) / sum(case.counts)
        shares = torch.bincount(labels, minlength=5) / len(labels)
        assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.04)

    @pytest.mark.parametrize(("balanced", "share"), [(True, 0.5), (False, 0.8)])
    def test_cases_are_equally_frequent_or_their_voxels_are(self, balanced, share):
        large, small = make_case(0), make_case(1)
        small.target[3:] = IGNORED  # a quarter as many voxels
        small = type(small).of("small", small.image, small.target)
        small.image[:] = -1
        large.image[:] = 1
        source = sampler([large, small], output_size=1, pixels_per_crop=1, balance_cases=balanced)
        images = [source.crop(2, 0, 0, i)[0][0, 16, 16] for i in range(600)]
        expected = share if balanced else sum(large.sizes) / sum(large.sizes + small.sizes)
        assert np.mean([image > 0 for image in images]) == pytest.approx(expected, abs=0.07)

    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_a_healthy_share_is_kept_by_crops_pixels_and_frequencies(self, share):
        labels = drawn(sampler(output_size=1, pixels_per_crop=1, healthy_share=share), 2, 800)
        assert (labels == 0).float().mean() == pytest.approx(share, abs=0.05)
        target = np.zeros((50, 50), np.uint8)
        target[0, :3] = 4
        chosen = choose_pixels(target, 2000, np.random.default_rng(0), healthy_share=share)
        assert (target.reshape(-1)[chosen] == 0).mean() == pytest.approx(share, abs=0.04)
        assert label_frequencies([make_case()], share)[0] == pytest.approx(share, abs=1e-6)

    def test_voxels_of_the_merged_core_are_drawn_as_label_one_and_keep_their_target(self):
        labels = drawn(sampler([make_case(merged=True)]), 1, 60)
        assert set(labels.unique().tolist()) == {0, 2, 4, MERGED_CORE}

    @given(parts=st.sampled_from([(1, 6), (2, 3), (3, 2), (6, 1)]))
    @settings(max_examples=4, deadline=None)
    def test_any_number_of_processes_sees_the_same_crops(self, parts):
        processes, size = parts
        whole = EpochCrops(sampler(batch_size=6), 1, 3, 2, 0, 1)
        source = sampler(batch_size=size)
        shares = [EpochCrops(source, 1, 3, 2, rank, processes) for rank in range(processes)]
        for step in range(2):
            joined = [share[step * size + i] for share in shares for i in range(size)]
            for index, crop in enumerate(joined):
                for a, b in zip(crop, whole[step * 6 + index], strict=True):
                    assert torch.equal(a, b)

    @pytest.mark.parametrize("size", [8, 24, 60])
    def test_inside_crops_hold_as_much_of_the_image_as_fits(self, size):
        case = make_case()
        height, width = case.target.shape[1:]
        source = sampler([case], (0, 0), output_size=size, crops="inside", pixels_per_crop=0)
        for step in range(30):
            _, _, targets = source.crop(2, 0, step, 0)
            assert (targets >= 0).all()
            plane = source._cut(case, step, np.random.default_rng(step))[0]
            held = (plane != 0).any(axis=0)
            assert held.sum() <= min(size, height) * min(size, width)
        case.image[:] = 1.0
        for seed in range(30):
            window, _, _ = source._cut(case, int(seed * 37), np.random.default_rng(seed))
            assert (window[0] == 1).sum() == min(size, height) * min(size, width)


class TestPixels:
    def test_ignored_pixels_are_left_alone(self):
        target = np.full((20, 20), IGNORED, np.uint8)
        target[3, :5] = 2
        chosen = choose_pixels(target, 50, np.random.default_rng(0))
        assert set(chosen // 20) == {3}

    def test_only_the_wanted_target_is_chosen(self):
        target = np.tile(np.arange(5, dtype=np.uint8), (5, 1))
        chosen = choose_pixels(target, 50, np.random.default_rng(0), only=3)
        assert set(chosen % 5) == {3}

    def test_an_empty_crop_weighs_nothing(self):
        target = np.full((4, 4), IGNORED, np.uint8)
        chosen = choose_pixels(target, 6, np.random.default_rng(0))
        assert chosen.shape == (6,)
        logits = torch.randn(6, 5, requires_grad=True)
        loss = pixel_cross_entropy(logits, torch.from_numpy(target.reshape(-1)[chosen]).long())
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()


class TestLoss:
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

    def test_region_dice_is_that_of_the_regions(self):
        """With certain labels the loss is 1 - Dice, up to the 1 that smooths it; 1 and 3 are alike."""
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

    def test_frequencies_split_merged_voxels_like_the_others(self):
        frequencies = label_frequencies([make_case(0), make_case(1, merged=True)])
        assert frequencies.sum() == pytest.approx(1)
        assert frequencies[1] > 0
        assert frequencies[3] > frequencies[1] * 0.5

    def test_penalty_counts_weights_that_train_and_no_biases(self):
        layers = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1))
        torch.nn.init.constant_(layers[0].weight, -2.0)
        layers[1].requires_grad_(False)
        assert weight_penalty(layers, 0.5, 0.0).item() == pytest.approx(0.5 * 4)
        assert weight_penalty(layers, 0.0, 0.5).item() == pytest.approx(0.5 * 8)
