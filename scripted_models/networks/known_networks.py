"""The registry: a name, how it is built, and what can be said without its weights."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any, TypedDict

import torch

from scripted_models.errors import ModelError
from scripted_models.networks.cascades import InputCascadeCNN, LocalCascadeCNN, MFCascadeCNN
from scripted_models.networks.crf_rnn import CRFRNN
from scripted_models.networks.dilated import DilatedVGG
from scripted_models.networks.ensembles import AverageCNN, AveragedEnsemble, VotedEnsemble
from scripted_models.networks.fcn import FCN
from scripted_models.networks.havaei import GlobalPathCNN, LocalPathCNN, TwoPathCNN
from scripted_models.networks.monai_networks import (
    ADOPTED,
    MonaiSliceNetwork,
    MonaiVolumeNetwork,
)
from scripted_models.networks.nnunet import plain_conv_unet, residual_encoder_unet
from scripted_models.networks.refinenet import RefineNet
from scripted_models.networks.segresnet import SegResNet
from scripted_models.networks.slice_network import (
    SegmentationNetwork,
    SliceNetwork,
    VolumeNetwork,
)
from scripted_models.networks.threshold import ThresholdBaseline
from scripted_models.networks.unet import UNet
from scripted_models.runtime.typed_tables import shown


class NetworkFacts(TypedDict):
    """What can be said of a network in its default form; see `SegmentationNetwork`."""

    name: str
    dimensions: int
    trainable_parameters: int
    receptive_field: int
    output_stride: int
    margins: list[int]
    in_channels: int
    num_classes: int
    parts: dict[str, str]
    source: str


@dataclass(frozen=True)
class NetworkEntry:
    """One registered network.

    Attributes:
        name: name used in experiments, model folders and on the command line.
        build: class or function; called with keyword arguments only.
        source: paper and section.
        parts: trained networks that it is made from: attribute -> name in the registry.
        trains: whether it has weights of its own to train.
        dimensions: 2 for slices, 3 for volumes.
        needs: package that it computes with, beside those that are always there.
    """

    name: str
    build: Callable[..., SegmentationNetwork]
    source: str
    parts: Mapping[str, str] = field(default_factory=dict)
    trains: bool = True
    dimensions: int = 2
    needs: str = ""

    def describe(self) -> NetworkFacts:
        """Describe the network in its default form, without its weights."""
        with torch.device("meta"):  # nothing is allocated
            network = self.build()
        return {
            "name": self.name,
            "dimensions": network.dimensions,
            "trainable_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
            "receptive_field": network.receptive_field,
            "output_stride": network.output_stride,
            "margins": list(network.margins),
            "in_channels": network.in_channels,
            "num_classes": network.num_classes,
            "parts": dict(self.parts),
            "source": self.source,
        }


def _voted_ensemble(
    network: str = "TwoPathCNN", members: int = 7, voting: str = "hard", **arguments: Any
) -> VotedEnsemble:
    built = [build_slice_network(network, **arguments) for _ in range(members)]
    return VotedEnsemble(built, voting)


def _averaged_ensemble(
    network: str = "SegResNet3D", members: int = 5, **arguments: Any
) -> AveragedEnsemble:
    built = [_volume_network(network, **arguments) for _ in range(members)]
    return AveragedEnsemble(built)


def _volume_network(name: str, **arguments: Any) -> VolumeNetwork:
    network = build_network(name, **arguments)
    if not isinstance(network, VolumeNetwork) or name == ENSEMBLES[3]:
        raise ValueError(f"expected a single 3-D network, not '{name}'")
    return network


def _crf_rnn(
    network: str = "FCN8s", crf: Mapping[str, Any] | None = None, **arguments: Any
) -> CRFRNN:
    return CRFRNN(build_slice_network(network, **arguments), crf)


def _published() -> list[NetworkEntry]:
    """Return the networks of the papers that this package follows."""
    havaei = "Havaei et al. 2017, Medical Image Analysis 35, "
    first = {"first": "TwoPathCNN"}
    both = {"local_path": "LocalPathCNN", "global_path": "GlobalPathCNN"}
    long, yu = "Long et al. 2015, CVPR, ", "Yu & Koltun 2016, ICLR, "
    return [
        NetworkEntry("LocalPathCNN", LocalPathCNN, havaei + "table 1"),
        NetworkEntry("GlobalPathCNN", GlobalPathCNN, havaei + "table 1"),
        NetworkEntry("AverageCNN", AverageCNN, havaei + "table 1", both, trains=False),
        NetworkEntry("TwoPathCNN", TwoPathCNN, havaei + "figure 2"),
        NetworkEntry("InputCascadeCNN", InputCascadeCNN, havaei + "figure 3", first),
        NetworkEntry("LocalCascadeCNN", LocalCascadeCNN, havaei + "figure 3", first),
        NetworkEntry("MFCascadeCNN", MFCascadeCNN, havaei + "figure 3", first),
        NetworkEntry(ENSEMBLES[2], _voted_ensemble, havaei + "BRATS 2015", trains=False),
        NetworkEntry("ThresholdBaseline", ThresholdBaseline, "bright FLAIR and T1c", trains=False),
        NetworkEntry("UNet", UNet, "Ronneberger et al. 2015, MICCAI, LNCS 9351"),
        NetworkEntry("SegResNet", SegResNet, ADOPTED["SegResNet"].source),
        NetworkEntry("FCN32s", FCN, long + "FCN-32s"),
        NetworkEntry("FCN16s", partial(FCN, stride=16), long + "FCN-16s"),
        NetworkEntry("FCN8s", partial(FCN, stride=8), long + "FCN-8s"),
        NetworkEntry("FCN8sAtOnce", partial(FCN, stride=8, at_once=True), long + "at once"),
        NetworkEntry("FCN32sFixed", partial(FCN, fixed=True), long + "table 2"),
        NetworkEntry("DilatedFrontEnd", DilatedVGG, yu + "section 4"),
        NetworkEntry("DilatedBasic", partial(DilatedVGG, context="basic"), yu + "table 1"),
        NetworkEntry("DilatedLarge", partial(DilatedVGG, context="large"), yu + "table 1"),
        NetworkEntry("RefineNet", RefineNet, "Lin et al. 2017, CVPR, figure 2"),
        NetworkEntry("CRFRNN", _crf_rnn, "Zheng et al. 2015, ICCV, section 5"),
    ]


def _of_monai() -> Iterator[NetworkEntry]:
    """Yield MONAI's own networks, of slices and of volumes."""
    for name, adopted in ADOPTED.items():
        # on slices SegResNet has an output layer of its own
        if 2 in adopted.dimensions and name != "SegResNet":
            build = partial(MonaiSliceNetwork, adopted.monai, **adopted.arguments)
            yield NetworkEntry(name, build, adopted.source)
        build_3d = partial(MonaiVolumeNetwork, adopted.monai, **adopted.arguments)
        yield NetworkEntry(f"{name}3D", build_3d, adopted.source, dimensions=3, needs=adopted.needs)


