"""What the volumes of a case still need before a network may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import SimpleITK as sitk

from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.checks import MAX_BRAIN_ML, Examined
from scripted_models.images.voxel_facts import VoxelFacts, look_at

When = Literal["auto", "always", "never"]
WHEN: Final[tuple[When, ...]] = get_args(When)
REFERENCES = ("t1c", "t1", "flair", "t2")  # the first one that a case has
_STRIPPED_BORDER = 0.5  # least share of the faces of a stripped volume that is background


@dataclass(frozen=True)
class Needs:
    """What is to be done with the volumes of a case.

    Attributes:
        reference: sequence whose physical space all volumes come into.
        with_skull: sequences whose brain is still to be extracted.
        on_other_grids: sequences that lie on another grid than the reference.
        always: the user wants it even where nothing is needed.
    """

    reference: str
    with_skull: tuple[str, ...]
    on_other_grids: tuple[str, ...]
    always: bool = False

    @property
    def nothing(self) -> bool:
        """True when the volumes may go to a network as they are."""
        return not (self.always or self.with_skull or self.on_other_grids)


def needs_of(
    images: Mapping[str, sitk.Image], reference: str | None = None, always: bool = False
) -> Needs:
    """Look at the volumes of a case and tell what they need.

    Args:
        images: sequence -> volume.
        reference: sequence that all come to; None: the first one of `REFERENCES`.
        always: also where nothing is needed.
    """
    examined = {m: _examined(m, image) for m, image in images.items()}
    return needs_of_examined(examined, reference, always)


def needs_of_examined(
    volumes: Mapping[str, Examined], reference: str | None = None, always: bool = False
) -> Needs:
    """Tell what volumes need that were looked at, see `needs_of`."""
    reference = reference or next(m for m in REFERENCES if m in volumes)
    grid = volumes[reference].grid
    return Needs(
        reference=reference,
        with_skull=tuple(
            m for m, v in volumes.items() if not facts_tell_brain(v.facts, v.grid.voxel_volume_ml)
        ),
        on_other_grids=tuple(
            m for m, v in volumes.items() if not v.grid.matches(grid, HARMLESS_MM)
        ),
        always=always,
    )


def is_stripped(image: sitk.Image) -> bool:
    """Tell whether a volume shows a brain on a constant background and nothing else."""
    volume = _examined("", image)
    return facts_tell_brain(volume.facts, volume.grid.voxel_volume_ml)


def _examined(name: str, image: sitk.Image) -> Examined:
    return Examined(name, look_at(sitk.GetArrayViewFromImage(image)), Grid.of(image))


def facts_tell_brain(facts: VoxelFacts, voxel_ml: float) -> bool:
    """Tell it from the facts of a volume; the faces of a raw one are noise, or it is large."""
    small = facts.foreground * voxel_ml <= MAX_BRAIN_ML
    return small and facts.border_share > _STRIPPED_BORDER
