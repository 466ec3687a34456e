"""Tumor labels, regions and the label codings of the BraTS years.

Inside the program a label map is uint8 with the BRATS 2013 labels, and 5 for the cavity that an
operation left, which is no tumor. A coding belongs to a data set. It is never guessed from the
values that happen to occur: data sets differ in what 3 and 4 mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scripted_models.errors import InputError, listed

TUMOR_LABELS = {0: "background", 1: "necrosis", 2: "edema", 3: "non-enhancing", 4: "enhancing"}
LABELS = {**TUMOR_LABELS, 5: "resection cavity"}
NECROSIS, EDEMA, NON_ENHANCING, ENHANCING, CAVITY = 1, 2, 3, 4, 5
NUM_CLASSES = len(TUMOR_LABELS)  # of networks that train here, which know no cavity

# Whole tumor, tumor core, enhancing tumor. Havaei et al. 2017, section 5, call them complete, core
# and enhancing.
REGIONS: dict[str, tuple[int, ...]] = {
    "WT": (1, 2, 3, 4),
    "TC": (1, 3, 4),
    "ET": (4,),
}
# What scores know beside them: the cavity, which belongs to no region of the tumor (BraTS 2024).
RC = "RC"
SCORED: dict[str, tuple[int, ...]] = {**REGIONS, RC: (CAVITY,)}
REGION_NAMES = {  # for people
    **{"WT": "whole tumor", "TC": "tumor core", "ET": "enhancing tumor"},
    RC: LABELS[CAVITY],
}


@dataclass(frozen=True)
class LabelCoding:
    """How one data set codes its label map.

    Attributes:
        name: name used on the command line and in reports.
        to_internal: data set value -> internal label (0-5).
        from_internal: internal label -> data set value, or empty when the coding is read only.
        merged_necrosis: label 1 holds necrosis and non-enhancing tumor together.
        note: one sentence about what the mapping loses.
        regions: regions of the tumor that the coding can tell apart.
        tells_cavity: it can tell the resection cavity.
    """

    name: str
    to_internal: dict[int, int]
    from_internal: dict[int, int]
    merged_necrosis: bool = False
    note: str = ""
    regions: tuple[str, ...] = tuple(REGIONS)
    tells_cavity: bool = False

    @property
    def scored(self) -> tuple[str, ...]:
        """The regions, and 'RC' where the coding tells a cavity."""
        return (*self.regions, RC) if self.tells_cavity else self.regions


_STANDS_FOR = {1: 3, 3: 1}  # BraTS 2017 and later: one label for necrosis and non-enhancing tumor
_IDENTITY = {label: label for label in TUMOR_LABELS}
_OWN = {label: label for label in LABELS}
MERGED_NOTE = "label 1 holds necrosis and non-enhancing tumor together and stays 1"
_TWO_REGIONS = ("WT", "TC")

CODINGS: dict[str, LabelCoding] = {
    coding.name: coding
    for coding in (
        LabelCoding("internal", _OWN, _OWN, tells_cavity=True),
        LabelCoding("brats2013", _IDENTITY, _IDENTITY, note="labels 0-4 of BRATS 2013-2016"),
        LabelCoding(
            "brats2012",
            {0: 0, 1: 2, 2: 4},
            {},
            note="1 is edema; 2 is the whole core, read as enhancing: only WT and TC count",
            regions=_TWO_REGIONS,
        ),
        LabelCoding(
            "brats2012sim",
            {0: 0, 1: 0, 2: 0, 3: 0, 4: 2, 5: 4, 6: 0},
            {},
            note="1-3 and 6 are normal tissue of simulated cases, 4 is edema; 5 is the whole core, "
            "read as enhancing: only WT and TC count",
            regions=_TWO_REGIONS,
        ),
        LabelCoding(
            "brats2021", {0: 0, 1: 1, 2: 2, 4: 4}, {0: 0, 1: 1, 2: 2, 3: 1, 4: 4}, True, MERGED_NOTE
        ),
        LabelCoding(
            "brats2023", {0: 0, 1: 1, 2: 2, 3: 4}, {0: 0, 1: 1, 2: 2, 3: 1, 4: 3}, True, MERGED_NOTE
        ),
        LabelCoding(
            "brats2024",
            {0: 0, 1: 1, 2: 2, 3: 4, 4: 5},
            {0: 0, 1: 1, 2: 2, 3: 1, 4: 3, 5: 4},
            True,
            MERGED_NOTE + "; 4 is the resection cavity, which no region of the tumor holds",
            tells_cavity=True,
        ),
        LabelCoding(
            "brats2024ped",
            {0: 0, 1: 4, 2: 3, 3: 1, 4: 2},
            {},
            note="children: 1 enhancing, 2 non-enhancing, 3 cyst, read as necrosis, 4 edema",
        ),
        LabelCoding(
            "msd", {0: 0, 1: 2, 2: 1, 3: 4}, {0: 0, 1: 2, 2: 1, 3: 2, 4: 3}, True, MERGED_NOTE
        ),
        LabelCoding(
            "atropos",
            {0: 0, 1: 0, 2: 0, 3: 0, 4: 1, 5: 2, 6: 3, 7: 4},
            {},
            note="1-3 are tissue, 4-7 are BRATS labels plus 3",
        ),
    )
}


def decode_labels(
    values: np.ndarray, coding: LabelCoding, source: str, option: str = "--coding"
) -> np.ndarray:
    """Map a data set's label map to the internal labels.

    Args:
        values: label map of any shape; integers, or floats that are whole numbers.
        coding: coding of the data set.
        source: file name for messages.
        option: the option that states the coding, for messages.

    Returns:
        uint8 array of the same shape with values 0-5.

    Raises:
        InputError: a value is not whole or not part of the coding.
    """
    found = np.unique(values)
    unknown = [v for v in found.tolist() if v not in coding.to_internal]
    if unknown:
        fitting = [c.name for c in CODINGS.values() if set(found.tolist()) <= set(c.to_internal)]
        known = f"all values are known to {listed(fitting)}" if fitting else "none knows all values"
        raise InputError(
            found=f"the label(s) {', '.join(f'{v:g}' for v in unknown[:5])}",
            expected=f"only {sorted(coding.to_internal)} of coding '{coding.name}'",
            action=f"choose another coding with {option} ({known}) or repair the file",
            path=source,
        )
    table = np.zeros(256, np.uint8)
    for value, label in coding.to_internal.items():
        table[value] = label
    return table[values.astype(np.uint8)]


def encode_labels(labels: np.ndarray, coding: LabelCoding) -> np.ndarray:
    """Map internal labels (uint8, 0-5) to a data set's coding.

    Raises:
        InputError: the coding cannot be written, or has no number for a label that occurs.
        ValueError: a label is none of the internal ones.
    """
    if labels.size and not 0 <= labels.min() <= labels.max() <= max(LABELS):
        raise ValueError(f"labels from {labels.min()} to {labels.max()}; only 0-5 are internal")
    require_numbers(np.flatnonzero(np.bincount(labels.ravel())).tolist(), coding)
    table = np.zeros(256, np.uint8)
    for label, value in coding.from_internal.items():
        table[label] = value
    return table[labels]


def require_numbers(labels: Iterable[int], coding: LabelCoding) -> None:
    """Refuse a coding that has no number for one of these internal labels.

    Raises:
        InputError: so it is.
    """
    writable = [known for known in CODINGS.values() if known.from_internal]
    if not coding.from_internal:
        raise InputError(
            found=f"the label coding '{coding.name}', which can be read but not written",
            action=f"choose one of {listed([known.name for known in writable])}",
        )
    if missing := set(labels) - set(coding.from_internal):
        fitting = [known.name for known in writable if missing <= set(known.from_internal)]
        raise InputError(
            found=f"the label coding '{coding.name}', which has no number for "
            f"the label {listed([LABELS[label] for label in sorted(missing)])}",
            expected="one for every label of the model",
            action=f"choose {' or '.join(fitting)}",
        )


def name_in_files(label: int) -> str:
    """Return the name of a label as a part of file names and titles of columns."""
    return LABELS[label].replace(" ", "_")


def region_mask(labels: np.ndarray, region: str) -> np.ndarray:
    """Return the bool mask of a region, or of "RC", in an internal label map."""
    return np.isin(labels, SCORED[region])


def known_regions(labels: tuple[int, ...]) -> tuple[str, ...]:
    """Return the regions that a model with these labels can tell.

    Every label of a region must be known. Necrosis and non-enhancing tumor may stand for each
    other.
    """
    return tuple(
        region
        for region, parts in REGIONS.items()
        if all(label in labels or _STANDS_FOR.get(label) in labels for label in parts)
    )
