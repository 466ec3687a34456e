"""Faults 70 to 72: single slices, cut fields of view, and numbers that break after the checks."""

import numpy as np
from fault_table import NAMES, fault
from faults_in_models import model, with_state


@fault(
    71,
    "T1 without the upper third of the head",
    0,
    "case: t1: found 0 in 25% of the brain that the other sequences show, expected the whole "
    "brain; there the result rests on the other sequences, check it.",
)
def cut_field_of_view(inputs):
    inputs.change("t1", lambda v: np.where(np.arange(len(v))[:, None, None] < 9, v, 0))


@fault(
    72,
    "values that overflow when they are standardized",
    2,
    "{t2}: found values from 0 to 1e+30, expected a range from 1e-15 to 1e+15, which 32-bit "
    "numbers can standardize; repair or rescale the volume.",
)
def huge(inputs):
    inputs.change("t2", lambda v: v * np.float32(1e30 / v.max()))


@fault(
    72,
    "values that vanish when they are standardized",
    2,
    "{t2}: found values from 0 to 1e-30, expected a range from 1e-15 to 1e+15, which 32-bit "
    "numbers can standardize; repair or rescale the volume.",
)
def tiny(inputs):
    inputs.change("t2", lambda v: v * np.float32(1e-30 / v.max()))


@fault(
    72,
    "finite weights whose sums are infinite",
    3,
    "Found NaN or infinite values from the network, expected finite numbers; the model does not "
    "suit these images, or its weights are damaged; take another model.",
)
def infinite_sums(inputs):
    model(inputs, with_state(lambda state: {k: v.float() * 1e15 for k, v in state.items()}))


@fault(
    70,
    "a single slice",
    0,
    "case: t1, t1c, t2 and flair: found a thickness of 3 mm, expected a brain of more than 100 "
    "mm; choose whole volumes, or only this part is segmented.",
)
def single_slice(inputs):
    for name in NAMES:
        inputs.write(name, inputs.image(name)[:, :, 7:8])
