"""Segmentations of 3D Slicer (.seg.nrrd): segments with names and values, in one or more layers.

The file numbers its segments itself. What a segment is, its name says, else its identifier or its
terminology as the Slicer module of this project writes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.label_names import Meaning, meaning_of, told_regions
from scripted_models.errors import InputError, listed
from scripted_models.geometry import Grid
from scripted_models.images.headers import read_header
from scripted_models.images.payload import damaged_header
from scripted_models.images.volume_files import read_label_map, read_layers
from scripted_models.labels import CAVITY, LABELS, REGIONS, LabelCoding

EXPORT = (
    "rename the segments in 3D Slicer (necrosis, edema, non-enhancing, enhancing), or export a "
    "label map there (Segmentations > Export to files)"
)
_CODES = {  # of the terminology: type, or type with modifier
    "SCT^6574001": "necrosis",
    "SCT^79654002": "edema",
    "NCIt^C81175": "non-enhancing",
    "NCIt^C113842": "enhancing",
    "SCT^112633009": "resection cavity",
    "SCT^86049000": "whole tumor",
    "SCT^4147007": "tumor core",
}
_PAINTED = {"WT": 0, "TC": 1, "ET": 2}  # the smaller region over the larger one


@dataclass(frozen=True)
class Segment:
    """One segment of the file.

    Attributes:
        name: what the user reads.
        layer: number of the layer, from 0.
        value: of its voxels in the layer.
        meaning: what it holds; None where nothing tells it.
        note: a sentence about how it was read, or "".
    """

    name: str
    layer: int
    value: int
    meaning: Meaning | None
    note: str = ""


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Read what a file says of its segments; none where it is no segmentation of 3D Slicer."""
    if not path.name.lower().endswith(".nrrd"):
        return ()
    try:
        header = read_header(path)
    except InputError:  # shows when it is read
        return ()
    fields = header.entries
    numbers = sorted(
        int(key[7:-3])
        for key in fields
        if key.startswith("Segment") and key.endswith("_ID") and key[7:-3].isdecimal()
    )
    layered = header.components > 1  # the first versions had a layer for each segment
    return tuple(_segment(fields, number, layered) for number in numbers)


def _segment(fields: Mapping[str, str], number: int, layered: bool) -> Segment:
    start = f"Segment{number}_"
    name = fields.get(f"{start}Name", "")
    layer, value = (
        int(text) if text.isdecimal() else usual
        for text, usual in (
            (fields.get(f"{start}Layer", ""), number if layered else 0),
            (fields.get(f"{start}LabelValue", ""), 1),
        )
    )
    coded = _of_terminology(fields.get(f"{start}Tags", ""))
    own = _of_identifier(fields.get(f"{start}ID", ""))
    said, other = meaning_of(name), own or coded
    if said is None and other is not None:
        note = f"segment '{name}' is read as {LABELS[other.label]} by its terminology"
        return Segment(name, layer, value, other, note)
    differs = said is not None and coded is not None and said.label != coded.label
    note = f"segment '{name}' is read by its name, although its terminology differs"
    return Segment(name, layer, value, said, note if differs else "")


def _of_identifier(identifier: str) -> Meaning | None:
    """Return what a segment's identifier in the Slicer module means."""
    region = identifier.removeprefix("region-")
    if identifier != region and region in REGIONS:
        return meaning_of(f"{dict(WT='whole', TC='core', ET='enhancing')[region]} region")
    return meaning_of(identifier) if identifier in LABELS.values() else None


def _of_terminology(tags: str) -> Meaning | None:
    entry = next((t for t in tags.split("|") if t.startswith("TerminologyEntry:")), "")
    parts = ["^".join(part.split("^")[:2]) for part in entry.split("~")]
    known = (_CODES[part] for part in [*parts[3:4], *parts[2:3]] if part in _CODES)
    return meaning_of(next(known, ""))


def segments_coding(segments: Sequence[Segment], whole: bool = True) -> LabelCoding:
    """Return the coding that segments state.

    Args:
        segments: of one segmentation; those of several layers have no table of values.
        whole: a label without a segment does not occur; else it is not known.
    """
    known = [segment for segment in segments if segment.meaning is not None]
    meanings = [s.meaning for s in known if s.meaning]
    one_layer = {s.layer for s in segments} <= {0}
    table = {s.value: s.meaning.label for s in known if s.meaning and one_layer}
    regions = told_regions(meanings, whole)
    cavity = any(m.label == CAVITY for m in meanings)
    return LabelCoding("segment names", {0: 0, **table}, {}, regions=regions, tells_cavity=cavity)


