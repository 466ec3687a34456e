"""Signal of the phantom in the four sequences, with the faults of real scans.

The means follow BraTS cases: brain-wide z-scores of tissue and tumor labels. So does the ratio of
mean to standard deviation in the brain: about 4.5 in T1, 3 in T2 and FLAIR. Seeds differ.
"""

from dataclasses import dataclass

import numpy as np

from scripted_models.cases.phantom.anatomy import Tissue
from scripted_models.cases.phantom.noise import Noise
from scripted_models.cases.phantom.shapes import cover
from scripted_models.sequences import SEQUENCES

# Signal relative to the mean of the brain; labels 1-4 as in `labels.LABELS`.
_SIGNAL = {
    #        csf   gray  white  necrosis edema non-enh. enhancing
    "t1": (0.34, 0.94, 1.16, 0.74, 0.88, 0.85, 0.91),
    "t1c": (0.42, 0.95, 1.11, 0.80, 0.87, 0.89, 1.38),
    "t2": (2.80, 0.97, 0.79, 2.30, 1.85, 1.72, 1.82),
    "flair": (0.26, 1.05, 0.92, 1.38, 1.52, 1.42, 1.52),
}
_TISSUE_SPREAD = 0.03
_TUMOR_SPREAD = {"t1": 0.05, "t1c": 0.06, "t2": 0.13, "flair": 0.14}
_ROUGHNESS = {  # deviation within labels 1-4, relative
    "t1": (0.10, 0.08, 0.10, 0.10),
    "t1c": (0.15, 0.09, 0.12, 0.20),
    "t2": (0.14, 0.16, 0.14, 0.15),
    "flair": (0.14, 0.17, 0.14, 0.15),
}
# Low grade: factors of necrosis, which is fluid then, and of non-enhancing tumor.
_LOW_GRADE = {
    "t1": ((0.5, 0.9), (0.85, 1.05)),
    "t1c": ((0.5, 0.9), (0.85, 1.0)),
    "t2": ((0.9, 1.2), (0.85, 1.15)),
    "flair": ((0.2, 0.8), (0.75, 1.1)),
}
_TEXTURE = {"t1": 0.03, "t1c": 0.03, "t2": 0.06, "flair": 0.05}
_MEAN_SCALE = {"t1": (200, 1400), "t1c": (150, 1200), "t2": (150, 900), "flair": (120, 700)}
_SLICE_MM = {"t1": (1, 1.5), "t1c": (1, 1.5), "t2": (1, 5), "flair": (1, 5)}  # slice thickness
_BLUR_MM = 0.6  # standard deviation of the scanner's blur and of resampling


@dataclass(frozen=True)
class Scene:
    """What there is to scan, at the n points of the brain.

    Attributes:
        points: (3, n) float32 mm.
        index: (3, n) voxel indices z, y, x within the box.
        shape: shape (z, y, x) of the box.
        spacing_xyz_mm: spacing of the box.
        tissue: healthy tissue.
        labels: (n,) uint8 tumor labels.
        strength: (n,) float32, 1 in the tumor, falling toward the edge of the edema.
    """

    points: np.ndarray
    index: tuple[np.ndarray, ...]
    shape: tuple[int, int, int]
    spacing_xyz_mm: tuple[float, float, float]
    tissue: Tissue
    labels: np.ndarray
    strength: np.ndarray


