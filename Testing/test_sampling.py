"""Patches, their pixels and the label frequencies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_fixtures import make_case

from scripted_models.networks.slice_network import PLANES, SliceNetwork
from scripted_models.training.experiment_config import TrainingConfig
from scripted_models.training.losses import pixel_cross_entropy
from scripted_models.training.sampling import (
    EpochPatches,
    PatchSampler,
    choose_pixels,
    label_frequencies,
)
from scripted_models.training.training_case import IGNORED, MERGED_CORE, TrainingCase


def sampler(cases=None, margins=(16, 16), context=0, planes=("axial",), **changes):
    network = SliceNetwork()
    network.in_channels = 4
    network.margins, network.context_slices, network.planes = margins, context, planes
    changes = {"output_size": 8, "pixels_per_patch": 16, **changes}
    return PatchSampler(cases or [make_case()], TrainingConfig(**changes), network)


def drawn(source, phase, count):
    """Targets of all chosen pixels of many patches."""
    patches = [source.patch(phase, 0, 0, index) for index in range(count)]
    return torch.stack([targets for _, _, targets in patches])


class TestPatches:
    @pytest.mark.parametrize("margins", [(16, 16), (28, 27), (32, 32)])
    @pytest.mark.parametrize("phase", [1, 2])
    def test_chosen_pixels_lie_under_their_image(self, margins, phase):
        """The image holds column numbers, so a pixel's target must occur in the column it shows."""
        case, low = make_case(), margins[0]
        source = sampler([case], margins)
        for index in range(30):
            image, chosen, targets = source.patch(phase, 0, 0, index)
            assert image.shape == (4, 8 + sum(margins), 8 + sum(margins))
            rows, columns = np.unravel_index(chosen.numpy(), (8, 8))
            shown = image[0, low + rows, low + columns].numpy().astype(int)
            for column, target in zip(shown, targets.numpy(), strict=True):
                assert target in case.target[:, :, column]

    @pytest.mark.parametrize("margins", [(16, 16), (28, 27)])
    def test_mirrored_patches_stay_aligned(self, margins):
        case = make_case()
        case.image[:] = case.target  # the image shows the target
        source = sampler([case], margins, augmentation=({"step": "flip", "prob": 1.0},))
        for index in range(20):
            image, chosen, targets = source.patch(2, 0, 0, index)
            low = margins[0]
            window = image[0, low : low + 8, low : low + 8].flatten()
            assert torch.equal(window[chosen].long(), targets)

    @pytest.mark.parametrize("context", [0, 1])
    @pytest.mark.parametrize("planes", [("coronal",), ("sagittal",), PLANES])
    def test_patches_of_other_planes_show_their_own_slices(self, planes, context):
        """The image holds the number of the voxel, so each pixel tells where it was cut."""
        case = make_case()
        case.image[:] = np.arange(case.target.size).reshape(case.target.shape) + 1
        source = sampler([case], (0, 0), context, planes, pixels_per_patch=0)
        moving = set()
        for index in range(30):
            image, chosen, targets = source.patch(1, 0, 0, index)
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
        labels = drawn(sampler([case], output_size=1, pixels_per_patch=1, balance="none"), 1, 500)
        assert (labels == 0).float().mean() > 0.9

    def test_a_patch_balanced_by_labels_gives_one_label_only(self):
        labels = drawn(sampler(), 1, 60)
        assert all(len(row.unique()) == 1 for row in labels)
        assert set(labels.unique().tolist()) == {0, 1, 2, 3, 4}

    def test_a_patch_balanced_by_patches_gives_all_its_pixels(self):
        labels = drawn(sampler(balance="patches"), 1, 60)
        assert max(len(row.unique()) for row in labels) > 1

    def test_phase_one_draws_the_labels_equally_often(self):
        labels = drawn(sampler(output_size=1, pixels_per_patch=1), 1, 1000).flatten()
        shares = torch.bincount(labels, minlength=5) / len(labels)
        assert shares.tolist() == pytest.approx([0.2] * 5, abs=0.05)

    def test_phase_two_draws_the_labels_as_they_occur(self):
        case = make_case()
        labels = drawn(sampler([case], output_size=1, pixels_per_patch=1), 2, 1000).flatten()
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
        source = sampler([large, small], output_size=1, pixels_per_patch=1, balance_cases=balanced)
        images = [source.patch(2, 0, 0, i)[0][0, 16, 16] for i in range(600)]
        expected = share if balanced else sum(large.sizes) / sum(large.sizes + small.sizes)
        assert np.mean([image > 0 for image in images]) == pytest.approx(expected, abs=0.07)

    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_a_healthy_share_is_kept_by_patches_pixels_and_frequencies(self, share):
        labels = drawn(sampler(output_size=1, pixels_per_patch=1, healthy_share=share), 2, 800)
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
    def test_any_number_of_processes_sees_the_same_patches(self, parts):
        processes, size = parts
        whole = EpochPatches(sampler(batch_size=6), 1, 3, 2, 0, 1)
        source = sampler(batch_size=size)
        shares = [EpochPatches(source, 1, 3, 2, rank, processes) for rank in range(processes)]
        for step in range(2):
            joined = [share[step * size + i] for share in shares for i in range(size)]
            for index, patch in enumerate(joined):
                for a, b in zip(patch, whole[step * 6 + index], strict=True):
                    assert torch.equal(a, b)

    @pytest.mark.parametrize("size", [8, 24, 60])
    def test_inside_patches_hold_as_much_of_the_image_as_fits(self, size):
        case = make_case()
        height, width = case.target.shape[1:]
        source = sampler([case], (0, 0), output_size=size, patches="inside", pixels_per_patch=0)
        for step in range(30):
            _, _, targets = source.patch(2, 0, step, 0)
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

    def test_an_empty_patch_weighs_nothing(self):
        target = np.full((4, 4), IGNORED, np.uint8)
        chosen = choose_pixels(target, 6, np.random.default_rng(0))
        assert chosen.shape == (6,)
        logits = torch.randn(6, 5, requires_grad=True)
        loss = pixel_cross_entropy(logits, torch.from_numpy(target.reshape(-1)[chosen]).long())
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()