def _of_nnunet() -> Iterator[NetworkEntry]:
    """Yield the networks of nnU-Net, of slices and of volumes."""
    source = "Isensee et al. 2021, Nature Methods 18; 2024, MICCAI (nnU-Net)"
    for name, build in (
        ("PlainConvUNet", plain_conv_unet),
        ("ResidualEncoderUNet", residual_encoder_unet),
    ):
        yield NetworkEntry(name, partial(build, 2), source)
        yield NetworkEntry(f"{name}3D", partial(build, 3), source, dimensions=3)
    yield NetworkEntry(
        ENSEMBLES[3], _averaged_ensemble, f"{source}, folds", trains=False, dimensions=3
    )


# What networks of several folds become, by their dimensions.
ENSEMBLES = {2: "VotedEnsemble", 3: "AveragedEnsemble3D"}
_REFUSALS = (TypeError, ValueError, AssertionError, KeyError, IndexError)  # MONAI has all of them


def build_network(name: str, **arguments: Any) -> SegmentationNetwork:
    """Build a registered network.

    Raises:
        ModelError: unknown name or arguments, or a package that is not installed.
    """
    if name not in NETWORKS:
        raise ModelError(
            found=f"the unknown network '{name}'",
            expected=f"one of {sorted(NETWORKS)}",
            action="correct its name",
        )
    needs = NETWORKS[name].needs
    if needs and find_spec(needs) is None:
        raise ModelError(
            found=f"no package '{needs}'",
            expected=f"it, for the network {name}",
            action=f"install it (pip install {needs})",
        )
    try:
        return NETWORKS[name].build(**arguments)
    except _REFUSALS as error:
        why = str(error).partition("\n")[0][:200]
        raise ModelError(
            found=f"the arguments {shown(arguments)} for {name} ({why})",
            expected="those that it takes",
            action="correct them",
        ) from error


def build_slice_network(name: str, **arguments: Any) -> SliceNetwork:
    """Build a registered network of slices.

    Raises:
        ModelError: unknown name or arguments, or a network of volumes.
    """
    network = build_network(name, **arguments)
    if not isinstance(network, SliceNetwork):
        raise ModelError(
            found=f"the 3-D network '{name}'",
            expected="a 2-D one, because here slices are joined or shown",
            action=f"take '{name.removesuffix('3D')}' or another network of slices",
        )
    return network


NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry for entry in (*_published(), *_of_monai(), *_of_nnunet())
}
