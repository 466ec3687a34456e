"""Where a NIfTI header puts its voxels: by its q-form, by its s-form, or nowhere.

Viewers differ where the two contradict each other. The choices are made here and nowhere else:

1. An s-form that has other voxel sizes than pixdim gives sizes and place, as in FSL and nibabel.
2. If both forms are stated and lie apart, the s-form counts where its code is "scanner" (1), else
   the q-form, as in ITK, 3D Slicer and ITK-SNAP. So does the q-form beside a sheared s-form.
3. Without either form, the axes are taken as ITK does.

Whatever is more than rounding is said in a doubt.
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError, Problem
from scripted_models.geometry import HARMLESS_MM, HARMLESS_SHARE, Grid
from scripted_models.images.axes import (
    corner_shift_mm,
    is_sheared,
    place,
    unstated,
)
from scripted_models.images.payload import by, check_spacing, damaged_header

_TO_LPS = np.array([-1.0, -1.0, 1.0])
_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # not stated, meter, millimeter, micrometer
_UNIT_NAMES = {1: "meters", 3: "micrometers"}
_SCANNER = 1
_ROUNDING = 1e-5  # of a voxel size in fields of 32 bits
_LONGEST_VERSOR = 1.001

Form = tuple[np.ndarray, np.ndarray]  # steps from voxel to voxel (3, 3) and origin (3,), LPS mm


def nifti_grid(
    path: Path, size: tuple[int, ...], fields: np.void, analyze: bool
) -> tuple[Grid, list[Problem]]:
    """Return the grid that a NIfTI header states, and what was decided about it.

    Args:
        path: for messages.
        size: voxels along each axis, three at least.
        fields: of the header, see `nifti.NiftiFields`.
        analyze: it is an Analyze header, which places nothing.

    Raises:
        InputError: voxel sizes, orientation or origin that cannot be used.
    """
    stated = fields["pixdim"][1:4].astype(float)
    check_spacing(path, stated[[k for k in range(3) if size[k] > 1]])
    unit, doubts = (1.0, []) if analyze else _unit(fields)
    pixdim = np.where(np.isfinite(stated) & (stated > 0), stated, 0.0) * unit
    if analyze:
        form = np.diag(pixdim), np.zeros(3)
        doubts.append(unstated("an Analyze header, which does not say where left is"))
    else:
        form, said = _chosen_form(path, size, fields, pixdim, unit)
        doubts += said
    grid, about_axes = place(path, size, *form)
    return grid, [*doubts, *about_axes]


def _unit(fields: np.void) -> tuple[float, list[Problem]]:
    """Return the header's unit of length in mm."""
    code = int(fields["xyzt_units"]) & 7
    if code in (0, 2):
        return 1.0, []
    known = code in _UNIT_MM
    doubt = Problem(
        found=f"a NIfTI header in {_UNIT_NAMES.get(code, f'a unit that does not exist ({code})')}",
        expected="millimeters",
        action="check the size of the head, its numbers are "
        + ("converted to millimeters" if known else "taken for millimeters")
        + ", as in 3D Slicer",
    )
    return _UNIT_MM.get(code, 1.0), [doubt]


