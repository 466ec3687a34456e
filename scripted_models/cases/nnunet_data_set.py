"""Cases as a raw data set of nnU-Net 2, so that they can train elsewhere.

    DatasetNNN_NAME/imagesTr/CASE_0000.nii.gz ... CASE_0003.nii.gz   T1, T1c, T2, FLAIR
    DatasetNNN_NAME/labelsTr/CASE.nii.gz
    DatasetNNN_NAME/imagesTs/...                                     cases without ground truth
    DatasetNNN_NAME/dataset.json

nnU-Net wants labels that count from 0 without a gap. Data sets of 2017 and later have one label for
necrosis and non-enhancing tumor; where a single case has it so, all cases get it so. Files are made
from arrays and grids, so that no header of the volumes comes along.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case
from scripted_models.cases.case_writer import plain_image
from scripted_models.cases.label_statements import DATASET
from scripted_models.cases.msd import PARTS
from scripted_models.errors import InputError, listed
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.volume_files import write_labels, write_volume
from scripted_models.labels import (
    EDEMA,
    ENHANCING,
    LABELS,
    NECROSIS,
    NON_ENHANCING,
    REGION_NAMES,
    REGIONS,
    LabelCoding,
)
from scripted_models.runtime.atomic_files import new_folder
from scripted_models.runtime.progress import Progress
from scripted_models.sequences import SEQUENCES, TITLES

ENDING = ".nii.gz"
_FOLDER = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+")
_TRAINING, _TEST = PARTS
_MERGED = "necrosis and non-enhancing tumor"


@dataclass(frozen=True)
class Coding:
    """How the labels of a data set are numbered there.

    Attributes:
        order: internal labels, in the order of their numbers.
        merged: necrosis stands for non-enhancing tumor as well.
    """

    order: tuple[int, ...]
    merged: bool

    @classmethod
    def of(cls, codings: Sequence[LabelCoding]) -> "Coding":
        """Return the numbers for cases of these codings."""
        merged = any(coding.merged_necrosis for coding in codings)
        known = {label for coding in codings for label in coding.to_internal.values()}
        without = {NON_ENHANCING} if merged else set()
        return cls(tuple(sorted({0, *REGIONS["WT"], *known} - without)), merged)

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Map internal labels to numbers, uint8."""
        table = np.zeros(256, np.uint8)
        for number, label in enumerate(self.order):
            table[label] = number
        if self.merged:
            table[NON_ENHANCING] = table[NECROSIS]
        numbers: np.ndarray = table[labels]
        return numbers

    @property
    def names(self) -> dict[str, int]:
        """Name -> number."""
        names = {**LABELS, **({NECROSIS: _MERGED} if self.merged else {})}
        return {names[label]: number for number, label in enumerate(self.order)}

    def table(self, regions: bool) -> dict[str, Any]:
        """Return what dataset.json says of the labels.

        Args:
            regions: nested regions, which nnU-Net trains with a sigmoid each. With them necrosis
                and non-enhancing tumor are not told apart.
        """
        if not regions:
            return {"labels": self.names}
        inside = {
            REGION_NAMES[region]: [n for n, label in enumerate(self.order) if label in parts]
            for region, parts in REGIONS.items()
        }
        of_none = {0, *REGIONS["WT"]}
        others = {name: n for name, n in self.names.items() if self.order[n] not in of_none}
        drawn = [self.order.index(label) for label in (EDEMA, NECROSIS, ENHANCING)]
        return {
            "labels": {LABELS[0]: 0, **inside, **others},
            "regions_class_order": [*drawn, *others.values()],
        }


@dataclass
class Written:
    """What was written.

    Attributes:
        training: names of the cases with ground truth.
        test: names of those without.
        skipped: name -> why a case is not in it.
        coding: of the labels.
    """

    training: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    skipped: dict[str, InputError] = field(default_factory=dict)
    coding: Coding = Coding((0,), False)


def write_data_set(
    output: Path,
    cases: Sequence[Case],
    progress: Progress,
    chosen: LabelCoding | None = None,
    regions: bool = False,
) -> Written:
    """Write a data set, whole or not at all; cases that cannot be in it are left out.

    Args:
        output: folder to be made, named DatasetNNN_NAME.
        cases: what `find_cases` found.
        progress: told about the share that is done.
        chosen: coding of the ground truths where nothing states it.
        regions: see `Coding.table`.

    Raises:
        InputError: another name, something at `output` already, or no case to train with.
        ResourceError: the folder cannot be written.
    """
    if not _FOLDER.fullmatch(output.name):
        raise InputError(
            found=f"the name '{output.name}' for a data set of nnU-Net",
            expected="DatasetNNN_NAME with three digits, such as Dataset001_BrainTumor",
            action="choose another --output",
        )
    written = Written()
    usable = [case for case in cases if _is_usable(case, chosen, written)]
    codings = [c for case in usable if case.truth and (c := case.truth_coding(chosen))]
    written.coding = Coding.of(codings)
    with new_folder(output) as folder:
        for part in (_TRAINING, _TEST, PARTS[_TRAINING]):
            (folder / part).mkdir()
        for index, case in enumerate(usable):
            try:
                _write_case(folder, case, chosen, written)
            except InputError as error:
                written.skipped[case.name] = error
            progress.update((index + 1) / len(usable))
        _refuse_empty(written)
        table = _dataset_json(written, regions)
        (folder / DATASET).write_text(json.dumps(table, indent=2) + "\n", "utf-8")
    return written


