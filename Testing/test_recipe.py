"""Options of the recipe that act on optimizer and weights."""

import dataclasses

import numpy as np
import pytest
import torch
from training_fixtures import make_case

from scripted_models.errors import InputError
from scripted_models.networks import build_network
from scripted_models.runtime.progress import Progress
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.training.checkpoint import TrainingState
from scripted_models.training.experiment_config import (
    Experiment,
    PhaseConfig,
    TrainingConfig,
    load_experiment,
)
from scripted_models.training.optimizer import (
    adam_rate_scale,
    bound_kernels,
    make_optimizer,
    rates,
    set_rates,
)
from scripted_models.training.sampling import label_frequencies
from scripted_models.training.trainer import Trainer

PHASE = PhaseConfig(epochs=4, steps_per_epoch=10)


class TestSchedule:
    def test_linear_goes_from_the_first_to_the_last_rate_over_the_phase(self):
        assert rates(PHASE, 0) == pytest.approx((0.005, 0.5))
        assert rates(PHASE, 20) == pytest.approx((0.00275, 0.7))
        assert rates(PHASE, 40) == pytest.approx((0.0005, 0.9))

    def test_literal_divides_the_rate_by_ten_after_every_epoch(self):
        literal = dataclasses.replace(PHASE, schedule="literal")
        found = [rates(literal, step)[0] for step in (0, 9, 10, 25, 39)]
        assert found == pytest.approx([5e-3, 5e-3, 5e-4, 5e-5, 5e-6])
        assert rates(literal, 20)[1] == pytest.approx(0.7)


class TestBounds:
    def test_long_kernels_are_scaled_back_and_short_ones_stay(self):
        layer = torch.nn.Conv2d(2, 3, 3)
        with torch.no_grad():
            layer.weight[0] *= 100
            layer.weight[1:] *= 1e-3
        before = layer.weight.detach().clone()
        bound_kernels(layer.parameters(), 0.5)
        norms = layer.weight.flatten(1).norm(dim=1)
        assert norms[0].item() == pytest.approx(0.5, rel=1e-4)
        assert torch.equal(layer.weight[1:], before[1:])
        direction = torch.cosine_similarity(layer.weight[0].flatten(), before[0].flatten(), dim=0)
        assert direction.item() == pytest.approx(1, abs=1e-5)

    def test_adam_turns_down_the_layer_with_many_inputs(self):
        network = build_network("TwoPathCNN")
        scales = {name: adam_rate_scale(p) for name, p in network.named_parameters()}
        assert scales.pop("output.weight") == pytest.approx(1000 / 98_784)
        assert set(scales.values()) == {1.0}


def train(tmp_path, network, steps=1, phase2_steps=0, **changes):
    """Train a network for a few steps on one small case."""
    none = PhaseConfig(epochs=0)
    training = TrainingConfig(
        batch_size=2,
        output_size=4,
        pixels_per_patch=10,
        phase1=PhaseConfig(epochs=1, steps_per_epoch=steps, patience=0) if steps else none,
        phase2=PhaseConfig(epochs=1, steps_per_epoch=phase2_steps) if phase2_steps else none,
        **changes,
    )
    trainer = Trainer(
        Experiment(training=training),
        network,
        ([make_case()], []),
        BrainsTask(),
        tmp_path,
        Progress(),
    )
    trainer.run(TrainingState({}))
    return network


class TestRates:
    def test_factors_belong_to_parts_of_names(self):
        network = build_network("TwoPathCNN")
        settings = TrainingConfig(rates={"bias": 2.0, "output": 0.1, "local_path": 3.0})
        optimizer = make_optimizer(network, settings)
        found = {id(p): g["rate_scale"] for g in optimizer.param_groups for p in g["params"]}
        assert found[id(network.output.bias)] == pytest.approx(0.2)
        assert found[id(network.output.weight)] == pytest.approx(0.1)
        assert found[id(network.local_path.layer1[0].bias)] == pytest.approx(6)
        assert found[id(network.global_path[0].weight)] == 1
        set_rates(optimizer, 0.5, 0.9)
        assert {g["lr"] for g in optimizer.param_groups} == {0.5, 1.0, 0.1, 0.05, 1.5, 3.0}
        adam = make_optimizer(network, TrainingConfig(optimizer="adam", rates={"output": 0.1}))
        found = {id(p): g["rate_scale"] for g in adam.param_groups for p in g["params"]}
        scale = adam_rate_scale(network.output.weight)
        assert found[id(network.output.weight)] == pytest.approx(0.1 * scale)

    def test_frozen_weights_are_left_out(self):
        network = build_network("InputCascadeCNN")
        optimizer = make_optimizer(network, TrainingConfig(rates={"first": 0.1}))
        (group,) = optimizer.param_groups
        assert len(group["params"]) == len(list(network.second.parameters()))

    def test_a_part_that_no_weight_has(self):
        with pytest.raises(InputError, match="'trunk'"):
            make_optimizer(build_network("TwoPathCNN"), TrainingConfig(rates={"trunk": 0.1}))

    @pytest.mark.parametrize(
        ("reduction", "rate", "fits"),
        [
            ("sum", 1e-10, True),
            ("sum", 0.0001, False),
            ("pixels", 0.0001, True),
            ("labeled", 1e-08, True),
            ("labeled", 1e-10, False),
            ("pixels", 1e-10, False),
        ],
    )
    def test_rates_of_sums_and_means_are_not_mixed_up(self, tmp_path, reduction, rate, fits):
        path = tmp_path / "e.toml"
        path.write_text(
            f'[training]\nphases = 1\nreduction = "{reduction}"\n'
            f"phase1 = {{learning_rate = {rate}}}\n",
            encoding="utf-8",
        )
        if fits:
            assert load_experiment(path).training.reduction == reduction
        else:
            with pytest.raises(InputError, match=r"learning_rate' = .*, expected .* loss"):
                load_experiment(path)


