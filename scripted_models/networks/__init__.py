"""The networks: one file for each paper, and the registry that everything else builds them from.

From outside the package are used: `build_network`, `build_slice_network` and `NETWORKS` (here);
`SliceNetwork`, `VolumeNetwork` and `PLANES` (`slice_network`); `load_published` and the image
scales (`weight_files`); `DenseCRF` and its refinement (`crf`). The layers of the paper's networks
(`layers`, `fourier`) are used by `inference`, which evaluates them in other forms.
"""

from scripted_models.networks.known_networks import (
    NETWORKS,
    NetworkEntry,
    build_network,
    build_slice_network,
)

__all__ = ["NETWORKS", "NetworkEntry", "build_network", "build_slice_network"]
