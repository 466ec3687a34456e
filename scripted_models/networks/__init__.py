"""The registry of networks: a name, its class, and what can be said without building it."""

from dataclasses import dataclass

from torch import nn

from scripted_models.errors import ModelError
from scripted_models.networks.havaei import InputCascadeCNN, TwoPathCNN


@dataclass(frozen=True)
class NetworkEntry:
    """One registered network.

    Attributes:
        name: name used in experiments, model folders and on the command line.
        build: class; called with keyword arguments only.
        source: paper and section.
        cascade_of: name of the network that is trained first and becomes its `first`, or None.
    """

    name: str
    build: type[nn.Module]
    source: str
    cascade_of: str | None = None

    def describe(self) -> dict:
        """Return name, trainable parameters, receptive field, stride and margins of the default."""
        network = self.build()
        return {
            "name": self.name,
            "trainable_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
            "receptive_field": network.receptive_field,
            "output_stride": network.output_stride,
            "margins": list(network.margins),
            "in_channels": network.in_channels,
            "num_classes": network.num_classes,
            "cascade_of": self.cascade_of,
            "source": self.source,
        }


_HAVAEI = "Havaei et al. 2017, Medical Image Analysis 35, section "

NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        NetworkEntry("TwoPathCNN", TwoPathCNN, _HAVAEI + "3.1"),
        NetworkEntry("InputCascadeCNN", InputCascadeCNN, _HAVAEI + "3.2", "TwoPathCNN"),
    )
}


def build_network(name: str, **arguments) -> nn.Module:
    """Build a registered network.

    Raises:
        ModelError: unknown name or arguments.
    """
    if name not in NETWORKS:
        raise ModelError(f"Unknown network '{name}'; expected one of {sorted(NETWORKS)}.")
    try:
        return NETWORKS[name].build(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(f"Network '{name}' cannot be built from {arguments} ({error}).") from error