class TestOptions:
    def test_max_norm_holds_after_training(self, tmp_path):
        network = train(
            tmp_path, build_network("LocalPathCNN", initialization="he"), 2, max_norm=0.3
        )
        for key, weight in network.named_parameters():
            if weight.dim() > 1:
                assert weight.flatten(1).norm(dim=1).max() <= 0.3 + 1e-5, key

    @pytest.mark.parametrize("option", ["l1", "l2"])
    def test_penalties_make_the_weights_smaller(self, tmp_path, option):
        def size(**changes):
            torch.manual_seed(0)
            network = train(tmp_path, build_network("LocalPathCNN", dropout=0.0), 3, **changes)
            return network.output.weight.abs().sum().item()

        assert size(**{option: 0.05}) < size()

    @pytest.mark.parametrize(
        ("when", "after_phase_1", "after_phase_2"),
        [("phase1", True, True), ("phase2", False, True), ("zero", False, False)],
    )
    def test_label_frequencies_enter_the_output_bias_when_asked(
        self, tmp_path, when, after_phase_1, after_phase_2
    ):
        logs = label_frequencies([make_case()]).log()
        frozen = {
            "learning_rate": 0.0,
            "final_learning_rate": 0.0,
            "epochs": 1,
            "steps_per_epoch": 1,
        }
        seen = []
        training = TrainingConfig(
            output_bias=when,
            output_size=2,
            pixels_per_patch=4,
            batch_size=1,
            phase1=PhaseConfig(**frozen),
            phase2=PhaseConfig(**frozen),
        )
        network = build_network("LocalPathCNN")
        Trainer(
            Experiment(training=training),
            network,
            ([make_case()], []),
            BrainsTask(),
            tmp_path,
            Progress(),
            lambda phase: seen.append(network.output.bias.detach().clone()),
        ).run(TrainingState({}))
        for bias, there in zip(seen, (after_phase_1, after_phase_2), strict=True):
            assert torch.allclose(bias, logs if there else torch.zeros(5), atol=1e-5)

    def test_phase_two_trains_the_output_layer_alone(self, tmp_path):
        network = build_network("TwoPathCNN")
        before = {key: value.detach().clone() for key, value in network.named_parameters()}
        train(tmp_path, network, steps=0, phase2_steps=2)
        changed = {k for k, v in network.named_parameters() if not torch.equal(v, before[k])}
        assert changed == {"output.weight", "output.bias"}
        assert all(p.requires_grad for p in network.parameters())

    @pytest.mark.parametrize("initialization", ["paper", "he"])
    def test_both_initializations_learn(self, tmp_path, initialization):
        """The loss on the training pixels falls, with the paper's optimizer and with Adam."""
        torch.manual_seed(0)
        paper = initialization == "paper"
        phase = PhaseConfig(
            epochs=4,
            steps_per_epoch=5,
            patience=0,
            learning_rate=0.005 if paper else 0.001,
            final_learning_rate=0.0005,
        )
        training = TrainingConfig(
            batch_size=5,
            output_size=4,
            optimizer="sgd" if paper else "adam",
            phase1=phase,
            phase2=PhaseConfig(epochs=0),
        )
        case = make_case()
        case.image[:] = np.random.default_rng(0).normal(size=case.image.shape) + case.target % 5
        network = build_network("LocalPathCNN", initialization=initialization, dropout=0.0)
        state = Trainer(
            Experiment(training=training), network, ([case], []), BrainsTask(), tmp_path, Progress()
        ).run(TrainingState({}))
        losses = [row["loss"] for row in state.history]
        assert losses[-1] < losses[0]

    def test_bfloat16_stays_near_float32(self, tmp_path):
        def trained(precision):
            torch.manual_seed(0)
            network = build_network("LocalPathCNN", initialization="he", dropout=0.0)
            start = network.output.weight.detach().clone()
            train(tmp_path, network, 1, precision=precision, optimizer="adam")
            return network.output.weight.detach() - start

        exact, half = trained("float32"), trained("bfloat16")
        assert not torch.equal(exact, half)
        assert torch.cosine_similarity(exact.flatten(), half.flatten(), dim=0) > 0.9

    def test_float16_without_gpu_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="expected a GPU"):
            train(tmp_path, build_network("LocalPathCNN"), precision="float16")

    def test_a_loss_that_explodes_ends_the_run_with_a_sentence(self, tmp_path):
        network = build_network("LocalPathCNN", initialization="he")
        with torch.no_grad():
            network.output.weight.fill_(float("inf"))
        with pytest.raises(InputError, match="lower the learning rate"):
            train(tmp_path, network)

    def test_loader_processes_change_nothing(self, tmp_path):
        def trained(workers):
            torch.manual_seed(0)
            network = build_network("LocalPathCNN")
            return train(tmp_path, network, 2, workers=workers).state_dict()

        alone, helped = trained(0), trained(1)
        assert all(torch.equal(alone[key], helped[key]) for key in alone)
