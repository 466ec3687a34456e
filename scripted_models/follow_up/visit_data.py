"""A visit as it is compared: labels on their own grid, and the head in the same space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.dicom.named_series import named_source
from scripted_models.cases.label_maps import LabelMap, read_labels
from scripted_models.errors import InputError
from scripted_models.follow_up.visit_source import Moment, Told, VisitSource
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.volume_files import read_channel, read_volume
from scripted_models.labels import CAVITY, CODINGS, TUMOR_LABELS, known_regions
from scripted_models.preparation.brain_extraction import brain_of, on_zero, shown_part
from scripted_models.preparation.needs import REFERENCES, is_stripped
from scripted_models.preparation.prepared_files import BRAIN_MASK
from scripted_models.preparation.rigid_registration import Head
from scripted_models.segmentation.result_folders import PREPARED, SEGMENTATION, report_in
from scripted_models.sequences import SEQUENCES

Report = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit.

    Attributes:
        name: as people know it.
        place: folder or label map that was named.
        segmentation: its label map.
        moment: when it was; the day is known.
        told: what the user says about it.
        labels: uint8 (z, y, x), internal labels, on their own grid.
        grid: of the labels.
        regions: that can be told.
        cavity_ml: volume of the resection cavity, which is no part of them; None where the
            segmentation cannot tell it.
        read_head: reads a volume in the space of the labels; gives None where there is none.
        sequence: of that volume; empty where it is not known.
        patient: PatientID of DICOM; empty where it is not known.
        notes: sentences about how it was read.
    """

    name: str
    place: Path
    segmentation: Path
    moment: Moment
    told: Told
    labels: np.ndarray = field(repr=False)
    grid: Grid
    regions: tuple[str, ...]
    cavity_ml: float | None = None
    read_head: Callable[[], Head | None] = lambda: None
    sequence: str = ""
    patient: str = ""
    notes: tuple[str, ...] = ()

    @property
    def day(self) -> int:
        """Day of the visit, counted as in `Moment`."""
        return self.moment.day or 0


def read_visit(source: VisitSource) -> Visit:
    """Read a visit that is segmented.

    Raises:
        InputError: a label map or an image that cannot be read.
    """
    report = report_in(source.folder) if source.folder else None
    path = source.folder / SEGMENTATION if source.folder else source.segmentation
    if path is None:
        raise ValueError(f"{source.name} is not segmented")
    found = read_labels(
        path,
        source.coding,
        lambda: CODINGS["internal"],
        option="the column coding" if source.moment.source == "table" else "--coding",
        predicted=True,
    )
    notes = [source.moment.doubt] if source.moment.doubt else []
    notes += [f"{source.name}: {note}." for note in found.notes]
    known = (report or {}).get("known_labels")
    labels = tuple(known) if isinstance(known, list) else tuple(TUMOR_LABELS)
    regions = tuple(r for r in known_regions(labels) if r in found.coding.regions)
    image, sequence, why = _image(source, report or {}, found.grid)
    if why:
        notes.append(why)
    has_image = image is not None
    del image  # of all visits they would take too much memory
    dicom = (report or {}).get("dicom")
    return Visit(
        name=source.name,
        place=source.place,
        segmentation=path,
        moment=source.moment,
        told=source.told,
        labels=found.labels,
        grid=found.grid,
        regions=regions,
        cavity_ml=_cavity_ml(found, labels if known else ()),
        read_head=partial(_head, source, report or {}, found.grid) if has_image else lambda: None,
        sequence=sequence,
        patient=str(dicom.get("patient_id") or "") if isinstance(dicom, dict) else "",
        notes=tuple(notes),
    )


def _cavity_ml(found: LabelMap, known: tuple[int, ...]) -> float | None:
    """Return the volume of the cavity where the model, the coding or a voxel tells of it."""
    voxels = np.count_nonzero(found.labels == CAVITY)
    stated = CAVITY in known or (found.coding.name != "internal" and found.coding.tells_cavity)
    return voxels * found.grid.voxel_volume_ml if voxels or stated else None


def _head(source: VisitSource, report: Report, grid: Grid) -> Head | None:
    """Return the head of a visit with its brain, as far as that is known without an extractor."""
    image, _, _ = _image(source, report, grid)
    if image is None:
        return None
    image = sitk.Cast(image, sitk.sitkFloat32)
    if is_stripped(image):
        return Head(on_zero(image), brain_of(shown_part(image)), True)
    mask = source.folder / PREPARED / BRAIN_MASK if source.folder else None
    if mask is not None and mask.is_file():
        brain = sitk.Resample(read_volume(mask), image, sitk.Transform(), sitk.sitkNearestNeighbor)
        return Head(image, sitk.Cast(brain > 0, sitk.sitkUInt8))
    return Head(image, None)


def _image(source: VisitSource, report: Report, grid: Grid) -> tuple[sitk.Image | None, str, str]:
    """Return a volume in the space of a visit's labels, its sequence, and a sentence of doubt.

    Raises:
        InputError: an image that the user named cannot be read; one of a report may be gone.
    """
    sequence, image = "", None
    if source.image is not None:
        image = read_volume(source.image)
    elif source.folder is not None:
        try:
            sequence, image = _image_of(source.folder, report)
        except InputError as error:
            return None, "", f"{source.name}: {error} It is taken to lie where its header says."
    if image is None:
        why = "no image for the registration, expected one in the space of the label map"
        return None, "", f"{source.name}: found {why}; it is taken to lie where its header says."
    far = _apart(Grid.of(image), grid)
    why = "" if not far else f"{source.name}: found {far}; check that the image belongs to it."
    return image, sequence, why


def _image_of(folder: Path, report: Report) -> tuple[str, sitk.Image | None]:
    """Return a volume that lies in the space of a result: its sequence, and the volume."""
    inputs, sums = report.get("inputs"), report.get("inputs_sha256")
    if not isinstance(inputs, dict):
        return "", None
    asked, prepared = report.get("prepare"), report.get("preparation")
    wanted = asked.get("result_grid") if isinstance(asked, dict) else ""
    first = prepared.get("reference") if isinstance(prepared, dict) else ""
    order = [wanted] if wanted in SEQUENCES and prepared else [first, *REFERENCES]
    sequence = next((str(m) for m in order if m in inputs), "")
    if not sequence:
        return "", None
    path = Path(str(inputs[sequence]))
    _, _, channel = str(sums.get(sequence) if isinstance(sums, dict) else "").partition(" volume ")
    if channel.isdigit():
        return sequence, read_channel(path, int(channel))
    if "dicom" in report:
        return sequence, named_source(path).read()
    return sequence, read_volume(path)


def _apart(image: Grid, labels: Grid) -> str:
    """Say that an image and a label map lie in different places; empty where they do not."""
    if image.size_xyz == labels.size_xyz:
        return "" if image.matches(labels, HARMLESS_MM) else "an image and a label map on two grids"
    middles = [grid.corners_lps_mm().mean(axis=0) for grid in (image, labels)]
    away = float(np.linalg.norm(np.subtract(*middles)))
    return f"an image whose middle is {away:.0f} mm away from the label map's" if away > 50 else ""
