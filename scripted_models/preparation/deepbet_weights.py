"""The weights of `deepbet` 1.0.2, read as data from its installed wheel.

Nothing of the package is imported or run, and nothing is downloaded: both files are archives whose
numbers go into a network of our own (`link_net`). Files other than the known ones are refused.
"""

import hashlib
import zipfile
from io import BytesIO

import numpy as np
import torch

from scripted_models.errors import ResourceError, phrases
from scripted_models.preparation.deepbet_wheel import INSTALL, SHA256, VERSION, WHEEL, weight_files
from scripted_models.preparation.link_net import LinkNet3d
from scripted_models.runtime.plain_files import read_bytes

_ = phrases(__name__)
LARGEST_BYTES = 64 << 20  # the larger archive has 8 MiB


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
