"""Orientation and spacing of the volumes that trained a foreign model."""

import re
from collections.abc import Sequence

from scripted_models.bundle.importers.answers import Answers, Understood, open_question
from scripted_models.errors import InputError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.runtime.typed_tables import read_table

_BRATS = re.compile(r"brats", re.IGNORECASE)


def space_of(
    orientation: str,
    spacing_xyz_mm: Sequence[float],
    facts: str,
    answers: Answers,
    understood: Understood,
) -> TrainingSpace:
    """Return the space of a model.

    Volumes of BraTS lie in LPS orientation with 1 mm, all of them; what does not turn or resample
    volumes was trained in that.

    Args:
        orientation: that the file states; empty if it states none.
        spacing_xyz_mm: that the file states; empty if it states none.
        facts: what the file says of its data.
        answers: of the user.
        understood: told about it.

    Raises:
        InputError: the question which it is, or an answer that cannot be one.
    """
    of_brats = bool(_BRATS.search(facts))
    code = answers.orientation or orientation or ("LPS" if of_brats else "")
    spacing = answers.spacing_xyz_mm or tuple(spacing_xyz_mm) or ((1.0,) * 3 if of_brats else ())
    if not code:
        raise open_question(
            "volumes that are not turned, and no word of the data",
            "to know the orientation in which the network was trained",
            "state it with --orientation (LPS for files of BraTS, RAS for most others)",
        )
    if not spacing:
        raise open_question(
            "volumes that are not resampled, and no word of the data",
            "to know the spacing at which the network was trained",
            "state it with --spacing X Y Z (mm)",
        )
    if not (answers.orientation or orientation):
        understood.note("volumes are not turned in it; files of BraTS, which it names, are in LPS")
    shown = " x ".join(f"{mm:g}" for mm in spacing)
    understood.tell("space", f"{code}, {shown} mm")
    table = {"orientation": code, "spacing_xyz_mm": list(spacing), "tolerance": 0.1}
    return read_table(TrainingSpace, table, InputError, action="correct it")
