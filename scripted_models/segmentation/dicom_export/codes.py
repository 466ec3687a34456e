"""The parts of a tumor: identifier, name, color and standard code.

Category, edema, necrosis, neoplasm, mass and brain have codes of SNOMED CT. Enhancement has codes
of the NCI Thesaurus, as in the DICOM standard (PS3.16, CID 7151 "Segmentation Property Type"). None
was found for a resection cavity, there or elsewhere. The nearest one that is true is SNOMED CT's
morphologic abnormality "Surgical wound"; cysts and lesions are something else.
"""

from dataclasses import dataclass

from scripted_models.errors import phrases
from scripted_models.labels import LABELS, REGIONS

_ = phrases(__name__)


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme, value and meaning, as DICOM writes them."""

    scheme: str = ""
    value: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class TumorPart:
    """A label or region, as other programs know it.

    Attributes:
        labels: internal labels whose voxels it holds; one, or those of a region.
        key: its name in `LABELS` or `REGIONS`.
        name: what people read.
        color_rgb: 0-255.
        code: what it is.
    """

    labels: tuple[int, ...]
    key: str
    name: str
    color_rgb: tuple[int, int, int]
    code: Code


CATEGORY = Code("SCT", "49755003", "Morphologically Altered Structure")
BRAIN = Code("SCT", "12738006", "Brain")
ENHANCING = Code("NCIt", "C113842", "Enhancing Lesion")
NON_ENHANCING = Code("NCIt", "C81175", "Non-Enhancing Lesion")
SURGICAL_WOUND = Code("SCT", "112633009", "Surgical wound")

LABEL_PARTS: tuple[TumorPart, ...] = (
    TumorPart((1,), LABELS[1], _("Necrosis"), (216, 191, 216), Code("SCT", "6574001", "Necrosis")),
    TumorPart((2,), LABELS[2], _("Edema"), (140, 224, 228), Code("SCT", "79654002", "Edema")),
    TumorPart((3,), LABELS[3], _("Non-enhancing tumor"), (241, 196, 15), NON_ENHANCING),
    TumorPart((4,), LABELS[4], _("Enhancing tumor"), (221, 60, 50), ENHANCING),
    TumorPart((5,), LABELS[5], _("Resection cavity"), (120, 90, 170), SURGICAL_WOUND),
)

REGION_PARTS: tuple[TumorPart, ...] = (
    TumorPart(
        REGIONS["WT"],
        "WT",
        _("Whole tumor"),
        (144, 238, 144),
        Code("SCT", "86049000", "Neoplasm, Primary"),
    ),
    TumorPart(REGIONS["TC"], "TC", _("Tumor core"), (230, 126, 34), Code("SCT", "4147007", "Mass")),
    TumorPart(REGIONS["ET"], "ET", _("Enhancing tumor region"), (221, 60, 50), ENHANCING),
)

PARTS: dict[str, TumorPart] = {part.key: part for part in LABEL_PARTS + REGION_PARTS}


def parts_of(known: tuple[int, ...]) -> tuple[TumorPart, ...]:
    """Return the labels that a model can give, in order: segment 1, 2, ... of a DICOM SEG.

    Args:
        known: internal labels, with the background.
    """
    return tuple(part for part in LABEL_PARTS if set(part.labels) <= set(known))
