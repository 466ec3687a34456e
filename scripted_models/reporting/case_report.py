"""What the HTML report says about one case: its data, and its section of the page."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from scripted_models.evaluation.metrics import METRICS
from scripted_models.labels import LABELS, REGION_NAMES, REGIONS
from scripted_models.measurement.lesions import SMALLEST_ML
from scripted_models.pictures.panels import LABEL_COLORS
from scripted_models.pictures.render import png_bytes
from scripted_models.reporting.cell_text import (
    UNKNOWN,
    fact_label,
    fact_text,
    known,
    region_title,
    shown,
)

_MEASURABLE_NOTE = (
    "Measurable: both axial diameters at least 10 mm, or twice the distance of slices that lie "
    "more than 5 mm apart, and two slices or more (Wen et al. 2010)."
)
_NECROSIS_NOTES = {
    "excluded": "The lines of the diameters do not cross necrosis, cavities and bays. A rim "
    "that is too thin for a nodule of 10 mm is not measurable.",
    "included": "The lines of the diameters may cross necrosis, cavities and bays.",
}


@dataclass(frozen=True)
class CaseReport:
    """What the report says about one case.

    Attributes:
        name: case name.
        picture: overlay picture, uint8 RGB array (h, w, 3) or the bytes of a PNG file.
        montage: slices through the tumor, likewise.
        volumes_ml: predicted volume in mL by label name and region name.
        measurements: 'measurements' of report.json; the diameters of ET are shown.
        lesions: 'lesions' of report.json.
        metrics: region -> metric name -> value, when the ground truth is known; a `truth_ml` entry
            is shown beside the predicted volume.
        warnings: sentences for the reader.
        facts: name -> text, number or mapping, such as model, device, seconds per stage. Facts that
            are the same for all cases are told once, at the head of the report.
    """

    name: str
    picture: np.ndarray | bytes | None = None
    montage: np.ndarray | bytes | None = None
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    measurements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lesions: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] | None = None
    warnings: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    def value(self, kind: str, region: str) -> float | None:
        """Return a metric, or the predicted volume for kind 'ml', of a region; None if unknown."""
        if kind == "ml":
            return known(self.volumes_ml.get(region))
        return known((self.metrics or {}).get(region, {}).get(kind))

    @property
    def mean_dice(self) -> float | None:
        """Mean Dice over the regions that have one, or None."""
        values = [v for region in REGIONS if (v := self.value("dice", region)) is not None]
        return fmean(values) if values else None


@dataclass(frozen=True)
class Picture:
    """A picture inside the page.

    Attributes:
        source: its PNG file as a data URI.
        caption: a sentence below it.
    """

    source: str
    caption: str


@dataclass(frozen=True)
class VolumeRow:
    """Volumes of a label or a region in mL.

    Attributes:
        title: name for people.
        predicted: volume of the segmentation.
        truth: volume of the ground truth; None when it is not known.
        color: RGB of a label; None for a region.
        is_first_region: a line separates it from the labels.
    """

    title: str
    predicted: float | None
    truth: float | None
    color: tuple[int, int, int] | None = None
    is_first_region: bool = False


@dataclass(frozen=True)
class LesionRow:
    """A lesion as the page sets it.

    Attributes:
        number: from 1.
        volume_ml: its volume.
        side: of the patient, or a dash.
        slices: that it touches.
        diameters: the two of them in mm.
        measurable: yes, or no with the reason.
    """

    number: int
    volume_ml: float
    side: str
    slices: int
    diameters: str
    measurable: str


@dataclass(frozen=True)
class CaseSection:
    """A case as the page sets it.

    Attributes:
        name: heading.
        facts: what is true of this case alone, in one line.
        warnings: sentences.
        planes: picture of three planes.
        volumes: rows of the volume table.
        has_truth: some volume of the ground truth is known.
        diameters: a line below the volumes.
        lesions: rows of the table of lesions.
        lesions_note: sentences below it.
        scores: title of a region, and its values in the order of METRICS.
        montage: picture of axial slices.
    """

    name: str
    facts: str
    warnings: Sequence[str]
    planes: Picture | None
    volumes: list[VolumeRow]
    has_truth: bool
    diameters: str
    lesions: list[LesionRow]
    lesions_note: str
    scores: list[tuple[str, list[float | None]]]
    montage: Picture | None


def case_section(case: CaseReport, told: Mapping[str, object]) -> CaseSection:
    """Return the section of a case; facts in `told` are left out, the page has told them.

    Raises:
        ValueError: a picture is neither a PNG nor a uint8 RGB array.
    """
    own = {name: value for name, value in case.facts.items() if name not in told}
    white = " The white line is the whole tumor (WT) of the ground truth." if case.metrics else ""
    return CaseSection(
        name=case.name,
        facts="; ".join(f"{fact_label(name)}: {fact_text(fact)}" for name, fact in own.items()),
        warnings=case.warnings,
        planes=_picture(case, case.picture, "Planes with most tumor. Patient right is image left."),
        volumes=_volume_rows(case),
        has_truth=any("truth_ml" in row for row in (case.metrics or {}).values()),
        diameters=_diameters(case),
        lesions=[_lesion_row(item) for item in case.lesions.get("items", ())],
        lesions_note=_lesions_note(case.lesions),
        scores=[
            (region_title(region), [known(row.get(metric)) for metric in METRICS])
            for region, row in (case.metrics or {}).items()
        ],
        montage=_picture(case, case.montage, f"Axial slices from inferior to superior.{white}"),
    )


def _picture(case: CaseReport, picture: np.ndarray | bytes | None, caption: str) -> Picture | None:
    if picture is None:
        return None
    data = picture if isinstance(picture, bytes) else png_bytes(picture)
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError(f"picture of case {case.name!r} is not a PNG file")
    return Picture("data:image/png;base64," + base64.b64encode(data).decode("ascii"), caption)


def _volume_rows(case: CaseReport) -> list[VolumeRow]:
    """Return labels, then regions, then what else has a volume."""
    volumes = {name: known(value) for name, value in case.volumes_ml.items()}
    colors = {LABELS[label]: color for label, color in LABEL_COLORS.items()}
    labels = [name for name in colors if name in volumes]
    regions = [region for region in REGIONS if region in volumes]
    others = [name for name in volumes if name not in labels and name not in regions]
    rows = [VolumeRow(name.capitalize(), volumes[name], None, colors[name]) for name in labels]
    for number, name in enumerate(regions + others):
        truth = case.value("truth_ml", name) if name in REGIONS else None
        title = region_title(name) if name in REGIONS else name.capitalize()
        rows.append(VolumeRow(title, volumes[name], truth, is_first_region=not number))
    return rows


def _diameters(case: CaseReport) -> str:
    enhancing = case.measurements.get("ET", {})
    if "longest_mm" not in enhancing:
        return ""
    return f"{region_title('ET')}, axial: {_lengths(enhancing)} mm"


def _lengths(diameters: Mapping[str, Any]) -> str:
    return " x ".join(shown(diameters[name], "mm") for name in ("longest_mm", "perpendicular_mm"))


def _lesion_row(item: Mapping[str, Any]) -> LesionRow:
    return LesionRow(
        item["number"],
        item["volume_ml"],
        item["side"] or UNKNOWN,
        item["slices"],
        _lengths(item["diameters"]),
        "yes" if item["measurable"] else f"no: {item['shortcoming']}",
    )


def _lesions_note(lesions: Mapping[str, Any]) -> str:
    """Say what counts as a lesion, how it was measured, and what was left out."""
    if not lesions or not (lesions["items"] or lesions["left_out"]):
        return ""
    parts = [
        f"Connected parts of the {REGION_NAMES[lesions['region']]}, largest first.",
        _MEASURABLE_NOTE,
        _NECROSIS_NOTES[lesions["necrosis"]],
    ]
    if count := lesions["left_out"]:
        what = "1 part" if count == 1 else f"{count} parts"
        volume = shown(lesions["left_out_ml"], "ml")
        parts += [f"{what} below {SMALLEST_ML} mL, together {volume} mL, left out."]
    return " ".join(parts)
