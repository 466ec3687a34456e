"""Segmentations as 3D Slicer writes them (.seg.nrrd), field by field, right or wrong."""

import gzip
from pathlib import Path

import numpy as np


def write_segments(path: Path, layers, segments, spacing=(1, 1, 1), origin=(0, 0, 0)) -> Path:
    """Write layers of shape (z, y, x) and what the header says of the segments.

    Each segment is a dictionary of fields; those that are missing are not written, but the ID.
    """
    layers = [np.asarray(layer, np.uint8) for layer in layers]
    sizes = " ".join(map(str, layers[0].shape[::-1]))
    axes = " ".join(
        f"({','.join(str(s if i == k else 0) for i in range(3))})" for k, s in enumerate(spacing)
    )
    several = len(layers) > 1
    head = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{len(layers)} ' * several}{sizes}",
        f"space directions: {'none ' * several}{axes}",
        f"kinds: {'list ' * several}domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(map(str, origin))})",
    ]
    for number, fields in enumerate(segments):
        fields = {"ID": f"Segment_{number}", **fields}
        head += [f"Segment{number}_{key}:={value}" for key, value in fields.items()]
    voxels = np.stack(layers, -1) if several else layers[0]
    path.write_bytes("\n".join(head).encode() + b"\n\n" + gzip.compress(voxels.tobytes(), 1))
    return path
