"""The segments: identifier, name, color and standard terminology.

Category, edema, necrosis, neoplasm, mass and brain have codes of SNOMED CT, as in Slicer's own
lists. Those lists lack enhancement, whose codes are of the NCI Thesaurus (C113842, C81175).
"""

from dataclasses import dataclass

from scripted_models.labels import LABELS, REGIONS

from .translation import _

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
        labels: internal labels whose voxels it holds; one, or those of a region.
        segment_id: identifier inside the segmentation node: the name in ``scripted_models`` of the
            label, or of the region behind "region-".
        name: what the user reads.
        color_rgb: 0-255.
        type_code: what it is.
        modifier_code: which kind of it, or ``NO_CODE``.
    """

    labels: tuple[int, ...]
    segment_id: str
    name: str
    color_rgb: tuple[int, int, int]
    type_code: Code
    modifier_code: Code = NO_CODE

    @property
    def terminology(self) -> str:
        """The seven parts of Slicer's serialized terminology entry."""
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


NEOPLASM = Code("SCT", "108369006", "Neoplasm")
ENHANCING = Code("NCIt", "C113842", "Enhancing Lesion")


@dataclass(frozen=True)
class BrainSegment:
    """The brain, from which the skull was stripped; no tumor, and in a node of its own.

    Attributes: as `TumorSegment`.
    """

    segment_id: str = "brain"
    name: str = _("Brain")
    color_rgb: tuple[int, int, int] = (250, 250, 225)
    terminology: str = (
        "Segmentation category and type - 3D Slicer General Anatomy list"
        f"~SCT^123037004^Anatomical Structure~{BRAIN}~^^~{ANATOMY_CONTEXT}~^^~^^"
    )


BRAIN_SEGMENT = BrainSegment()

SEGMENTS: tuple[TumorSegment, ...] = (
    TumorSegment(
        (1,), LABELS[1], _("Necrosis"), (216, 191, 216), Code("SCT", "6574001", "Necrosis")
    ),
    TumorSegment((2,), LABELS[2], _("Edema"), (140, 224, 228), Code("SCT", "79654002", "Edema")),
    TumorSegment(
        (3,),
        LABELS[3],
        _("Non-enhancing tumor"),
        (241, 196, 15),
        NEOPLASM,
        Code("NCIt", "C81175", "Nonenhancing"),
    ),
    TumorSegment((4,), LABELS[4], _("Enhancing tumor"), (221, 60, 50), ENHANCING),
)

REGION_SEGMENTS: tuple[TumorSegment, ...] = (
    TumorSegment(
        REGIONS["WT"],
        "region-WT",
        _("Whole tumor"),
        (144, 238, 144),
        Code("SCT", "86049000", "Neoplasm, Primary"),
    ),
    TumorSegment(
        REGIONS["TC"], "region-TC", _("Tumor core"), (230, 126, 34), Code("SCT", "4147007", "Mass")
    ),
    TumorSegment(REGIONS["ET"], "region-ET", _("Enhancing tumor region"), (221, 60, 50), ENHANCING),
)


def segment_name(segment_id: str) -> str:
    """Return what the user reads for a segment."""
    names = {entry.segment_id: entry.name for entry in SEGMENTS + REGION_SEGMENTS}
    return names[segment_id]
