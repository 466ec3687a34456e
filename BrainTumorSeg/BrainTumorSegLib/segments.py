"""The four segments: identifier, name, colour and standard terminology.

Codes: SNOMED CT for the category, oedema, necrosis, neoplasm and brain (as in Slicer's own lists); the
NCI Thesaurus for enhancement (C113842 "Enhancing Lesion", C81175 "Nonenhancing"), which those lists lack.
"""

from dataclasses import dataclass

from scripted_models.labels import LABELS

TERMINOLOGY_CONTEXT = "Segmentation category and type - BrainTumorSeg"
ANATOMY_CONTEXT = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme, value and meaning, as DICOM writes them."""

    scheme: str = ""
    value: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}^{self.value}^{self.meaning}"


NO_CODE = Code()
CATEGORY = Code("SCT", "49755003", "Morphologically Altered Structure")
BRAIN = Code("SCT", "12738006", "Brain")


@dataclass(frozen=True)
class TumorSegment:
    """One segment of the result.

    Attributes:
        label: voxel value in the label map; also the place in the segmentation, counted from 1.
        segment_id: identifier inside the segmentation node, the label's name in ``scripted_models``.
        name: what the user reads.
        color_rgb: 0-255.
        type_code: what it is.
        modifier_code: which kind of it, or ``NO_CODE``.
    """

    label: int
    segment_id: str
    name: str
    color_rgb: tuple[int, int, int]
    type_code: Code
    modifier_code: Code = NO_CODE

    @property
    def terminology(self) -> str:
        """The seven parts of Slicer's serialised terminology entry."""
        return "~".join(
            str(part)
            for part in (
                TERMINOLOGY_CONTEXT,
                CATEGORY,
                self.type_code,
                self.modifier_code,
                ANATOMY_CONTEXT,
                BRAIN,
                NO_CODE,
            )
        )


SEGMENTS: tuple[TumorSegment, ...] = (
    TumorSegment(1, LABELS[1], "Necrosis", (216, 191, 216), Code("SCT", "6574001", "Necrosis")),
    TumorSegment(2, LABELS[2], "Oedema", (140, 224, 228), Code("SCT", "79654002", "Edema")),
    TumorSegment(
        3,
        LABELS[3],
        "Non-enhancing tumour",
        (241, 196, 15),
        Code("SCT", "108369006", "Neoplasm"),
        Code("NCIt", "C81175", "Nonenhancing"),
    ),
    TumorSegment(
        4,
        LABELS[4],
        "Enhancing tumour",
        (221, 60, 50),
        Code("NCIt", "C113842", "Enhancing Lesion"),
    ),
)
