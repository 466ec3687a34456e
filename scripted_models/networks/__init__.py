"""The networks: one file for each paper, and the registry that everything else builds them from.

`known_networks` is the registry, `monai_networks` brings MONAI's own networks, `footprint` measures
what they need to see. From outside the package are used:

    NETWORKS, ENSEMBLES, build_network, ...         here
    SliceNetwork, VolumeNetwork, PLANES             slice_network
    load_published                                  weight_files
    DenseCRF, build_crf, refine_brain, ...          crf
    the layers that `inference` evaluates faster    layers, fourier
"""

from scripted_models.networks.known_networks import (
    ENSEMBLES,
    NETWORKS,
    NetworkEntry,
    build_network,
    build_slice_network,
)

__all__ = ["ENSEMBLES", "NETWORKS", "NetworkEntry", "build_network", "build_slice_network"]
