"""What can be wrong with volumes before a network sees them: one look at the voxels, findings in words.

Command line and Slicer module tell the user the same with these functions. The network expects what
BraTS delivers: brain only, background exactly 0, about 1 mm.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.images import contrast
from scripted_models.images.training_space import TrainingSpace

STOP, WARNING, NOTE = "stop", "warning", "note"

# The 30 skull-stripped BraTS cases at hand hold 1201 to 1747 mL of non-zero voxels.
MAX_BRAIN_ML = 2000.0
MIN_FOREGROUND_VOXELS = 100  # what preprocessing asks for
MIN_FOREGROUND_SHARE = 0.01  # of the field of view; a newborn's brain in a cube of 256 mm has 2 %
MIN_EXTENT_MM = 40.0
TINY_EXTENT_MM, TINY_SPACING_MM = 30.0, 0.25  # a head whose header has no millimeters
MAX_IN_PLANE_RATIO = 1.5  # of the training spacing
MAX_SLICE_RATIO = 3.0
MIN_BRAIN_OVERLAP = (
    0.97  # Dice; 0.98 to 1 between sequences of those 30, 0.96 at most between patients
)
MOST_LABELS = 10  # an image has more different values
SAMPLED_VOXELS = 1 << 16  # in which different values are counted


@dataclass(frozen=True)
class Finding:
    """Something about the chosen volumes that the user should know.

    Attributes:
        severity: 'stop' (cannot be run), 'warning' (the result may be wrong) or 'note' (will be handled).
        slots: sequences concerned.
        text: what was found, a clause that names the volume.
        action: what will be done about it, or what the user should do.
    """

    severity: str
    slots: tuple[str, ...]
    text: str
    action: str

    @property
    def sentence(self) -> str:
        """Finding and action as one sentence."""
        return f"{self.text}; {self.action}."


@dataclass(frozen=True)
class VoxelFacts:
    """What one look at the voxels of a volume tells; see `look_at`.

    Attributes:
        finite: False with NaN or infinite voxels; the other facts are empty then.
        lowest: lowest value.
        highest: highest value.
        background: most frequent value at the six faces.
        border_share: share of the faces that has it.
        foreground: number of voxels that differ from it.
        box: first and last index of the foreground along z, y, x; None without foreground.
        values: different values in a sample of the voxels.
        digest: equal for equal voxels, whatever their type.
        look: the volume made small; None unless it is skull-stripped.
    """

    finite: bool
    lowest: float = np.nan
    highest: float = np.nan
    background: float = np.nan
    border_share: float = 0.0
    foreground: int = 0
    box: tuple[tuple[int, int], ...] | None = None
    values: int = 0
    digest: str = ""
    look: contrast.Look | None = field(default=None, compare=False)


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


def look_at(array: np.ndarray) -> VoxelFacts:
    """Look once at all voxels; about 0.1 s for 240 x 240 x 155.

    Args:
        array: numbers (z, y, x), any type, at least one voxel.
    """
    lowest, highest = float(array.min()), float(array.max())  # NaN wins in both
    if not np.isfinite([lowest, highest]).all():
        return VoxelFacts(finite=False)
    border = np.concatenate([np.take(array, i, k).ravel() for k in range(3) for i in (0, -1)])
    values, counts = np.unique(border, return_counts=True)
    background, most = values[counts.argmax()], counts.max()
    mask = array != background
    step = max(1, array.size // SAMPLED_VOXELS) | 1  # odd, so that it does not follow the rows
    return VoxelFacts(
        True,
        lowest,
        highest,
        float(background),
        float(most / border.size),
        int(np.count_nonzero(mask)),
        _box(mask),
        len(np.unique(array.reshape(-1)[::step])),
        _digest(array),
        contrast.look_at(array),
    )


def _box(mask: np.ndarray) -> tuple[tuple[int, int], ...] | None:
    plane = mask.any(axis=0)
    along = (mask.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0))
    found = [np.flatnonzero(line) for line in along]
    return tuple((int(f[0]), int(f[-1])) for f in found) if len(found[0]) else None


def _digest(array: np.ndarray) -> str:
    total = hashlib.blake2b(str(array.shape).encode(), digest_size=16)
    for plane in array:
        total.update(np.ascontiguousarray(plane, np.float32))
    return total.hexdigest()


def voxel_findings(volumes: Mapping[str, Examined]) -> list[Finding]:
    """Say what the voxels of volumes tell: not finite, constant, empty, skull, label maps, doubles.

    Args:
        volumes: sequence -> volume that was looked at.
    """
    found = [f for sequence, volume in volumes.items() for f in _unusable(sequence, volume)]
    stopped = {slot for finding in found for slot in finding.slots}
    rest = {m: volume for m, volume in volumes.items() if m not in stopped}
    found += [f for sequence, volume in rest.items() for f in _unlike_an_image(sequence, volume)]
    found += [*_skull(rest), *_background(rest), *_doubles(rest)]
    doubtful = {slot for finding in found for slot in finding.slots}
    rest = {m: volume for m, volume in rest.items() if volume.facts.look and m not in doubtful}
    return [*found, *_other_patient(rest), *_exchanged(rest)]


def _unusable(sequence: str, volume: Examined) -> Iterable[Finding]:
    facts = volume.facts
    if not facts.finite:
        text, action = "holds NaN or infinite voxels", "repair it first"
    elif facts.lowest == facts.highest:
        text, action = f"is constant ({facts.lowest:g})", "choose an MRI sequence"
    elif facts.background == 0 and facts.foreground < MIN_FOREGROUND_VOXELS:
        text = (
            f"has {facts.foreground} voxels that differ from 0, expected a brain of at least "
            f"{MIN_FOREGROUND_VOXELS}"
        )
        action = "choose another volume"
    else:
        return
    yield Finding(STOP, (sequence,), f"{volume.name} {text}", action)


def _unlike_an_image(sequence: str, volume: Examined) -> Iterable[Finding]:
    facts = volume.facts
    if facts.values <= MOST_LABELS:
        text = f"{volume.name} holds only {facts.values} different values and may be a label map"
        action = "it is used as it is; choose the image if this is a segmentation or mask"
        yield Finding(WARNING, (sequence,), text, action)
    elif (share := facts.foreground / np.prod(volume.grid.size_xyz)) < MIN_FOREGROUND_SHARE:
        text = f"{volume.name} is nearly empty: {share:.2%} of it differ from its background"
        yield Finding(
            WARNING, (sequence,), text, "it is used as it is; check that it is the right one"
        )


def _skull(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    ml = {m: v.facts.foreground * v.grid.voxel_volume_ml for m, v in volumes.items()}
    slots = [m for m in volumes if ml[m] > MAX_BRAIN_ML]
    if slots:
        large = _range([ml[m] for m in slots])
        text = (
            f"{_names(volumes, slots)}: {large} mL differ from the background, a brain has at most "
            f"{MAX_BRAIN_ML:.0f} mL, so skull or noise is still there"
        )
        action = (
            "nothing is removed and the result will be unreliable, skull-strip first (for example "
            "with HD-BET; in 3D Slicer the extension HD Brain Extraction)"
        )
        yield Finding(WARNING, tuple(slots), text, action)


def _background(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    facts = {m: v.facts for m, v in volumes.items()}
    slots = [m for m, f in facts.items() if f.border_share > 0.5 and f.background != 0]
    if slots:
        text = (
            f"{_names(volumes, slots)}: the background is "
            f"{_range([facts[m].background for m in slots])}, expected 0"
        )
        action = "it will be taken for brain, set it to 0 first"
        yield Finding(WARNING, tuple(slots), text, action)


def _doubles(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    for pair in combinations(volumes, 2):
        if len({volumes[m].facts.digest for m in pair}) == 1:
            text = f"{_names(volumes, pair)} hold the same voxels"
            action = "the result will be unreliable, choose two different sequences"
            yield Finding(WARNING, pair, text, action)


def _other_patient(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    """Skull-stripped volumes of one registered patient have one brain."""
    shares = {m: [] for m in volumes}
    for a, b in combinations(volumes, 2):
        if volumes[a].grid.matches(volumes[b].grid):
            share = contrast.brain_overlap(volumes[a].facts.look, volumes[b].facts.look)
            shares[a].append(share)
            shares[b].append(share)
    shares = {m: found for m, found in shares.items() if found}
    outlier = min(shares, key=lambda m: np.mean(shares[m]), default=None)
    if outlier and (least := min(shares[outlier])) < MIN_BRAIN_OVERLAP:
        text = (
            f"{volumes[outlier].name}: its brain covers that of another sequence with a Dice of {least:.2f} "
            f"only, brains of one patient do with more than {MIN_BRAIN_OVERLAP:g}"
        )
        action = "it is used as it is, check that the volumes are of one patient and registered"
        yield Finding(WARNING, (outlier,), text, action)


def _exchanged(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    """All four volumes of a patient tell by their contrast which sequence each is."""
    first = next(iter(volumes.values()), None)
    looks = {m: v.facts.look for m, v in volumes.items() if v.grid.matches(first.grid)}
    comparison = contrast.Comparison(looks)
    given = {m: m for m in comparison.keys}
    if len(given) < 4:
        return
    best, lead = comparison.best_order(given, given)
    slots = tuple(key for sequence, key in best.items() if sequence != key)
    if slots and lead >= contrast.MARGIN:
        like = [f"what is given as {key} looks like {m}" for m, key in best.items() if m != key]
        action = "they are used as they were given; check whether they were exchanged"
        yield Finding(WARNING, slots, f"By the gray values {listed(like)}", action)


def grid_findings(
    volumes: Mapping[str, Examined], space: TrainingSpace | None, reference: str
) -> list[Finding]:
    """Say how grids suit the model: coarse or thin ones, and what is resampled for the network.

    Args:
        volumes: sequence -> volume that was looked at.
        space: what the network was trained on; None leaves spacings out.
        reference: sequence on whose grid the network's input lies.
    """
    found = [*_tiny(volumes), *_thin(volumes)]
    if space is None:
        return found
    found += _coarse(volumes, space)
    if reference in volumes and space.resamples(grid := volumes[reference].grid):
        wanted = " x ".join("any" if w is None else f"{w:g}" for w in space.spacing_xyz_mm)
        text = (
            f"The voxels of {volumes[reference].name} measure {_by(grid.spacing_xyz_mm)} mm, "
            f"the network expects {wanted} mm"
        )
        action = "the volumes are resampled for the network and its result back onto this grid"
        found.append(Finding(NOTE, (reference,), text, action))
    return found


def _tiny(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    for sequence, volume in volumes.items():
        extents = np.multiply(volume.grid.size_xyz, volume.grid.spacing_xyz_mm)
        if extents.max() < TINY_EXTENT_MM and min(volume.grid.spacing_xyz_mm) < TINY_SPACING_MM:
            text = f"{volume.name} measures {_by(extents)} mm, expected a head of more than 100 mm"
            action = "check whether its header gives centimeters or meters"
            yield Finding(STOP, (sequence,), text, action)


def _thin(volumes: Mapping[str, Examined]) -> Iterable[Finding]:
    extents = {m: np.multiply(v.grid.size_xyz, v.grid.spacing_xyz_mm) for m, v in volumes.items()}
    slots = [m for m in volumes if extents[m].min() < MIN_EXTENT_MM]
    if slots:
        thin = _range([extents[m].min() for m in slots])
        text = f"{_names(volumes, slots)}: only {thin} mm thick, a brain has more than 100 mm"
        action = "the part is segmented as it is, choose whole volumes if there are any"
        yield Finding(WARNING, tuple(slots), text, action)


def _coarse(volumes: Mapping[str, Examined], space: TrainingSpace) -> Iterable[Finding]:
    limits = [
        (wanted or 1.0) * ratio
        for wanted, ratio in zip(
            space.spacing_xyz_mm, (MAX_IN_PLANE_RATIO,) * 2 + (MAX_SLICE_RATIO,), strict=True
        )
    ]
    spacings = {m: _oriented_spacing(v.grid, space.orientation) for m, v in volumes.items()}
    slots = [m for m in volumes if np.any(np.greater(spacings[m], limits))]
    if slots:
        sizes = ", ".join(dict.fromkeys(_by(spacings[m]) for m in slots))
        text = (
            f"{_names(volumes, slots)}: voxels of {sizes} mm ({space.orientation}), the model expects "
            f"at most {_by(limits)} mm"
        )
        action = "missing detail is not restored and the result will be coarse, prefer thin slices"
        yield Finding(WARNING, tuple(slots), text, action)


def _oriented_spacing(grid: Grid, orientation: str) -> tuple[float, ...]:
    blank = sitk.Image([1, 1, 1], sitk.sitkUInt8)
    blank.SetSpacing(grid.spacing_xyz_mm)
    blank.SetDirection(grid.direction)
    return sitk.DICOMOrient(blank, orientation).GetSpacing()


def listed(names: Sequence[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _names(volumes: Mapping[str, Examined], slots: Sequence[str]) -> str:
    return listed([volumes[m].name for m in slots])


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"


def _by(values: Sequence[float]) -> str:
    return " x ".join(f"{v:.3g}" for v in values)
