"""The segments: identifier, name, color and standard terminology.

Names, colors and codes are those of a DICOM SEG, in `segmentation.dicom_export.codes`.
"""

from dataclasses import dataclass

from scripted_models.labels import REGIONS
from scripted_models.segmentation.dicom_export.codes import (
    BRAIN,
    CATEGORY,
    LABEL_PARTS,
    REGION_PARTS,
    Code,
    TumorPart,
)

from .translation import _
from .words import translated

TERMINOLOGY_CONTEXT = "Segmentation category and type - BrainTumorSeg"
ANATOMY_CONTEXT = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class TumorSegment(TumorPart):
    """One segment of the result."""

    @property
    def segment_id(self) -> str:
        """Identifier inside the segmentation node: the label, or the region behind "region-"."""
        return f"region-{self.key}" if self.key in REGIONS else self.key

    @property
    def terminology(self) -> str:
        """The seven parts of Slicer's serialized terminology entry."""
        category, kind, brain = map(serialized, (CATEGORY, self.code, BRAIN))
        none = serialized(Code())
        return "~".join((TERMINOLOGY_CONTEXT, category, kind, none, ANATOMY_CONTEXT, brain, none))


def serialized(code: Code) -> str:
    """Return a code as Slicer writes it."""
    return f"{code.scheme}^{code.value}^{code.meaning}"


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
        f"~SCT^123037004^Anatomical Structure~{serialized(BRAIN)}~^^~{ANATOMY_CONTEXT}~^^~^^"
    )


BRAIN_SEGMENT = BrainSegment()


def _segments(parts: tuple[TumorPart, ...]) -> tuple[TumorSegment, ...]:
    """Return parts of a tumor as segments, with names in the user's language."""
    return tuple(
        TumorSegment(p.labels, p.key, translated(p.name), p.color_rgb, p.code) for p in parts
    )


SEGMENTS = _segments(LABEL_PARTS)
REGION_SEGMENTS = _segments(REGION_PARTS)


def segment_name(segment_id: str) -> str:
    """Return what the user reads for a segment."""
    names = {entry.segment_id: entry.name for entry in SEGMENTS + REGION_SEGMENTS}
    return names[segment_id]
