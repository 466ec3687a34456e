"""What `configs/inference.json` of a model folder names, so that MONAI's bundle runner segments.

The transforms take the steps of `Segmenter` (`volume_steps`), so the label maps are the same.
Between them a case is a dictionary of tensors and its name, which a data loader can collate.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform

from scripted_models.bundle.description import parse_description
from scripted_models.bundle.model_folders import MODEL_JSON, WEIGHTS, verify_files
from scripted_models.bundle.weights import Model, assemble_model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels
from scripted_models.labels import CODINGS, encode_labels
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.runtime.atomic_files import make_folder
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.segmentation.result_folders import SEGMENTATION
from scripted_models.segmentation.volume_steps import (
    NetworkInput,
    decide,
    look_at_case,
    prepare,
    to_input_grid,
)

Data = Mapping[Any, Any]
_log = logging.getLogger(__name__)


def read_model(bundle_root: str, network: SegmentationNetwork) -> Model:
    """Return the model of a bundle around the network that MONAI builds and loads.

    Args:
        bundle_root: the model folder.
        network: as its description says.

    Raises:
        ModelError: a file is missing, damaged or says what cannot be.
    """
    folder = Path(bundle_root).absolute()
    files = verify_files(folder, (MODEL_JSON,))
    description = parse_description(files.contents[MODEL_JSON], folder / MODEL_JSON)
    return assemble_model(folder, description, network, files.checksums[WEIGHTS])


def case_items(dataset_dir: str) -> list[dict[str, Case]]:
    """Return the items of a data set, one for each case that a folder is or holds.

    Raises:
        InputError: the folder does not exist or holds no case.
    """
    return [{"image": case} for case in find_cases(Path(dataset_dir))]


class LoadCased(MapTransform):
    """Read the images of a case.

    Args:
        model: that will segment it.
        keys: 'image', which holds a `Case`, or the path of a folder with one case.
    """

    def __init__(self, model: Model, keys: Sequence[str] = ("image",)):
        super().__init__(keys)
        self.model = model

    def __call__(self, data: Data) -> dict[str, Any]:
        """Return the name of the case, its images, the brain and the grid that they lie on.

        Raises:
            InputError: images missing, damaged, of no use or on different grids.
            ResourceError: too little memory.
        """
        case = _only_case(data["image"])
        images = read_on_one_grid(case, self.model.description.needs_one_of)
        volumes = look_at_case(case, images, self.model)
        for finding in volumes.findings:
            _log.warning("%s: %s", case.name, finding.sentence)
        brain = torch.from_numpy(volumes.brain)
        return {"case": case.name, "images": images, "head": brain, "grid": _numbers(volumes.grid)}


class PrepareCased(MapTransform):
    """Bring the images into the training space of a model and preprocess them.

    Args:
        model: that will segment them.
        keys: 'images', as `LoadCased` gives them.
    """

    def __init__(self, model: Model, keys: Sequence[str] = ("images",)):
        super().__init__(keys)
        self.model = model

    def __call__(self, data: Data) -> dict[str, Any]:
        """Return 'image' (C, z, y, x), 'brain' (1, z, y, x), and where they lie.

        Raises:
            InputError: volumes of another spacing, for a model that resamples its logits.
        """
        seen = prepare(data["images"], self.model)
        if seen.change is not None:
            mm = " x ".join(f"{step:.3g}" for step in seen.grid.spacing_xyz_mm)
            wanted = " x ".join(f"{step:.3g}" for step in seen.change.after_zyx_mm[::-1])
            raise InputError(
                found=f"voxels of {mm} mm",
                expected=f"{wanted} mm, as MONAI's runner does not resample logits",
                action="use scripted-models segment",
            )
        return {
            **{key: value for key, value in data.items() if key != "images"},
            "image": torch.from_numpy(seen.image),
            "brain": torch.from_numpy(seen.brain)[None],
            "corner": torch.tensor(seen.corner),
            "seen_grid": _numbers(seen.grid),
        }


class ToInputGridd(MapTransform):
    """Refine the probabilities that the network gave and bring them onto the grid of the images.

    Args:
        model: whose network it was.
        keys: 'pred', the probabilities.
    """

    def __init__(self, model: Model, keys: Sequence[str] = ("pred",)):
        super().__init__(keys)
        self.model = model

    def __call__(self, data: Data) -> dict[str, Any]:
        """Return the dictionary with 'pred' float32 (classes, z, y, x) on that grid."""
        z, y, x = data["corner"].tolist()
        brain = _array(data["brain"])[0]
        seen = NetworkInput(_array(data["image"]), brain, (z, y, x), _grid(data["seen_grid"]))
        found = to_input_grid(_array(data["pred"]), seen, _grid(data["grid"]), self.model)
        return {**data, "pred": torch.from_numpy(found)}


class DecideLabelsd(MapTransform):
    """Make labels of probabilities, with the decision and the postprocessing of a model.

    Args:
        model: the model.
        keys: 'pred', the probabilities on the grid of the images.
    """

    def __init__(self, model: Model, keys: Sequence[str] = ("pred",)):
        super().__init__(keys)
        self.model = model

    def __call__(self, data: Data) -> dict[str, Any]:
        """Return the dictionary with 'pred' uint8 (1, z, y, x), internal labels."""
        grid = _grid(data["grid"])
        labels = decide(_array(data["pred"]), _array(data["head"]), grid, self.model).labels
        return {**data, "pred": torch.from_numpy(labels)[None]}


class SaveLabelsd(MapTransform):
    """Write the label map as `scripted-models segment` does: OUTPUT/CASE/segmentation.nii.gz.

    Args:
        output_dir: folder that receives a folder of each case.
        coding: of the labels, a name in `CODINGS`.
        keys: 'pred', the labels.

    Raises:
        KeyError: an unknown coding.
    """

    def __init__(self, output_dir: str, coding: str = "internal", keys: Sequence[str] = ("pred",)):
        super().__init__(keys)
        self.output_dir, self.coding = Path(output_dir), CODINGS[coding]

    def __call__(self, data: Data) -> dict[str, Any]:
        """Return the dictionary as it is.

        Raises:
            ResourceError: the file cannot be written.
        """
        path = make_folder(self.output_dir / data["case"]) / SEGMENTATION
        labels = encode_labels(_array(data["pred"])[0], self.coding)
        write_labels(path, labels, _grid(data["grid"]))
        _log.info("wrote %s", path)
        return dict(data)


def _only_case(source: Case | Path | str) -> Case:
    if isinstance(source, Case):
        return source
    cases = find_cases(Path(source))
    if len(cases) > 1:
        raise InputError(
            found=f"{len(cases)} cases",
            expected="one",
            action="name the folder of a single case",
            path=source,
        )
    return cases[0]


def _numbers(grid: Grid) -> torch.Tensor:
    """Return a grid as 18 numbers, float64."""
    parts = (grid.size_xyz, grid.spacing_xyz_mm, grid.origin_lps_mm, grid.direction)
    return torch.tensor([number for part in parts for number in part], dtype=torch.float64)


def _grid(numbers: torch.Tensor) -> Grid:
    """Return the grid that `_numbers` made numbers of."""
    nx, ny, nz, sx, sy, sz, ox, oy, oz, *direction = numbers.tolist()
    return Grid((int(nx), int(ny), int(nz)), (sx, sy, sz), (ox, oy, oz), tuple(direction))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
