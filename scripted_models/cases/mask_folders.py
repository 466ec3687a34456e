"""A segmentation as a folder: a binary file for each label or region, named by it.

TotalSegmentator and programs like it write such folders. What a file holds, its name says, as that
of a segment of 3D Slicer does.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripted_models.cases.label_names import Meaning, meaning_of
from scripted_models.cases.naming import file_role
from scripted_models.cases.slicer_segments import Segment, join_segments
from scripted_models.errors import InputError, listed
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.volume_files import read_label_map, volume_extension, volume_stem
from scripted_models.sequences import SEQUENCES

_INNER = "segmentations"  # the folder of masks beside the image of a case


def mask_folder(case: Path) -> Path | None:
    """Return the folder of masks that a case's folder is, or that lies in it; None without one."""
    for folder in (case, case / _INNER):
        if any(meaning and meaning.label for meaning in map(_meaning, _volumes(folder))):
            return folder
    return None


def mask_segments(folder: Path) -> tuple[Segment, ...]:
    """Return what the files of a folder hold; a layer for each, in the order of their names.

    Raises:
        InputError: a file whose name is no label that is known, and no sequence of the case.
    """
    segments: list[Segment] = []
    unknown: list[str] = []
    for path in _volumes(folder):
        if (meaning := _meaning(path)) is not None:
            segments.append(Segment(path.name, len(segments), 1, meaning))
        elif (role := file_role(volume_stem(path))) is None or role.kind not in SEQUENCES:
            unknown.append(path.name)
    if unknown or not segments:
        raise InputError(
            found=f"{listed(unknown[:9])} beside masks" if unknown else "no masks",
            expected="files named by labels, such as necrosis, edema and enhancing_tumor",
            action="rename the files, or take away what is none of the segmentation",
            path=folder,
        )
    return tuple(segments)


def first_file(path: Path) -> Path:
    """Return the first mask of a folder; of a label map itself."""
    return path / mask_segments(path)[0].name if path.is_dir() else path


def decode_masks(folder: Path, segments: Sequence[Segment]) -> tuple[np.ndarray, Grid]:
    """Read a folder of masks as internal labels.

    Args:
        folder: of the masks.
        segments: what `mask_segments` returned.

    Returns:
        uint8 array (z, y, x) with values 0-5, and its grid.

    Raises:
        InputError: a file that cannot be read or is no mask, grids that differ, or masks of
            different labels that overlap.
    """
    read = [read_label_map(folder / segment.name) for segment in segments]
    grid = read[0][1]
    for segment, (values, own) in zip(segments, read, strict=True):
        if difference := own.difference(grid, HARMLESS_MM):
            raise InputError(
                found=f"another grid than that of {segments[0].name} ({difference})",
                expected="one grid for all masks",
                action="resample them onto one",
                path=folder / segment.name,
            )
        if len(np.setdiff1d(values, 0)) > 1:
            raise InputError(
                found=f"the values {listed([f'{v:g}' for v in np.unique(values)[:9]])}",
                expected="a mask: 0, and one value where the label is",
                action="write a file for each label, or one label map without masks beside it",
                path=folder / segment.name,
            )
    masks = [(values != 0).astype(np.uint8) for values, _ in read]
    return join_segments(folder, masks, segments), grid


def _volumes(folder: Path) -> list[Path]:
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in inside if p.name[0] != "." and volume_extension(p) and p.is_file()]


def _meaning(path: Path) -> Meaning | None:
    return meaning_of(volume_stem(path))
