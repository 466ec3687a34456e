"""Fault 77: raw volumes that cannot be prepared (issue 24)."""

from fault_table import GRID, fault
from faults_in_geometry import regrid


@fault(
    77,
    "volumes on other grids that hold no brain of a person",
    2,
    "t1: found a brain of 11 mL, expected at least 300 mL; check that this is a head, or give a "
    "mask with --brain-mask.",
)
def tiny_brain(inputs):
    regrid(inputs, ["t2"], origin=[v + 0.5 for v in GRID[1]])


@fault(
    77,
    "a brain mask that is no mask",
    2,
    "{t1}: found a volume with other values than 0 and one more, expected a brain mask: 0 "
    "outside, 1 inside; give a mask in the space of the reference sequence.",
)
def no_mask(inputs):
    inputs.options += ["--brain-mask", str(inputs.paths["t1"])]


@fault(
    77,
    "a brain mask beside --prepare never",
    2,
    "Found --brain-mask with --prepare never, expected auto or always; leave one of both out.",
)
def mask_for_nothing(inputs):
    inputs.options += ["--brain-mask", str(inputs.paths["t1"]), "--prepare", "never"]
