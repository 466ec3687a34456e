"""What a network of volumes is shown, and what its outputs mean, as data in a model folder.

`inference.windows` does what these tables say. Reading them needs neither PyTorch nor MONAI.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Literal

from scripted_models.labels import CAVITY, EDEMA, ENHANCING, LABELS, RC, REGIONS, SCORED
from scripted_models.runtime.table_hints import Choice, Range
from scripted_models.runtime.typed_tables import UnfitError

Side = Annotated[int, Range(8, 1024)]
OUR_AXES = "zyx"
AxisOrder = Annotated[str, Choice(tuple("".join(order) for order in permutations(OUR_AXES)))]
Axis = Annotated[str, Choice(tuple(OUR_AXES))]
RegionName = Annotated[str, Choice(tuple(SCORED))]
Label = Annotated[int, Range(0, len(LABELS) - 1)]


@dataclass(frozen=True, kw_only=True)
class SlidingWindow:
    """How a network of volumes goes through a volume.

    Attributes:
        size: voxels of a window along the axes of the network; a smaller volume is padded with
            zeros on both sides.
        overlap: share of a window that the next one sees as well, along each axis.
        placement: 'steps' is that of MONAI: a window begins so many voxels after the one before,
            and the last one is moved back to the border. 'even' is that of nnU-Net: as many windows
            as that takes, at equal distances from border to border, and Gaussian weights with its
            center and without a least value.
        weights: of the voxels of a window where windows overlap.
        sigma: of the Gaussian, as a share of each side.
        axes: which axes of a volume the network calls its first, second and third. MONAI's networks
            are mostly trained with 'xyz', nnU-Net's with 'zyx'.
        mirror: axes along which the network sees windows mirrored as well, in all combinations; the
            mean of the logits counts.
        resampling: of volumes that have not the spacing of the training space. 'linear' resamples
            them before all steps, and probabilities on the way back. 'cubic' is that of nnU-Net:
            what the network sees is resampled after all steps, and its logits on the way back.
    """

    size: tuple[Side, Side, Side]
    overlap: Annotated[float, Range(at_least=0, at_most=0.9)] = 0.5
    placement: Literal["steps", "even"] = "steps"
    weights: Literal["gaussian", "constant"] = "gaussian"
    sigma: Annotated[float, Range(at_least=0.01, at_most=1)] = 0.125
    axes: AxisOrder = OUR_AXES
    mirror: tuple[Axis, ...] = ()
    resampling: Literal["linear", "cubic"] = "linear"

    def __post_init__(self) -> None:
        if len(set(self.mirror)) < len(self.mirror):
            raise UnfitError("mirror", self.mirror, "each axis once")


@dataclass(frozen=True, kw_only=True)
class LabelOutputs:
    """Each output is the logit of a label; the softmax of all gives probabilities.

    Attributes:
        kind: tells outputs of labels from those of regions.
        order: internal label of each output. Background may have several, as of a network that
            knows what has no label here; their probabilities add up.
    """

    kind: Literal["softmax"] = "softmax"
    order: tuple[Label, ...]

    def __post_init__(self) -> None:
        tumor = [label for label in self.order if label]
        if len(set(tumor)) < len(tumor):
            raise UnfitError("order", self.order, "each label once, except background")

    @property
    def labels(self) -> tuple[int, ...]:
        """Internal labels, ascending."""
        return tuple(sorted(set(self.order)))


@dataclass(frozen=True, kw_only=True)
class RegionOutputs:
    """Each output is the logit of a region; its sigmoid is the probability of the region.

    Regions lie inside each other, what a network says of them may not. So an inner region is taken
    to be a part of the outer ones: the probability of the tumor core is the largest one of core and
    enhancing tumor, that of the whole tumor the largest of all. Differences are probabilities of
    labels. With one threshold for all regions a voxel gets the label of its innermost region that
    reaches the threshold, as with MONAI's `brats_mri_segmentation`, nnU-Net and Auto3DSeg.

    'RC' is the resection cavity, which lies in no region of the tumor. Where a network says both,
    the one that comes later in the order counts, as nnU-Net and Auto3DSeg write one over the other:
    the cavity over the regions before it, and those after it over the cavity.

    Attributes:
        kind: tells outputs of regions from those of labels.
        order: region of each output; among them 'RC' where the network knows the cavity.
        core: internal label of the tumor core without enhancing tumor.
    """

    kind: Literal["regions"] = "regions"
    order: tuple[RegionName, ...]
    core: Literal[1, 3] = 1

    def __post_init__(self) -> None:
        if sorted(self.order) not in (sorted(REGIONS), sorted(SCORED)):
            raise UnfitError("order", self.order, f"each of {list(REGIONS)} once, perhaps {RC}")

    @property
    def labels(self) -> tuple[int, ...]:
        """Internal labels that the regions can tell apart, ascending."""
        cavity = (CAVITY,) if RC in self.order else ()
        return tuple(sorted((0, EDEMA, self.core, ENHANCING, *cavity)))

    @property
    def over_cavity(self) -> tuple[str, ...]:
        """The regions that are written over the cavity."""
        return self.order[self.order.index(RC) + 1 :] if RC in self.order else ()


NetworkOutputs = LabelOutputs | RegionOutputs
