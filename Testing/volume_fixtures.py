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
    codes: tuple = (0, 1),
    quaternion: tuple = (0, 0, 0, 0, 0, 0),
    units: int = 2,
    intent: int = 0,
    magic: bytes | None = None,
    slope: float = 0.0,
    inter: float = 0.0,
    offset: float | None = None,
) -> Path:
    """Write a NIfTI-1 or NIfTI-2 file field by field, right or wrong as the arguments say.

    Of a name that ends in .hdr only the header is written. `codes` are those of q-form and s-form,
    `quaternion` is b, c, d and the offsets.
    """
    dim = dim or (array.ndim, *array.shape[::-1])
    dim = (*dim, *[1] * (8 - len(dim)))
    pixdim = (*pixdim, *[1] * (8 - len(pixdim)))
    rows = [x for row in sform for x in row]
    bits = array.dtype.itemsize * 8
    first = {1: 352, 2: 544}[version]
    offset = first if offset is None else offset
    header = bytearray(first)
    if version == 1:
        header[344:348] = magic or b"n+1\0"
        places = [("i", 0, 348), ("8h", 40, *dim), ("h2h", 68, intent, datatype, bits)]
        places += [("8f", 76, *pixdim), ("3f", 108, offset, slope, inter), ("2h", 252, *codes)]
        places += [("6f", 256, *quaternion), ("12f", 280, *rows)]
        header[123] = units
    else:
        header[4:12] = magic or b"n+2\0\r\n\x1a\n"
        places = [("i", 0, 540), ("2h", 12, datatype, bits), ("8q", 16, *dim), ("8d", 104, *pixdim)]
        places += [("q2d", 168, int(offset), slope, inter), ("2i", 344, *codes)]
        places += [("6d", 352, *quaternion), ("12d", 400, *rows), ("2i", 500, units, intent)]
    for kind, place, *values in places:
        struct.pack_into(order + kind, header, place, *values)
    if path.suffix == ".hdr":
        path.write_bytes(header[: {1: 348, 2: 540}[version]])
        return path
    content = bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


def meta_image(path: Path, data: bytes, **fields: str | None) -> Path:
    """Write a MetaImage of `RAMP` as 32-bit float; fields replace or, as None, leave out lines."""
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "1 1 1",
        "DimSize": "4 3 2",
        "ElementType": "MET_FLOAT",
        **fields,
    }
    end = lines.pop("ElementDataFile", "LOCAL")
    text = "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)
    path.write_bytes(f"{text}ElementDataFile = {end}\n".encode() + data)
    return path


def nrrd(path: Path, data: bytes, **fields: str | None) -> Path:
    """Write an NRRD file of `RAMP` as 32-bit float; `_` in names of fields stands for a blank."""
    lines = {
        "type": "float",
        "dimension": "3",
        "sizes": "4 3 2",
        "endian": "little",
        "encoding": "raw",
        "space dimension": None,
        "space": "left-posterior-superior",
        "space directions": "(1,0,0) (0,1,0) (0,0,1)",
        "space origin": "(0,0,0)",
        **{key.replace("_", " "): value for key, value in fields.items()},
    }
    text = "".join(f"{key}: {value}\n" for key, value in lines.items() if value is not None)
    path.write_bytes(f"NRRD0005\n{text}\n".encode() + data)
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
