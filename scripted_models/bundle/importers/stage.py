"""Whether a foreign model is for scans before or after an operation, as far as its file says so."""

import re

from scripted_models.bundle.description import Stage
from scripted_models.bundle.importers.answers import Understood
from scripted_models.labels import CAVITY
from scripted_models.transforms.volume_networks import NetworkOutputs

# Of BraTS the gliomas of 2017 to 2023 are of untreated patients, and those of 2024 of treated ones.
# Metastases (MET) are of both.
_BEFORE = re.compile(r"brats[ _-]*(?:20)?(?:1[789]|2[0-3])(?!\d)", re.I)
_OTHERS = re.compile(r"brats[ _-]*(?:20)?(?:1[2-6]|2[4-9])(?!\d)|(?<![a-z])METS?(?![a-z])", re.I)
_AFTER = re.compile(
    r"post-?(?:operative|treatment|surgical)|brats[ _-]*(?:20)?24(?!\d).*(?<![a-z])GLI(?![a-z])",
    re.I,
)


def stage_of(outputs: NetworkOutputs, facts: str, understood: Understood) -> Stage | None:
    """Return when the scans are made that a model is for.

    Args:
        outputs: of its network; the resection cavity is learned from scans after operations.
        facts: what the file says of its data.
        understood: told about it.
    """
    stage: Stage | None = None
    why = "its file does not say it"
    if CAVITY in outputs.labels:
        stage, why = "after operation", "it knows the resection cavity"
    elif _AFTER.search(facts):
        stage, why = "after operation", "its file says so of its data"
    elif (found := _BEFORE.search(facts)) and not _OTHERS.search(facts):
        stage, why = "before operation", f"its data are of {found[0]}"
    understood.tell("made for", f"{stage or 'before or after operation is open'} ({why})")
    return stage
