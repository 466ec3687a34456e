"""Settings of training are refused before the first step, or give a model that `segment` takes."""

import json
import math
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.training.experiment_config import PhaseConfig, TrainingConfig

EXPERIMENT = """
name = "tiny"
preprocessing = [{ step = "mark_brain" }, { step = "zscore" }]
[network]
name = "UNet"
arguments = { widths = [4, 8], context_slices = 0 }
[data]
validation = ["Brats18_C_1_1"]
validation_slices = 1
[training]
seed = 1
threads = 1
phases = 1
optimizer = "adam"
balance = "none"
output_bias = "zero"
output_size = 8
batch_size = 2
[training.phase1]
epochs = 1
steps_per_epoch = 1
learning_rate = 0.001
final_learning_rate = 0.001
"""
SETTINGS = [
    *(f"training.{f.name}" for f in fields(TrainingConfig) if not f.name.startswith("phase")),
    *(f"training.phase1.{f.name}" for f in fields(PhaseConfig)),
    *("training.phases", "training.phase2.epochs", "data.split_seed", "data.validation_every"),
    *("data.validation_slices", "data.slice_spacing_mm", "data.upper_share", "data.folds"),
    *("data.contrast_suppressed", "data.validation", "data.train", "weights", "statement"),
    *("decision", "crf", "postprocessing", "preprocessing", "network.arguments", "network.name"),
    *("network.arguments.widths", "network.arguments.dropout", "network.arguments.in_channels"),
    *("decision.WT", "crf.iterations", "crf.position_width", "crf.window", "description", "name"),
    *("training.rates.bias", "network.start", "network.parts", "paper_row", "data.test_every"),
]
VALUES = [
    *("nan", "inf", "-inf", "-1", "0", "1", "2", "-0.5", "0.5", "0.99", "1.5", "1e-300", "1e300"),
    *("1000000000", str(10**30), "true", '""', '"x"', "[]", "[0]", "[nan]", "[[]]", "{}"),
    *("{ WT = 0.5 }", "{ WT = 0.5, TC = 0.5, ET = 0.5 }", '[{ step = "flip", prob = 1.0 }]'),
    *('[{ step = "inside_brain" }]', "{ iterations = 1 }", "{ position_width = nan }"),
    *('[{ step = "gaussian_noise", std = 1e30 }]', '["Brats18_A_1_1"]', "{ output = 0 }"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate("ABC"):
        write_small_case(folder, f"Brats18_{name}_1_1", seed)
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "tiny.toml"
    path.write_text(EXPERIMENT)
    return path


def train(experiment, data, output, *overrides):
    options = ["--data", str(data), "--output", str(output), "--progress", "none"]
    sets = [text for override in overrides for text in ("--set", override)]
    return main(["train", str(experiment), *options, *sets])


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.sampled_from(SETTINGS), st.sampled_from(VALUES)), min_size=1, max_size=2)
)
def test_hostile_settings_are_refused_at_the_start_or_give_a_model(
    experiment, data, tmp_path_factory, capsys, changes
):
    output = tmp_path_factory.mktemp("run") / "run"
    code = train(experiment, data, output, *(f"{key}={value}" for key, value in changes))
    said = capsys.readouterr().err
    if code:
        assert code in (2, 3), said
        assert said.count("\n") == 1, said
        assert not (output / "checkpoint.pt").exists(), said
        assert not (output / "model").exists()
    else:
        assert load_model(str(output / "model"))
        scores = (output / "metrics.csv").read_text().splitlines()[-1].split(",")
        assert all(math.isfinite(float(value)) for value in scores)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.phase1.learning_rate=nan", "learning_rate' = nan"),
        ("training.phase1.learning_rate=inf", "learning_rate' = inf"),
        ("training.phase1.learning_rate=0", "above 0"),
        ("training.phase1.learning_rate=-0.001", "above 0"),
        ("training.phase1.momentum=1.0", "below 1"),
        ("training.phase1.final_momentum=1.5", "below 1"),
        ("training.phase1.decay=0", "above 0"),
        ("training.phase1.epochs=0", "epochs = 0"),
        ("training.batch_size=0", "from 1 to"),
        ("training.threads=1000000", "from 0 to 1024"),
        ("training.workers=100000", "from 0 to 64"),
        ("training.seed=-1", "from 0 to"),
        ("data.validation_slices=0", "from 1 to"),
        ("training.rates={ nothing = 1.0 }", "training.rates"),
        ("network.arguments={ in_channels = -1 }", "network.arguments that a UNet cannot have"),
        ("training.rates={ bias = nan }", "= nan"),
        ('training.augmentation=[{ step = "flip", prob = 2.0 }]', "from 0 to 1"),
        ("decision={ WT = 0.5 }", "'decision'"),
        ("decision={ WT = 0.5, TC = 0.5, ET = nan }", "'decision.ET'"),
        ("crf={ position_width = 0.0 }", "'crf.position_width'"),
        ("crf={ position_width = 1e-300 }", "'crf.position_width'"),
        ('crf={ backend = "exact" }', "backend = 'exact', which is for at most 4096 pixels"),
        ("crf={ width = 1.0 }", "unknown key 'crf.width'"),
        ('postprocessing=[{ step = "remove_small_components" }]', "'postprocessing[0]."),
        (
            'postprocessing=[{ step = "replace_necrosis_without_enhancing" },'
            '{ step = "inside_brain" }]',
            "'replace_necrosis_without_enhancing' last",
        ),
        ('preprocessing=[{ step = "zscore" }]', "'mark_brain' first"),
        ("data.validation=[];data.validation_every=0", "phase1.patience above 0 without"),
    ],
)
def test_each_is_refused_in_one_sentence(override, words, experiment, data, tmp_path, capsys):
    code = train(experiment, data, tmp_path / "run", *override.split(";"))
    said = capsys.readouterr().err
    assert code == 2, said
    assert words in said
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    assert not (tmp_path / "run" / "cases").exists()  # nothing was preprocessed


def test_a_network_that_grows_beyond_numbers_leaves_no_model(experiment, data, tmp_path, capsys):
    steep = ["training.optimizer=sgd", "training.phase1.learning_rate=10", "training.l2=1000"]
    more = ["training.phase1.steps_per_epoch=40", "training.phase1.final_learning_rate=10"]
    assert train(experiment, data, tmp_path / "run", *steep, *more) == 2
    assert "lower the learning rate" in capsys.readouterr().err
    assert not (tmp_path / "run" / "model").exists()


def test_what_is_written_is_what_segment_reads(experiment, data, tmp_path):
    options = ['decision={ WT = 0.4, TC = 0.5, ET = "estimated_dice" }', "crf={ iterations = 1 }"]
    assert train(experiment, data, tmp_path / "run", *options) == 0
    stated = json.loads((tmp_path / "run" / "model" / "configs" / "model.json").read_text())
    assert stated["decision"] == {"WT": 0.4, "TC": 0.5, "ET": "estimated_dice"}
    case = data / "Brats18_A_1_1"
    command = ["segment", str(case), "--model", str(tmp_path / "run" / "model")]
    assert main([*command, "--output", str(tmp_path / "out"), "--progress", "none"]) == 0
