"""Fault 73: settings of training that would fail only after the last epoch."""

from fault_table import fault
from test_first_checks import EXPERIMENT
from training_fixtures import write_small_case

CHANGE = "; change it."


def train(inputs, *settings):
    """Return `train` of two small cases with these settings."""
    (inputs.root / "e.toml").write_text(EXPERIMENT)
    for seed, name in enumerate("AC"):
        write_small_case(inputs.root / "data", f"Brats18_{name}_1_1", seed)
    places = ["--data", str(inputs.root / "data"), "--output", str(inputs.output)]
    return ["train", str(inputs.root / "e.toml"), *places, "--set", *settings]


@fault(
    73,
    "a learning rate of NaN",
    2,
    "{ROOT}/e.toml: found 'training.phase1.learning_rate' = nan, expected a number above 0 and of "
    "at most 10" + CHANGE,
)
def rate_of_nan(inputs):
    return train(inputs, "training.phase1.learning_rate=nan")


@fault(
    73,
    "no slices to validate on",
    2,
    "{ROOT}/e.toml: found 'data.validation_slices' = 0, expected a whole number from 1 to 1e+07"
    + CHANGE,
)
def no_slices(inputs):
    return train(inputs, "data.validation_slices=0")


@fault(
    73,
    "early stopping without validation",
    2,
    "Found training.phase1.patience above 0 without validation cases, expected early stopping by "
    "cases that do not train; set it to 0, which keeps the last epoch, or let cases validate.",
)
def patience_alone(inputs):
    return train(inputs, "data.validation=[]", "data.validation_every=0")


@fault(
    73,
    "a table of decisions that `segment` refuses",
    2,
    "Found 'decision' = {'WT': 0.5}, expected all of ['WT', 'TC', 'ET'], and labels of each region"
    + CHANGE,
)
def half_a_decision(inputs):
    return train(inputs, "decision={ WT = 0.5 }")


@fault(
    73,
    "a CRF without width",
    2,
    "{ROOT}/e.toml: found 'crf.position_width' = 0.0, expected a number from 0.001 to 10000 "
    "or null" + CHANGE,
)
def crf_without_width(inputs):
    return train(inputs, "crf={ position_width = 0.0 }")


@fault(
    73,
    "a step of augmentation with a probability of 2",
    2,
    "{ROOT}/e.toml: found 'training.augmentation[0].prob' = 2.0, expected a number from 0 to 1"
    + CHANGE,
)
def probability_of_two(inputs):
    return train(inputs, 'training.augmentation=[{ step = "flip", prob = 2.0 }]')
