"""The registry of networks: a name, its class, and what can be said without building it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from scripted_models.errors import ModelError
from scripted_models.networks.cascades import InputCascadeCNN, LocalCascadeCNN, MFCascadeCNN
from scripted_models.networks.crf_rnn import CRFRNN
from scripted_models.networks.dilated import DilatedVGG
from scripted_models.networks.ensembles import AverageCNN, VotedEnsemble
from scripted_models.networks.fcn import FCN
from scripted_models.networks.havaei import GlobalPathCNN, LocalPathCNN, TwoPathCNN
from scripted_models.networks.refinenet import RefineNet
from scripted_models.networks.segresnet import SegResNet
from scripted_models.networks.threshold import ThresholdBaseline
from scripted_models.networks.unet import UNet
from scripted_models.runtime.typed_tables import shown


@dataclass(frozen=True)
class NetworkEntry:
    """One registered network.

    Attributes:
        name: name used in experiments, model folders and on the command line.
        build: class or function; called with keyword arguments only.
        source: paper and section.
        parts: trained networks that it is made from: attribute -> name in the registry.
        trains: whether it has weights of its own to train.
        drawn: whether there is a diagram of it.
    """

    name: str
    build: Callable[..., nn.Module]
    source: str
    parts: Mapping[str, str] = field(default_factory=dict)
    trains: bool = True
    drawn: bool = True

    def describe(self) -> dict:
        """Return name, trainable parameters, receptive field, stride and margins of the default."""
        with torch.device("meta"):  # nothing is allocated
            network = self.build()
        return {
            "name": self.name,
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
    network: str = "TwoPathCNN", members: int = 7, voting: str = "hard", **arguments
) -> VotedEnsemble:
    return VotedEnsemble([build_network(network, **arguments) for _ in range(members)], voting)


def _crf_rnn(network: str = "FCN8s", crf: dict | None = None, **arguments) -> CRFRNN:
    return CRFRNN(build_network(network, **arguments), crf)


_HAVAEI = "Havaei et al. 2017, Medical Image Analysis 35, "
_LONG = "Long et al. 2015, CVPR, "
_YU = "Yu & Koltun 2016, ICLR, "
_FIRST = {"first": "TwoPathCNN"}
_BOTH_PATHS = {"local_path": "LocalPathCNN", "global_path": "GlobalPathCNN"}

NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        NetworkEntry("LocalPathCNN", LocalPathCNN, _HAVAEI + "table 1"),
        NetworkEntry("GlobalPathCNN", GlobalPathCNN, _HAVAEI + "table 1"),
        NetworkEntry("AverageCNN", AverageCNN, _HAVAEI + "table 1", _BOTH_PATHS, trains=False),
        NetworkEntry("TwoPathCNN", TwoPathCNN, _HAVAEI + "figure 2"),
        NetworkEntry("InputCascadeCNN", InputCascadeCNN, _HAVAEI + "figure 3", _FIRST),
        NetworkEntry("LocalCascadeCNN", LocalCascadeCNN, _HAVAEI + "figure 3", _FIRST),
        NetworkEntry("MFCascadeCNN", MFCascadeCNN, _HAVAEI + "figure 3", _FIRST),
        NetworkEntry("VotedEnsemble", _voted_ensemble, _HAVAEI + "BRATS 2015", trains=False),
        NetworkEntry(
            "ThresholdBaseline",
            ThresholdBaseline,
            "bright FLAIR and T1c",
            trains=False,
            drawn=False,
        ),
        NetworkEntry("UNet", UNet, "Ronneberger et al. 2015, MICCAI, LNCS 9351"),
        NetworkEntry(
            "SegResNet", SegResNet, "Myronenko 2018, BrainLes, section 2.1 (MONAI)", drawn=False
        ),
        NetworkEntry("FCN32s", FCN, _LONG + "FCN-32s", drawn=False),
        NetworkEntry("FCN16s", partial(FCN, stride=16), _LONG + "FCN-16s", drawn=False),
        NetworkEntry("FCN8s", partial(FCN, stride=8), _LONG + "FCN-8s", drawn=False),
        NetworkEntry(
            "FCN8sAtOnce", partial(FCN, stride=8, at_once=True), _LONG + "at once", drawn=False
        ),
        NetworkEntry("FCN32sFixed", partial(FCN, fixed=True), _LONG + "table 2", drawn=False),
        NetworkEntry("DilatedFrontEnd", DilatedVGG, _YU + "section 4", drawn=False),
        NetworkEntry(
            "DilatedBasic", partial(DilatedVGG, context="basic"), _YU + "table 1", drawn=False
        ),
        NetworkEntry(
            "DilatedLarge", partial(DilatedVGG, context="large"), _YU + "table 1", drawn=False
        ),
        NetworkEntry("RefineNet", RefineNet, "Lin et al. 2017, CVPR, figure 2", drawn=False),
        NetworkEntry("CRFRNN", _crf_rnn, "Zheng et al. 2015, ICCV, section 5", drawn=False),
    )
}


def build_network(name: str, **arguments) -> nn.Module:
    """Build a registered network.

    Raises:
        ModelError: unknown name or arguments.
    """
    if name not in NETWORKS:
        raise ModelError(
            found=f"the unknown network '{name}'",
            expected=f"one of {sorted(NETWORKS)}",
            action="correct its name",
        )
    try:
        return NETWORKS[name].build(**arguments)
    except (TypeError, ValueError) as error:
        why = str(error).partition("\n")[0][:200]
        raise ModelError(
            found=f"the arguments {shown(arguments)} for {name} ({why})",
            expected="those that it takes",
            action="correct them",
        ) from error