def _chosen_form(
    path: Path, size: tuple[int, ...], fields: np.void, pixdim: np.ndarray, unit: float
) -> tuple[Form, list[Problem]]:
    s = _s_form(path, fields, unit) if fields["sform_code"] > 0 else None
    q = _q_form(path, fields, pixdim, unit) if fields["qform_code"] > 0 else None
    if s is None:
        nowhere = np.diag(pixdim), np.zeros(3)
        doubt = unstated("a NIfTI header with neither q-form nor s-form")
        return (q, []) if q is not None else (nowhere, [doubt])
    flat = any(size[k] > 1 and not s[0][:, k].any() for k in range(3))
    if flat and q is None:
        raise damaged_header(path, "an s-form with an axis of length 0", "three axes")
    if q is not None and (flat or is_sheared(size, s[0])):
        return q, [_not_used("an s-form whose axes are not perpendicular beside a q-form")]
    s, sizes = _with_clean_sizes(s, pixdim)
    steps = np.maximum(1, np.array(size[:3]) - 1) * (pixdim > 0) * (sizes > 0)
    if int(fields["dim"][0]) < 3:
        steps[2] = 0  # a picture states no thickness
    apart = np.abs(sizes - pixdim)
    if (apart * steps > HARMLESS_MM).any() or (apart * (steps > 0) > HARMLESS_SHARE * pixdim).any():
        return s, [_two_sizes(sizes, pixdim)]
    if q is None:
        return s, []
    moved = corner_shift_mm(size, s[0], q[0], s[1] - q[1])
    if moved <= HARMLESS_MM:
        return s, []
    name, chosen = ("s-form", s) if fields["sform_code"] == _SCANNER else ("q-form", q)
    return chosen, [_apart(moved, name)]


def _s_form(path: Path, fields: np.void, unit: float) -> Form:
    numbers = fields["sform"].astype(float)
    _check_finite(path, numbers)
    rows = _TO_LPS[:, np.newaxis] * numbers.reshape(3, 4) * unit
    return rows[:, :3], rows[:, 3]


def _q_form(path: Path, fields: np.void, pixdim: np.ndarray, unit: float) -> Form:
    """Return the place that the quaternion states (nifti1.h, METHOD 2)."""
    numbers = fields["quaternion"].astype(float)
    _check_finite(path, numbers)
    versor, offset = numbers[:3], numbers[3:]
    length = float(np.linalg.norm(versor))
    if length > _LONGEST_VERSOR:
        found = f"a q-form whose quaternion has a length of {length:.3g}"
        raise damaged_header(path, found, "at most 1")
    versor = versor / max(1.0, length)
    rotation = sitk.VersorTransform([*versor, np.sqrt(max(0.0, 1.0 - versor @ versor))])
    mirror = np.array([1, 1, -1 if fields["pixdim"][0] < 0 else 1])
    columns = np.reshape(rotation.GetMatrix(), (3, 3)) * pixdim * mirror
    return _TO_LPS[:, np.newaxis] * columns, _TO_LPS * offset * unit


def _check_finite(path: Path, numbers: np.ndarray) -> None:
    if not np.isfinite(numbers).all():
        raise InputError(
            found="an orientation or origin that is NaN or infinite",
            expected="numbers",
            action="repair the header or export the volume again",
            path=path,
        )


def _with_clean_sizes(s: Form, pixdim: np.ndarray) -> tuple[Form, np.ndarray]:
    """Take voxel sizes from pixdim where those of the s-form are the same but for rounding."""
    sizes = np.linalg.norm(s[0], axis=0)
    same = (sizes > 0) & (np.abs(sizes - pixdim) <= _ROUNDING * pixdim)
    clean = np.where(same, pixdim, sizes)
    return (s[0] * np.where(same, clean / np.where(same, sizes, 1), 1), s[1]), clean


def _two_sizes(sizes: np.ndarray, pixdim: np.ndarray) -> Problem:
    return Problem(
        found=f"an s-form with voxels of {by(sizes)} mm and a pixdim of {by(pixdim)} mm",
        expected="one voxel size in the NIfTI header",
        action="check the volumes in mL, the s-form is used, as in FSL and nibabel, "
        "3D Slicer shows the other size",
    )


def _apart(apart_mm: float, chosen: str) -> Problem:
    others = "" if chosen == "s-form" else ", FSL and nibabel take the s-form"
    return Problem(
        found=f"a q-form and an s-form that lie {apart_mm:.3g} mm apart",
        expected="one place in the NIfTI header",
        action=f"check the result in your viewer, it is placed by the {chosen}, "
        f"as in 3D Slicer{others}",
    )


def _not_used(found: str) -> Problem:
    return Problem(
        found=found,
        expected="one place in the NIfTI header",
        action="check the result in your viewer, it is placed by the q-form, as in 3D Slicer",
    )
