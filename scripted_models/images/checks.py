"""What can be wrong with volumes before a network sees them: findings for the user.

Command line and Slicer module tell the user the same with these functions. The network expects
what BraTS delivers: brain only, background exactly 0, about 1 mm.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np

from scripted_models.errors import Problem, listed, phrases
from scripted_models.geometry import Grid
from scripted_models.images import contrast
from scripted_models.images.training_space import TrainingSpace
from scripted_models.images.voxel_facts import VoxelFacts
from scripted_models.sequences import TITLES

_ = phrases(__name__)

Severity = Literal["stop", "warning", "note"]
STOP: Final = "stop"
WARNING: Final = "warning"
NOTE: Final = "note"

# The 30 skull-stripped BraTS cases at hand hold 1201 to 1747 mL of non-zero voxels.
MAX_BRAIN_ML = 2000.0
MIN_FOREGROUND_VOXELS = 100  # what preprocessing asks for
MIN_FOREGROUND_SHARE = 0.01  # of the field of view; a newborn's brain in a cube of 256 mm has 2 %
MIN_EXTENT_MM = 40.0
TINY_EXTENT_MM, TINY_SPACING_MM = 30.0, 0.25  # a head whose header has no millimeters
MAX_SPACING_MM = 20.0  # a head has a few such voxels; slices of 12 mm exist
MAX_EXTENT_MM = 1000.0
MAX_IN_PLANE_RATIO = 1.5  # of the training spacing
MAX_SLICE_RATIO = 3.0
# Dice between sequences; 0.98 to 1 in those 30, 0.96 at most between patients.
MIN_BRAIN_OVERLAP = 0.97
MOST_UNCOVERED = 0.01  # of the brain; rims of masks made one by one do not count
SMALLEST_RANGE, LARGEST_RANGE = 1e-15, 1e15  # their squares fit into float32
MOST_LABELS = 10  # an image has more different values


@dataclass(frozen=True, kw_only=True)
class Finding(Problem):
    """Something about the chosen volumes that the user should know.

    Attributes:
        severity: "stop" (cannot be run), "warning" (may go wrong) or "note" (is handled).
        slots: sequences concerned.
        volumes: how the sentence names the volumes concerned; empty where it names none first.
    """

    severity: Severity
    slots: tuple[str, ...]
    volumes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The names of the volumes, or else the path."""
        return listed(self.volumes) or super().place


@dataclass(frozen=True)
class Examined:
    """A volume that was looked at.

    Attributes:
        name: how sentences name it.
        facts: what its voxels tell.
        grid: where it lies.
    """

    name: str
    facts: VoxelFacts
    grid: Grid


def voxel_findings(volumes: Mapping[str, Examined], prepared: bool = False) -> list[Finding]:
    """Say what the voxels tell: not finite, constant, empty, skull, label maps, doubles.

    Args:
        volumes: sequence -> volume that was looked at.
        prepared: they are or will be, and what a preparation sees to is left out: skulls,
            backgrounds, other places.
    """
    found = [f for sequence, volume in volumes.items() for f in _unusable(sequence, volume)]
    stopped = {slot for finding in found for slot in finding.slots}
    rest = {m: volume for m, volume in volumes.items() if m not in stopped}
    found += [f for sequence, volume in rest.items() for f in _unlike_an_image(sequence, volume)]
    if not prepared:
        found += [*_skull(rest), *_background(rest)]
    found += _doubles(rest)
    doubtful = {slot for finding in found for slot in finding.slots}
    rest = {m: volume for m, volume in rest.items() if volume.facts.look and m not in doubtful}
    cut = list(_cut(rest))
    whole = {m: v for m, v in rest.items() if all(m not in finding.slots for finding in cut)}
    others = [] if prepared else _other_patient(whole)
    return [*found, *cut, *others, *_exchanged(rest)]


def _about(
    severity: Severity,
    volumes: Mapping[str, Examined],
    slots: Iterable[str],
    found: str,
    expected: str,
    action: str,
) -> Finding:
    """A finding about some of the volumes."""
    slots = tuple(slots)
    return Finding(
        found=found,
        expected=expected,
        action=action,
        severity=severity,
        slots=slots,
        volumes=tuple(volumes[slot].name for slot in slots),
    )


