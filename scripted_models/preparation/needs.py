"""What the volumes of a case still need before a network may see them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images import contrast
from scripted_models.images.checks import MAX_BRAIN_ML, MIN_BRAIN_OVERLAP, Examined
from scripted_models.images.voxel_facts import VoxelFacts, look_at

When = Literal["auto", "always", "never"]
NO_EXTRACTION = "none needed"  # what reports say where no skull was stripped
WHEN: Final[tuple[When, ...]] = get_args(When)
REFERENCES = ("t1c", "t1", "flair", "t2")  # the first one that a case has
_STRIPPED_BORDER = 0.5  # least share of the faces of a stripped volume that is background
# A head before a background of 0, as scanners and defacing leave it, may be no larger than a brain,
# but goes on where its field of view ends. Whole brains end before it: 0.2 at most in 47 cases.
# What is thinner than a head may be a slab of a brain.
_MOST_CUT, _HEAD_MM = 0.35, 90.0


@dataclass(frozen=True)
class Needs:
    """What is to be done with the volumes of a case.

    Attributes:
        sequences: all there are.
        reference: sequence whose physical space all volumes come into.
        with_skull: sequences whose brain is still to be extracted.
        on_other_grids: sequences that lie on another grid than the reference.
        misplaced: stripped sequences on its grid whose brain lies elsewhere on it.
        off_zero: stripped sequences whose background is not 0.
        perhaps: those of `with_skull` that may as well be brains, cut off by their field of view.
        always: the user wants it even where nothing is needed.
    """

    sequences: tuple[str, ...]
    reference: str
    with_skull: tuple[str, ...]
    on_other_grids: tuple[str, ...]
    misplaced: tuple[str, ...] = ()
    off_zero: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    always: bool = False

    @property
    def unaligned(self) -> tuple[str, ...]:
        """Sequences that are to be registered; all others where the reference is a raw volume."""
        return tuple(
            m
            for m in self.sequences
            if m != self.reference
            and (self.always or self.reference in self.with_skull or m in self._doubtful)
        )

    def with_brains(self, sequences: Collection[str]) -> "Needs":
        """Return the same where some of `perhaps` turned out to be brains."""
        kept = (
            tuple(m for m in of if m not in sequences) for of in (self.with_skull, self.perhaps)
        )
        with_skull, perhaps = kept
        return replace(self, with_skull=with_skull, perhaps=perhaps)

    @property
    def _doubtful(self) -> set[str]:
        return {*self.with_skull, *self.on_other_grids, *self.misplaced}

    @property
    def nothing(self) -> bool:
        """True when the volumes may go to a network as they are, with 0 as their background."""
        return not (self.always or self._doubtful)


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
    elsewhere = [m for m, v in volumes.items() if not v.grid.matches(grid, HARMLESS_MM)]
    heads = [m for m, v in volumes.items() if not _shows_brain(v)]
    perhaps = [m for m in heads if _shows_brain(volumes[m], perhaps=True)]
    brains = {m: v.facts for m, v in volumes.items() if m not in elsewhere and m not in heads}
    return Needs(
        sequences=tuple(volumes),
        reference=reference,
        with_skull=tuple(heads),
        on_other_grids=tuple(elsewhere),
        misplaced=_misplaced(brains, reference),
        off_zero=tuple(
            m
            for m, v in volumes.items()
            if m not in heads and v.facts.background != 0 and v.facts.foreground
        ),
        perhaps=tuple(perhaps),
        always=always,
    )


def _misplaced(brains: Mapping[str, VoxelFacts], reference: str) -> tuple[str, ...]:
    """Return which brains on one grid do not cover that of the reference."""
    looks = {m: look for m, facts in brains.items() if (look := facts.look)}
    if reference not in looks:
        return ()
    return tuple(
        m for m in looks if contrast.overlap_where_covered(looks, m, reference) < MIN_BRAIN_OVERLAP
    )


def is_stripped(image: sitk.Image) -> bool:
    """Tell whether a volume shows a brain on a constant background and nothing else."""
    return _shows_brain(_examined("", image))


def _examined(name: str, image: sitk.Image) -> Examined:
    return Examined(name, look_at(sitk.GetArrayViewFromImage(image)), Grid.of(image))


def _shows_brain(volume: Examined, perhaps: bool = False) -> bool:
    """Tell it from the facts: the faces of a raw volume are noise, or they cut the head off.

    Args:
        volume: that was looked at.
        perhaps: also where the faces cut off what is no larger than a brain.
    """
    facts, grid = volume.facts, volume.grid
    sides = [last + 1 - first for first, last in facts.box or ((0, 0),) * 3]
    sides_mm = np.multiply(sides, grid.spacing_xyz_mm[::-1])
    goes_on = sides_mm.min() > _HEAD_MM and facts.cut_share > _MOST_CUT
    small = facts.foreground * grid.voxel_volume_ml <= MAX_BRAIN_ML
    return small and (perhaps or not goes_on) and facts.border_share > _STRIPPED_BORDER
