"""Random grids and hand-made NIfTI files for the tests of volumes, geometry and space."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_volume

RAMP = np.arange(24, dtype="f4").reshape(2, 3, 4)

_IDENTITY_SFORM = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0))


def rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a random orthonormal 3x3 matrix, mirrored half of the time."""
    matrix, triangle = np.linalg.qr(rng.normal(size=(3, 3)))
    return matrix * np.sign(np.diag(triangle))


def axis_directions() -> list[np.ndarray]:
    """Return the 48 directions along the axes of the body."""
    from itertools import permutations, product

    return [
        np.eye(3)[list(order)] * np.array(signs)
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]


def grid_from_seed(seed: int) -> Grid:
    rng = np.random.default_rng(seed)
    kind = seed % 3
    directions = (np.eye(3), axis_directions()[seed % 48], rotation(rng))
    return Grid(
        tuple(int(n) for n in rng.integers(1, 9, 3)),
        tuple(rng.uniform(0.3, 6.0, 3).tolist()),
        tuple(rng.uniform(-250, 250, 3).tolist()),
        tuple(directions[kind].ravel().tolist()),
    )


grids = st.integers(0, 2**31).map(grid_from_seed)


def write_nifti(
    path: Path,
    array: np.ndarray,
    datatype: int = 16,
    *,
    version: int = 1,
    order: str = "<",
    dim: tuple | None = None,
    pixdim: tuple = (1, 1, 1, 1),
    sform: tuple = _IDENTITY_SFORM,
    slope: float = 0.0,
    inter: float = 0.0,
    offset: float | None = None,
) -> Path:
    """Write a NIfTI-1 or NIfTI-2 file field by field, right or wrong as the arguments say."""
    dim = dim or (array.ndim, *array.shape[::-1])
    dim = (*dim, *[1] * (8 - len(dim)))
    pixdim = (*pixdim, *[1] * (8 - len(pixdim)))
    rows = [x for row in sform for x in row]
    bits = array.dtype.itemsize * 8
    first = {1: 352, 2: 544}[version]
    offset = first if offset is None else offset
    header = bytearray(first)
    if version == 1:
        header[344:348] = b"n+1\0"
        places = [("i", 0, 348), ("8h", 40, *dim), ("2h", 70, datatype, bits), ("8f", 76, *pixdim)]
        places += [("3f", 108, offset, slope, inter), ("2h", 252, 0, 1), ("12f", 280, *rows)]
        header[123] = 2
    else:
        header[4:12] = b"n+2\0\r\n\x1a\n"
        places = [("i", 0, 540), ("2h", 12, datatype, bits), ("8q", 16, *dim), ("8d", 104, *pixdim)]
        places += [("q2d", 168, int(offset), slope, inter), ("2i", 344, 0, 1), ("12d", 400, *rows)]
        places += [("i", 500, 2)]
    for kind, place, *values in places:
        struct.pack_into(order + kind, header, place, *values)
    content = bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


def refusal(path: Path, read=read_volume) -> str:
    """Return the message of the InputError: one sentence of three parts about the file."""
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: found "), text
    assert "expected " in text, text
    assert text.endswith("."), text
    assert "\n" not in text, text
    return text
