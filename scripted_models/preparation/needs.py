"""What the volumes of a case still need before a network may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import SimpleITK as sitk

from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images import contrast
from scripted_models.images.checks import MAX_BRAIN_ML, MIN_BRAIN_OVERLAP, Examined
from scripted_models.images.voxel_facts import VoxelFacts, look_at

When = Literal["auto", "always", "never"]
WHEN: Final[tuple[When, ...]] = get_args(When)
REFERENCES = ("t1c", "t1", "flair", "t2")  # the first one that a case has
_STRIPPED_BORDER = 0.5  # least share of the faces of a stripped volume that is background
# A head before a background of 0, as scanners and defacing leave it, may be no larger than a brain,
# but goes on where its field of view ends. Whole brains end before it: 0.2 at most in 47 cases.
_WHOLE_BRAIN_ML, _MOST_CUT = 1400.0, 0.35


@dataclass(frozen=True)
class Needs:
    """What is to be done with the volumes of a case.

    Attributes:
        sequences: all there are.
        reference: sequence whose physical space all volumes come into.
        with_skull: sequences whose brain is still to be extracted.
        on_other_grids: sequences that lie on another grid than the reference.
        misplaced: stripped sequences on its grid whose brain lies elsewhere on it.
        always: the user wants it even where nothing is needed.
    """

    sequences: tuple[str, ...]
    reference: str
    with_skull: tuple[str, ...]
    on_other_grids: tuple[str, ...]
    misplaced: tuple[str, ...] = ()
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

    @property
    def _doubtful(self) -> set[str]:
        return {*self.with_skull, *self.on_other_grids, *self.misplaced}

    @property
    def nothing(self) -> bool:
        """True when the volumes may go to a network as they are."""
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
    heads = [m for m, v in volumes.items() if not facts_tell_brain(v.facts, v.grid.voxel_volume_ml)]
    brains = {m: v.facts for m, v in volumes.items() if m not in elsewhere and m not in heads}
    return Needs(
        sequences=tuple(volumes),
        reference=reference,
        with_skull=tuple(heads),
        on_other_grids=tuple(elsewhere),
        misplaced=_misplaced(brains, reference),
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
    volume = _examined("", image)
    return facts_tell_brain(volume.facts, volume.grid.voxel_volume_ml)


def _examined(name: str, image: sitk.Image) -> Examined:
    return Examined(name, look_at(sitk.GetArrayViewFromImage(image)), Grid.of(image))


def facts_tell_brain(facts: VoxelFacts, voxel_ml: float) -> bool:
    """Tell it from the facts of a volume; the faces of a raw one are noise, or they cut it off."""
    ml = facts.foreground * voxel_ml
    goes_on = ml > _WHOLE_BRAIN_ML and facts.cut_share > _MOST_CUT
    return ml <= MAX_BRAIN_ML and not goes_on and facts.border_share > _STRIPPED_BORDER