def decode_segments(path: Path, segments: Sequence[Segment]) -> tuple[np.ndarray, Grid]:
    """Read a segmentation of 3D Slicer as internal labels.

    Returns:
        uint8 array (z, y, x) with values 0-5, and its grid.

    Raises:
        InputError: a segment that is not known has voxels, voxels are in no segment, or segments
            of different labels overlap.
    """
    layers, grid = _layers(path)
    return join_segments(path, layers, segments), grid


def join_segments(
    path: Path, layers: Sequence[np.ndarray], segments: Sequence[Segment]
) -> np.ndarray:
    """Return the internal labels, uint8 (z, y, x), of segments whose layers were read.

    Raises:
        InputError: as `decode_segments`.
    """
    if any(s.layer >= len(layers) or not s.value for s in segments):
        raise damaged_header(path, "segments without layer or value", f"{len(layers)} layer(s)")
    masks = {s: layers[s.layer] == s.value for s in segments}
    _refuse_unknown(path, layers, masks)
    names = {s: s.meaning for s in masks if s.meaning}
    labels = np.zeros(layers[0].shape, np.uint8)
    told = told_regions([m for m in names.values() if not m.region], whole=False)
    if len(told) < len(REGIONS):
        regions = [s for s, m in names.items() if m.region]
        for segment in sorted(regions, key=lambda s: _PAINTED[names[s].region]):
            labels[masks[segment]] = names[segment].label
    done = np.zeros(labels.shape, bool)
    for segment, meaning in names.items():
        if not meaning.region and meaning.label:
            _refuse_overlap(path, done & masks[segment] & (labels != meaning.label), segment)
            labels[masks[segment]] = meaning.label
            done |= masks[segment]
    return labels


def segment_notes(segments: Iterable[Segment]) -> list[str]:
    """Return sentences about how segments are read, where a doubt remains."""
    segments = list(segments)
    notes = [segment.note for segment in segments if segment.note]
    other = [f"'{s.name}'" for s in segments if s.meaning and not s.meaning.label]
    regions = [f"'{s.name}'" for s in segments if s.meaning and s.meaning.region]
    if other:
        notes.append(f"the segments {listed(other)} are read as background")
    if regions and len(regions) < len(segments):
        notes.append(
            f"the regions {listed(regions)} count only where the segments of labels tell too little"
        )
    return notes


def _layers(path: Path) -> tuple[list[np.ndarray], Grid]:
    images = read_layers(path)
    if len(images) == 1:
        values, grid = read_label_map(path)
        return [values], grid
    return [sitk.GetArrayFromImage(image) for image in images], Grid.of(images[0])


def _refuse_unknown(
    path: Path, layers: Sequence[np.ndarray], masks: Mapping[Segment, np.ndarray]
) -> None:
    kind = "a Slicer segmentation" + (f" with {len(layers)} layers" if len(layers) > 1 else "")
    unknown = [f"'{s.name}'" for s, mask in masks.items() if s.meaning is None and mask.any()]
    if unknown:
        raise InputError(
            found=f"{kind} whose segments {listed(unknown[:9])} are no label that is known",
            expected="segments that are named by label",
            action=EXPORT,
            path=path,
        )
    for number, layer in enumerate(layers):
        known = [0, *(s.value for s in masks if s.layer == number)]
        spare = np.setdiff1d(np.unique(layer), known)
        if spare.size:
            raise InputError(
                found=f"{kind} with the value(s) {', '.join(f'{v:g}' for v in spare[:5])} in layer "
                f"{number}, which no segment has",
                expected="a segment for each value",
                action=EXPORT,
                path=path,
            )


def _refuse_overlap(path: Path, shared: np.ndarray, segment: Segment) -> None:
    if shared.any():
        kind = "a folder of masks" if path.is_dir() else "a Slicer segmentation"
        raise InputError(
            found=f"{kind} whose segment '{segment.name}' shares "
            f"{np.count_nonzero(shared)} voxels with the segment of another label",
            expected="one label for each voxel",
            action="take them out of one of the two, or export a label map in 3D Slicer "
            "(Segmentations > Export to files)",
            path=path,
        )
