"""Pictures of a case, and their PNG: three planes by four sequences, a montage of axial slices.

`panels` says how a plane is shown, `layout` what stands around the panels.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import ResourceError
from scripted_models.geometry import Grid
from scripted_models.labels import CAVITY, RC, region_mask
from scripted_models.pictures.layout import (
    beside,
    cell_width,
    header,
    legend,
    numbered_tile,
    plane_row,
    stack,
)
from scripted_models.pictures.panels import (
    LABEL_COLORS,
    PLANES,
    TRUTH_COLOR,
    colored,
    edges_of,
    frame,
    fullest_index,
    gray_panel,
    intensity_window,
    label_panel,
    spread_slices,
    tissue_mask,
    tumor_of,
)
from scripted_models.runtime.atomic_files import BEGUN, write_file
from scripted_models.sequences import SEQUENCES, TITLES

_PANEL = 288  # pixels of the longest edge of the shown box
_TILE = 236


def picture_input(
    volumes: Mapping[str, np.ndarray],
    labels: np.ndarray,
    grid: Grid,
    truth: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[float, float, float], np.ndarray | None]:
    """Return volumes, labels, spacing and truth in LPS orientation, as `render_overlay` takes them.

    Args:
        volumes: sequence -> (z, y, x).
        labels: (z, y, x).
        grid: of them all.
        truth: (z, y, x), if it is known.
    """

    def lps(array: np.ndarray) -> np.ndarray:
        return sitk.GetArrayFromImage(sitk.DICOMOrient(grid.image_from(array), "LPS"))

    turned = {name: lps(volume) for name, volume in volumes.items()}
    spacing = sitk.DICOMOrient(grid.image_from(labels), "LPS").GetSpacing()
    return turned, lps(labels), spacing, None if truth is None else lps(truth)


def render_overlay(
    volumes: Mapping[str, np.ndarray],
    labels: np.ndarray,
    spacing_xyz_mm: tuple[float, float, float],
    truth: np.ndarray | None = None,
    overlay_on: str = "flair",
) -> np.ndarray:
    """Draw axial, coronal and sagittal planes: the sequences, then prediction (and ground truth).

    Each plane is the one with most tumor (predicted or true), or the middle of the brain.

    Args:
        volumes: sequence -> (z, y, x) array, one to four of them, all of one shape.
        labels: (z, y, x) predicted internal labels 0-5.
        spacing_xyz_mm: voxel spacing.
        truth: (z, y, x) ground truth, labels 0-5, when known.
        overlay_on: sequence under the colors; the first one given when it is absent.

    Returns:
        uint8 array (h, w, 3), RGB.

    Raises:
        ValueError: no volume, shapes differ or a spacing is not positive.
    """
    names = [name for name in SEQUENCES if name in volumes]
    names += [name for name in volumes if name not in SEQUENCES]
    arrays = {name: np.asarray(volumes[name]) for name in names}
    maps = {"Prediction": labels} | ({} if truth is None else {"Ground truth": truth})
    _check(arrays, maps, spacing_xyz_mm)
    brain = tissue_mask(arrays.values())
    tumor = tumor_of(maps.values())
    view = frame(brain | tumor, spacing_xyz_mm, _PANEL)
    windows = {name: intensity_window(array, brain) for name, array in arrays.items()}
    base = overlay_on if overlay_on in arrays else names[0]

    titles = [TITLES.get(name, name) for name in names]
    titles += [f"{name} on {TITLES.get(base, base)}" for name in maps]
    width = cell_width(view, titles)
    parts = [header(titles, width)]
    for plane in PLANES:
        index, count = fullest_index(tumor, brain, plane)
        grays = {
            n: gray_panel(view, array, windows[n], plane, index) for n, array in arrays.items()
        }
        overlays = [colored(grays[base], label_panel(view, m, plane, index)) for m in maps.values()]
        panels = [*grays.values(), *overlays]
        parts.append(plane_row(panels, width, plane, f"{index + 1}/{count}"))
    body = stack(parts)
    return stack([body, legend(body.shape[1], view.pixels_per_mm, labels=_labels_in(maps))])


def render_montage(
    volume: np.ndarray,
    labels: np.ndarray,
    spacing_xyz_mm: tuple[float, float, float],
    truth: np.ndarray | None = None,
    count: int = 12,
    columns: int = 6,
) -> np.ndarray:
    """Draw axial slices evenly through the tumor, from inferior to superior, with colored labels.

    Args:
        volume: (z, y, x) array of one sequence.
        labels: (z, y, x) predicted internal labels 0-5.
        spacing_xyz_mm: voxel spacing.
        truth: (z, y, x) ground truth; its whole tumor is drawn as a white line.
        count: number of slices (fewer when the volume has fewer).
        columns: tiles beside each other.

    Returns:
        uint8 array (h, w, 3), RGB.

    Raises:
        ValueError: shapes differ, a spacing is not positive, or count or columns below 1.
    """
    if count < 1 or columns < 1:
        raise ValueError(f"count and columns must be at least 1, not {count} and {columns}")
    volume = np.asarray(volume)
    maps = {"labels": labels} | ({} if truth is None else {"truth": truth})
    _check({"volume": volume}, maps, spacing_xyz_mm)
    brain = tissue_mask([volume])
    tumor = tumor_of(maps.values())
    view = frame(brain | tumor, spacing_xyz_mm, _TILE)
    window = intensity_window(volume, brain)

    tiles = []
    for index in spread_slices(tumor if tumor.any() else brain, view.box[0], count):
        gray = gray_panel(view, volume, window, "axial", index)
        panel = colored(gray, label_panel(view, labels, "axial", index))
        if truth is not None:
            true = region_mask(label_panel(view, truth, "axial", index), "WT")
            panel[edges_of(true)] = TRUTH_COLOR
        tiles.append(numbered_tile(panel, index + 1))
    columns = min(columns, len(tiles))
    body = stack([beside(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])
    keys = legend(body.shape[1], view.pixels_per_mm, truth is not None, _labels_in({"": labels}))
    return stack([body, keys])


def _labels_in(maps: Mapping[str, np.ndarray]) -> list[int]:
    """Return the labels of a legend: those of the tumor, and the cavity where one is shown."""
    cavity = any(region_mask(labels, RC).any() for labels in maps.values())
    return [k for k in LABEL_COLORS if k != CAVITY or cavity]


def png_bytes(rgb: np.ndarray, scratch: Path | None = None) -> bytes:
    """Return an RGB picture, uint8 (h, w, 3), as the content of a PNG file.

    Args:
        rgb: the picture.
        scratch: folder of a file in between, which SimpleITK needs; None takes the system's.

    Raises:
        ResourceError: the file in between cannot be written.
        ValueError: not a uint8 (h, w, 3) array with at least one pixel.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"picture must be uint8 (h, w, 3), not {rgb.dtype} {rgb.shape}")
    image = sitk.GetImageFromArray(np.ascontiguousarray(rgb), isVector=True)
    try:
        with tempfile.TemporaryDirectory(prefix=BEGUN, dir=scratch) as folder:
            path = Path(folder) / "picture.png"
            sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=6)
            return path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise ResourceError(
            path=scratch or tempfile.gettempdir(),
            found=f"no way to write the file ({_reason(error)})",
            action="check that the folder exists, is writable and has space left",
        ) from error


def write_png(path: Path, rgb: np.ndarray) -> None:
    """Write a picture, uint8 (h, w, 3), as PNG; the file is whole or absent.

    Raises:
        ResourceError: the file cannot be written.
        ValueError: not a picture.
    """
    path = Path(path)
    try:
        content = png_bytes(rgb, path.parent)
    except ResourceError as error:
        raise error.at(path) from error
    write_file(path, content)


def _check(
    volumes: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    spacing_xyz_mm: tuple[float, float, float],
) -> None:
    if not volumes:
        raise ValueError("no volume to draw")
    shapes = {name: np.shape(array) for name, array in {**volumes, **maps}.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 3 for shape in shapes.values()):
        raise ValueError(f"arrays must share one (z, y, x) shape, not {shapes}")
    if not all(np.isfinite(step) and step > 0 for step in spacing_xyz_mm):
        raise ValueError(f"spacing must be positive, not {tuple(spacing_xyz_mm)}")


def _reason(error: Exception) -> str:
    """Return the operating system's words, which ITK puts into its last line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [""])[-1].removeprefix("Reason: ") or type(error).__name__