def _is_usable(case: Case, chosen: LabelCoding | None, written: Written) -> bool:
    """Tell whether a case can be in a data set, as far as that is known without its voxels."""
    try:
        case.require_images()
        coding = case.truth_coding(chosen) if case.truth else None
        if coding and len(coding.regions) < len(REGIONS):
            raise InputError(
                found=f"labels that tell {listed(coding.regions) or 'no region'} only",
                expected="those of edema, core and enhancing tumor",
                action="the case is left out",
                path=case.truth,
            )
    except InputError as error:
        written.skipped[case.name] = error
        return False
    return True


def _write_case(folder: Path, case: Case, chosen: LabelCoding | None, written: Written) -> None:
    """Read all of a case, then write it."""
    images = _images(case)
    grid = Grid.of(images[SEQUENCES[0]])
    labels = _labels(case, grid, chosen, written.coding) if case.truth else None
    names = [*written.training, *written.test]
    name = _free(re.sub(r"[^A-Za-z0-9_.-]", "_", case.name), names)
    part = _TEST if labels is None else _TRAINING
    for channel, sequence in enumerate(SEQUENCES):
        write_volume(folder / part / f"{name}_{channel:04}{ENDING}", images[sequence])
    if labels is not None:
        write_labels(folder / PARTS[part] / f"{name}{ENDING}", labels, grid)
    (written.test if labels is None else written.training).append(name)


def _images(case: Case) -> dict[str, sitk.Image]:
    """Return the images on one grid.

    Raises:
        InputError: grids that differ, or a volume that cannot be read.
    """
    images = {}
    for sequence in SEQUENCES:
        read = case.images[sequence].read()
        images[sequence] = plain_image((sitk.GetArrayFromImage(read), Grid.of(read)))
    grid = Grid.of(images[SEQUENCES[0]])
    for sequence, image in images.items():
        if difference := Grid.of(image).difference(grid, HARMLESS_MM):
            raise InputError(
                found=f"another grid than in {case.images[SEQUENCES[0]].title}: {difference}",
                expected="co-registered volumes",
                action="bring them onto one grid with scripted-models prepare",
                path=case.images[sequence].path,
            )
        grid.put_on(image)
    return images


def _labels(case: Case, grid: Grid, chosen: LabelCoding | None, coding: Coding) -> np.ndarray:
    """Return the numbers of the ground truth, uint8 (z, y, x).

    Raises:
        InputError: it cannot be read, or lies elsewhere.
    """
    labels, own = case.read_truth(chosen)
    if difference := own.difference(grid, HARMLESS_MM):
        raise InputError(
            found=f"a ground truth on another grid than the volumes: {difference}",
            expected="one grid",
            action="resample it first",
            path=case.truth,
        )
    return coding.encode(labels)


def _free(name: str, taken: Sequence[str]) -> str:
    """Return a name that no other case has, on file systems without case too."""
    known, number, free = {other.lower() for other in taken}, 1, name
    while free.lower() in known:
        number += 1
        free = f"{name}-{number}"
    return free


def _refuse_empty(written: Written) -> None:
    if not written.training:
        why = "; ".join(f"{name}: {error.found}" for name, error in written.skipped.items())
        raise InputError(
            found=f"no case to train with{f' ({why[:300]})' if why else ''}",
            expected="at least one with four sequences on one grid and a ground truth",
            action="nothing was written",
        )


def _dataset_json(written: Written, regions: bool) -> dict[str, Any]:
    return {
        "channel_names": {str(n): TITLES[sequence] for n, sequence in enumerate(SEQUENCES)},
        **written.coding.table(regions),
        "numTraining": len(written.training),
        "file_ending": ENDING,
        "description": sentence_of(written.coding),
    }


def sentence_of(coding: Coding) -> str:
    """Return one sentence about the labels, for people."""
    named = ", ".join(f"{number} {name}" for name, number in coding.names.items())
    joined = " (one label, as in at least one of the cases)" if coding.merged else ""
    return f"Labels: {named}{joined}."
