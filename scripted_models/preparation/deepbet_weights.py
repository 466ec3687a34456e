"""The weights of `deepbet` 1.0.2, read as data from its installed wheel.

Nothing of the package is imported or run, and nothing is downloaded: both files are archives whose
numbers go into a network of our own (`link_net`). Files other than the known ones are refused.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from scripted_models.errors import ResourceError, phrases
from scripted_models.preparation.link_net import LinkNet3d
from scripted_models.runtime.plain_files import read_bytes

_ = phrases(__name__)
LARGEST_BYTES = 64 << 20  # the larger archive has 8 MiB

WHEEL, VERSION = "deepbet", "1.0.2"
INSTALL = f"pip install --no-deps {WHEEL}=={VERSION}"
BOX, BRAIN = "bbox_model.pt", "model.pt"
SHA256: Mapping[str, str] = {
    BOX: "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    BRAIN: "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}


def weight_files() -> dict[str, Path]:
    """Return where the two files lie; empty where the wheel is not installed."""
    try:
        installed = files(WHEEL) or []
    except PackageNotFoundError:
        return {}
    found = {file.name: Path(str(file.locate())) for file in installed if file.name in SHA256}
    return found if found.keys() == SHA256.keys() else {}


def is_installed() -> bool:
    """Tell whether brains can be extracted, without reading the weights."""
    return all(path.is_file() for path in weight_files().values()) and bool(weight_files())


def load_network(name: str) -> LinkNet3d:
    """Return one of the two networks.

    Args:
        name: `BOX` or `BRAIN`.

    Raises:
        ResourceError: the wheel is not installed, or its file is another one.
    """
    path = weight_files().get(name)
    if path is None or not path.is_file():
        raise ResourceError(
            found=_("no brain extraction"),
            expected=_("{wheel} {version}").format(wheel=WHEEL, version=VERSION),
            action=_("install it ({command}), or give a mask with --brain-mask").format(
                command=INSTALL
            ),
        )
    content = read_bytes(path, LARGEST_BYTES)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ResourceError(
            found=_("another file than that of {wheel} {version}").format(
                wheel=WHEEL, version=VERSION
            ),
            action=_("install exactly this version again ({command})").format(command=INSTALL),
            path=path,
        )
    network = LinkNet3d()
    network.load_state_dict(_numbers(content, network))
    return network.eval().requires_grad_(False)


def _numbers(content: bytes, network: LinkNet3d) -> dict[str, torch.Tensor]:
    """Return the arrays of an archive, which lie there in the order of the network's weights."""
    state = network.state_dict()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        folder = next(n for n in archive.namelist() if n.endswith("/data.pkl"))[: -len(".pkl")]
        read = (archive.read(f"{folder}/{index}") for index in range(len(state)))
        return {
            name: torch.from_numpy(np.frombuffer(data, "<f4").reshape(weight.shape).copy())
            for (name, weight), data in zip(state.items(), read, strict=True)
        }