def _unusable(sequence: str, volume: Examined) -> Iterable[Finding]:
    facts = volume.facts
    if not facts.finite:
        parts = _("NaN or infinite voxels"), _("numbers"), _("repair the volume first")
    elif facts.lowest == facts.highest:
        value = _("the same value ({value}) in all voxels").format(value=f"{facts.lowest:g}")
        parts = value, _("an MRI sequence"), _("choose another volume")
    elif not SMALLEST_RANGE <= facts.highest - facts.lowest <= LARGEST_RANGE:
        values = _("values from {low} to {high}")
        found = values.format(low=f"{facts.lowest:g}", high=f"{facts.highest:g}")
        words = _("a range from {small} to {large}, which 32-bit numbers can standardize")
        expected = words.format(small=f"{SMALLEST_RANGE:g}", large=f"{LARGEST_RANGE:g}")
        parts = found, expected, _("repair or rescale the volume")
    elif facts.background == 0 and facts.foreground < MIN_FOREGROUND_VOXELS:
        count = _("{count} voxels other than 0").format(count=facts.foreground)
        brain = _("a brain of at least {count}").format(count=MIN_FOREGROUND_VOXELS)
        parts = count, brain, _("choose another volume")
    elif facts.values == 2 and facts.lowest == 0:
        value = _("only one value ({value}) beside 0, as in a mask")
        found = value.format(value=f"{facts.highest:g}")
        parts = found, _("an MRI sequence"), _("choose another volume")
    else:
        return
    yield _about(STOP, {sequence: volume}, [sequence], *parts)


def _unlike_an_image(sequence: str, volume: Examined) -> Iterable[Finding]:
    facts = volume.facts
    share = facts.foreground / math.prod(volume.grid.size_xyz)
    if facts.values <= MOST_LABELS:
        words = _("only {count} different values, as in a label map")
        found, expected = words.format(count=facts.values), _("an image")
        action = _("choose the image, or this is used as it is")
    elif share < MIN_FOREGROUND_SHARE:
        words = _("only {share} of the voxels outside the background")
        found = words.format(share=f"{share:.2%}")
        expected = _("at least {share}").format(share=f"{MIN_FOREGROUND_SHARE:.0%}")
        action = _("check that this is the right volume, it is used as it is")
    else:
        return
    yield _about(WARNING, {sequence: volume}, [sequence], found, expected, action)