def counted(*counts):
    """A case of which only the counts matter: of each label, and of the merged one."""
    nothing = np.zeros((1, 1, 1), np.uint8)
    return TrainingCase("counted", nothing, nothing, nothing, (), counts)


class TestFrequencies:
    @pytest.mark.parametrize(
        ("cases", "expected"),
        [
            ([(10, 6, 5, 2, 7, 0)], (10, 6, 5, 2, 7)),
            ([(10, 6, 5, 2, 7, 0), (20, 1, 3, 4, 9, 0)], (30, 7, 8, 6, 16)),
            # 8 merged voxels as 6 to 2
            ([(10, 6, 5, 2, 7, 0), (20, 0, 3, 0, 4, 8)], (30, 12, 8, 4, 11)),
            # nobody tells them apart: all are necrosis, and no label is impossible
            ([(50, 0, 5, 0, 7, 4)], (50, 4, 5, 1, 7)),
            ([(9, 0, 0, 0, 0, 0)], (9, 1, 1, 1, 1)),
            ([(9, 3, 0, 1, 0, 0)], (9, 3, 1, 1, 1)),
        ],
    )
    def test_are_the_shares_of_the_counts(self, cases, expected):
        found = label_frequencies([counted(*counts) for counts in cases])
        assert found.dtype == torch.float32
        assert found.tolist() == pytest.approx([n / sum(expected) for n in expected], rel=1e-6)

    @pytest.mark.parametrize("share", [0.25, 0.9])
    def test_a_healthy_share_leaves_the_ratios_of_the_others(self, share):
        found = label_frequencies([counted(1000, 6, 5, 2, 7, 8)], share)
        rest = [(1 - share) * n / 28 for n in (12, 5, 4, 7)]
        assert found.tolist() == pytest.approx([share, *rest], rel=1e-6)

    def test_any_number_of_classes(self):
        assert label_frequencies([counted(1, 3, 0)]).tolist() == pytest.approx([0.25, 0.75])
