"""Names of the files of a derivative: entities of the source, then what was made of it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from scripted_models.cases.bids.data_set import BidsName
from scripted_models.cases.case import Case
from scripted_models.images.volume_files import volume_stem
from scripted_models.segmentation.result import Segmentation

TUMOR, LESIONS = "glioma", "lesions"  # labels of the entity `seg`
PICTURES = "docs/pictures"  # BIDS has no suffix for them; what is in docs/ is free
WORKING = "1mm"  # label of the entity `res`, where the result lies on the working grid
_ENDS = r"(?:dseg|probseg|overlay|preparation)\.(?:nii\.gz|json|tsv|png)"


@dataclass(frozen=True)
class DerivativeNames:
    """What all names of a case's results begin with.

    Attributes:
        start: entities of the image on whose grid they lie, "sub-01_ce-gadolinium".
        resolution: label of `res`, or "".
    """

    start: str
    resolution: str = ""

    @classmethod
    def of(cls, case: Case, segmentation: Segmentation) -> "DerivativeNames":
        """Return the names for a segmentation."""
        path = case.images[sequence_of_grid(case, segmentation)].path
        is_working = segmentation.prepared is not None and _grid_asked(segmentation) == "working"
        return cls(BidsName.of(volume_stem(path)).start, WORKING if is_working else "")

    @classmethod
    def of_report(cls, path: Path) -> "DerivativeNames":
        """Return the names of the results that a report lies beside."""
        name = BidsName.of(path.name.removesuffix(".json"))
        others = {k: v for k, v in name.entities.items() if k not in ("seg", "res")}
        return cls(BidsName(others, "").start, name.entities.get("res", ""))

    def file(self, segmentation: str, end: str) -> str:
        """Return a name such as "sub-01_seg-glioma_dseg.nii.gz"."""
        resolution = f"_res-{self.resolution}" if self.resolution else ""
        return f"{self.start}_seg-{segmentation}{resolution}_{end}"

    @property
    def report(self) -> str:
        """Name of the sidecar that holds the report."""
        return self.file(TUMOR, "dseg.json")


def sequence_of_grid(case: Case, segmentation: Segmentation) -> str:
    """Return the sequence on whose grid a result lies; T1c, or the first, where all share one."""
    first = "t1c" if "t1c" in case.images else next(iter(case.images))
    if segmentation.prepared is None:
        return first
    asked = _grid_asked(segmentation)
    return asked if asked in case.images else segmentation.prepared.reference


def own_files(folder: Path, case: Case) -> list[Path]:
    """Return the files of a folder that have a name of the case's results."""
    start = rf"{re.escape(case.name)}(?:_(?!ses-)[a-z]+-[^_.]+)*?_seg-(?:{TUMOR}|{LESIONS})"
    form = rf"{start}(?:_res-[^_.]+)?_{_ENDS}"
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [folder / name for name in names if re.fullmatch(form, name)]


def _grid_asked(segmentation: Segmentation) -> str:
    return segmentation.asked.get("result_grid", "")