def _skull(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    ml = {m: v.facts.foreground * v.grid.voxel_volume_ml for m, v in volumes.items()}
    slots = [m for m in volumes if ml[m] > MAX_BRAIN_ML]
    if slots:
        large = _range([ml[m] for m in slots])
        found = _("skull or noise ({volume} mL differ from the background)").format(volume=large)
        expected = _("a brain of at most {volume} mL").format(volume=f"{MAX_BRAIN_ML:.0f}")
        action = _(
            "skull-strip first, nothing is removed here (for example with HD-BET, "
            "in 3D Slicer with HD Brain Extraction)"
        )
        yield _about(WARNING, volumes, slots, found, expected, action)


def _background(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    facts = {m: v.facts for m, v in volumes.items()}
    slots = [m for m, f in facts.items() if f.border_share > 0.5 and f.background != 0]
    if slots:
        value = _range([facts[m].background for m in slots])
        found = _("a background of {value}").format(value=value)
        action = _("set it to 0 first, or it is taken for brain")
        yield _about(WARNING, volumes, slots, found, "0", action)


def _doubles(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    for pair in combinations(volumes, 2):
        if len({volumes[m].facts.digest for m in pair}) == 1:
            parts = _("the same voxels in both"), _("two different sequences")
            action = _("choose another volume, or the result is unreliable")
            yield _about(WARNING, volumes, pair, *parts, action)


def _cut(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    """A field of view that ends inside the brain; where it reaches, the brains are the same."""
    for name, volume in volumes.items():
        others = [
            look
            for m, v in volumes.items()
            if m != name and v.grid.matches(volume.grid) and (look := v.facts.look)
        ]
        if not others or volume.facts.look is None:
            continue
        hidden = contrast.uncovered(volume.facts.look, others)
        share = hidden.sum() / (hidden | volume.facts.look.brain).sum()
        mine, *seen = (contrast.without(look, hidden) for look in (volume.facts.look, *others))
        least = min(contrast.brain_overlap(mine, other) for other in seen)
        if share > MOST_UNCOVERED and least >= MIN_BRAIN_OVERLAP:
            words = _("0 in {share} of the brain that the other sequences show")
            found, expected = words.format(share=f"{share:.0%}"), _("the whole brain")
            action = _("there the result rests on the other sequences, check it")
            yield _about(WARNING, volumes, [name], found, expected, action)


def _other_patient(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    """Skull-stripped volumes of one registered patient have one brain."""
    looks = {m: look for m, v in volumes.items() if (look := v.facts.look)}
    shares: dict[str, list[float]] = {}
    for a, b in combinations(looks, 2):
        if volumes[a].grid.matches(volumes[b].grid):
            share = contrast.brain_overlap(looks[a], looks[b])
            shares.setdefault(a, []).append(share)
            shares.setdefault(b, []).append(share)
    in_order = [m for m in volumes if m in shares]
    outlier = min(in_order, key=lambda m: float(np.mean(shares[m])), default=None)
    if outlier and (least := min(shares[outlier])) < MIN_BRAIN_OVERLAP:
        words = _("a brain that overlaps that of another sequence with a Dice of only {dice}")
        found = words.format(dice=f"{least:.2f}")
        expected = _("more than {dice} in one patient").format(dice=f"{MIN_BRAIN_OVERLAP:g}")
        action = _("check that the volumes are of one patient and registered")
        yield _about(WARNING, volumes, [outlier], found, expected, action)


def _exchanged(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    """All four volumes of a patient tell by their contrast which sequence each is."""
    grids = [volume.grid for volume in volumes.values()]
    looks = {
        m: look for m, v in volumes.items() if (look := v.facts.look) and v.grid.matches(grids[0])
    }
    comparison = contrast.Comparison(looks)
    given = {m: m for m in comparison.keys}
    if len(given) < 4:
        return
    best, lead = comparison.best_order(given, given)
    slots = tuple(key for sequence, key in best.items() if sequence != key)
    if slots and lead >= contrast.MARGIN:
        pairs = ((TITLES[key], TITLES[m]) for m, key in best.items() if m != key)
        like = [_("{title} looks like {other}").format(title=a, other=b) for a, b in pairs]
        found = _("the gray values of other sequences ({pairs})").format(pairs=listed(like))
        action = _("check whether they were exchanged, they are used as given")
        yield _about(WARNING, volumes, slots, found, "", action)


def grid_findings(
    volumes: Mapping[str, Examined], space: TrainingSpace | None, reference: str
) -> list[Finding]:
    """Say how grids suit the model: coarse or thin ones, and what is resampled for the network.

    Args:
        volumes: sequence -> volume that was looked at.
        space: what the network was trained on; None leaves spacings out.
        reference: sequence on whose grid the network's input lies.
    """
    found = [*_tiny(volumes), *_huge(volumes), *_thin(volumes)]
    if space is None:
        return found
    found += _coarse(volumes, space)
    if reference in volumes and space.resamples(grid := volumes[reference].grid):
        wanted = " x ".join("any" if w is None else f"{w:g}" for w in space.spacing_xyz_mm)
        size = _("voxels of {size} mm").format(size=_by(grid.spacing_xyz_mm))
        action = _("the volumes are resampled for the network, its result back onto this grid")
        found.append(_about(NOTE, volumes, [reference], size, f"{wanted} mm", action))
    return found


def _tiny(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    for sequence, volume in volumes.items():
        extents = np.multiply(volume.grid.size_xyz, volume.grid.spacing_xyz_mm)
        if extents.max() < TINY_EXTENT_MM and min(volume.grid.spacing_xyz_mm) < TINY_SPACING_MM:
            found = _("an extent of {size} mm").format(size=_by(extents))
            expected = _("a head of more than 100 mm")
            action = _("check whether the header gives centimeters or meters")
            yield _about(STOP, volumes, [sequence], found, expected, action)


def _huge(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    """Resampling such volumes to 1 mm takes all memory there is."""
    for sequence, volume in volumes.items():
        spacing = volume.grid.spacing_xyz_mm
        extents = np.multiply(volume.grid.size_xyz, spacing)
        if max(spacing) > MAX_SPACING_MM and max(extents) > MAX_EXTENT_MM:
            found = _("voxels of {size} mm").format(size=_by(spacing))
            expected = _("at most {size} mm").format(size=f"{MAX_SPACING_MM:g}")
            action = _("check the voxel size and its unit in the header")
            yield _about(STOP, volumes, [sequence], found, expected, action)


def _thin(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    extents = {m: np.multiply(v.grid.size_xyz, v.grid.spacing_xyz_mm) for m, v in volumes.items()}
    slots = [m for m in volumes if extents[m].min() < MIN_EXTENT_MM]
    if slots:
        thin = _range([extents[m].min() for m in slots])
        found = _("a thickness of {size} mm").format(size=thin)
        expected = _("a brain of more than 100 mm")
        action = _("choose whole volumes, or only this part is segmented")
        yield _about(WARNING, volumes, slots, found, expected, action)


def _coarse(volumes: Mapping[str, Examined], space: TrainingSpace) -> Iterable[Finding]:
    limits = [
        (wanted or 1.0) * ratio
        for wanted, ratio in zip(
            space.spacing_xyz_mm, (MAX_IN_PLANE_RATIO,) * 2 + (MAX_SLICE_RATIO,), strict=True
        )
    ]
    spacings = {m: space.oriented(v.grid).spacing_xyz_mm for m, v in volumes.items()}
    slots = [m for m in volumes if np.any(np.greater(spacings[m], limits))]
    if slots:
        sizes = ", ".join(dict.fromkeys(_by(spacings[m]) for m in slots))
        words = _("voxels of {size} mm ({orientation})")
        found = words.format(size=sizes, orientation=space.orientation)
        expected = _("at most {size} mm").format(size=_by(limits))
        action = _("choose thin slices, or the result is coarse")
        yield _about(WARNING, volumes, slots, found, expected, action)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"


def _by(values: Iterable[float]) -> str:
    return " x ".join(f"{v:.3g}" for v in values)