class Scanner:
    """Random contrasts, bias fields, scales and noise levels of one examination.

    Args:
        rng: draws what belongs to the examination; `noise_rng` draws the noise of each voxel.
        low_grade: as for `phantom_case.make_phantom`.
    """

    def __init__(
        self, rng: np.random.Generator, noise_rng: np.random.Generator, low_grade: bool = False
    ):
        self.noise_rng = noise_rng
        self.signal = {name: _jitter(rng, name) for name in SEQUENCES}
        self.scale = {m: float(np.exp(rng.uniform(*np.log(_MEAN_SCALE[m])))) for m in SEQUENCES}
        self.noise_level = {m: rng.uniform(0.012, 0.045) for m in SEQUENCES}
        self.bias_level = {m: rng.uniform(0.02, 0.07) for m in SEQUENCES}
        self.slice_mm = {m: rng.uniform(*_SLICE_MM[m]) for m in SEQUENCES}
        self.slice_axis = {m: int(rng.choice(3, p=(0.8, 0.1, 0.1))) for m in SEQUENCES}
        self.caps, self.vessels = rng.uniform(0.1, 0.6), rng.uniform(0.4, 1.2)
        self.bias = {m: Noise(rng, 60) for m in SEQUENCES}
        self.patches, self.grain, self.specks = Noise(rng, 9), Noise(rng, 4), Noise(rng, 3)
        if low_grade:
            for name in SEQUENCES:
                self.signal[name][[3, 5]] *= [rng.uniform(*bounds) for bounds in _LOW_GRADE[name]]

    def scan(self, scene: Scene) -> dict[str, np.ndarray]:
        """Return the four volumes of the box, float32 (z, y, x), positive in the brain only."""
        patches, grain = self.patches(scene.points), self.grain(scene.points)
        volumes = {}
        for name in SEQUENCES:
            values = self._ideal(name, scene, patches, grain)
            self._add_distractors(name, scene, values, patches)
            values = self._blur(name, scene, values)
            values *= np.exp(self.bias_level[name] * self.bias[name](scene.points))
            values = self._rician(values, self.noise_level[name]) * self.scale[name]
            volumes[name] = np.zeros(scene.shape, np.float32)
            volumes[name][scene.index] = np.maximum(values, 1)
        return volumes

    def _ideal(self, name: str, scene: Scene, patches: np.ndarray, grain: np.ndarray) -> np.ndarray:
        """Return the signal without blur, bias and noise."""
        csf, gray, white, *tumor = self.signal[name]
        tissue = scene.tissue
        values = white + tissue.gray * (gray - white) + tissue.csf * (csf - white)
        values *= 1 + _TEXTURE[name] * (0.5 * patches + 0.5 * grain) * (1 - tissue.csf)
        table = np.array([0, *tumor], np.float32)
        rough = np.array([0, *_ROUGHNESS[name]], np.float32)[scene.labels]
        lesion = table[scene.labels] * (1 + rough * np.clip(0.8 * patches + 0.6 * grain, -2.5, 2.5))
        return np.where(scene.labels > 0, values + scene.strength * (lesion - values), values)

    def _add_distractors(
        self, name: str, scene: Scene, values: np.ndarray, patches: np.ndarray
    ) -> None:
        """Add what is bright without being tumor: caps and foci in FLAIR, vessels in T1c."""
        tissue, free = scene.tissue, scene.labels == 0
        if name in ("flair", "t2"):
            near = np.exp(-np.clip(tissue.ventricle_mm, 0, None) / 3) * np.clip(0.6 + patches, 0, 2)
            focus = cover(patches - 2.7, 0.6) * (tissue.depth_mm > 12)
            solid = free * (1 - tissue.csf) * (0.4 if name == "t2" else 1)
            values += solid * (self.caps * near + 0.5 * focus)
        if name == "t1c":
            specks = self.specks(scene.points)
            sinus = (tissue.midline_mm < 2) & (tissue.depth_mm < 4) & (scene.points[2] > 70)
            vessel = (tissue.csf > 0.35) & (specks > 1.7) & (tissue.ventricle_mm > 3)
            plexus = (tissue.ventricle_mm < 0) & (specks > 0.9) & (scene.points[1] > 140)
            values += self.vessels * free * (sinus | vessel | plexus)

    def _blur(self, name: str, scene: Scene, values: np.ndarray) -> np.ndarray:
        """Blur as the scanner does: a little everywhere, more across thick slices."""
        box = np.full(scene.shape, np.float32(values.mean()))
        box[scene.index] = values
        for axis in range(3):
            spacing = scene.spacing_xyz_mm[2 - axis]
            thick = self.slice_mm[name] if axis == self.slice_axis[name] else 0
            variance = (_BLUR_MM**2 + thick**2 / 12) / spacing**2
            passes = int(np.ceil(variance / 0.5))
            for _ in range(passes):
                box = _blur_once(box, axis, variance / passes / 2)
        return box[scene.index]

    def _rician(self, values: np.ndarray, level: float) -> np.ndarray:
        """Return the magnitude of the signal with Gaussian noise in both channels."""
        noise = self.noise_rng.standard_normal((2, len(values)), dtype=np.float32)
        noise *= np.float32(level)
        return np.hypot(values + noise[0], noise[1])


def _jitter(rng: np.random.Generator, name: str) -> np.ndarray:
    """Return the contrasts of one sequence with the spread between patients."""
    spread = np.array([_TISSUE_SPREAD] * 3 + [_TUMOR_SPREAD[name]] * 4)
    return np.array(_SIGNAL[name]) * np.exp(spread * np.clip(rng.standard_normal(7), -1.8, 1.8))


def _blur_once(box: np.ndarray, axis: int, weight: float) -> np.ndarray:
    """Average along one axis with weights (w, 1 - 2 w, w); the ends are repeated."""
    box = np.moveaxis(box, axis, 0)
    out = box * np.float32(1 - 2 * weight)
    out[1:] += np.float32(weight) * box[:-1]
    out[:-1] += np.float32(weight) * box[1:]
    out[0] += np.float32(weight) * box[0]
    out[-1] += np.float32(weight) * box[-1]
    return np.moveaxis(out, 0, axis)
