"""Task01 of the Medical Segmentation Decathlon: 4-D images, channels named in dataset.json."""

import os
import re
from pathlib import Path

from scripted_models.cases.case import Case, ImageSource
from scripted_models.cases.sequence_names import sequence_from_name
from scripted_models.errors import InputError
from scripted_models.images.volume_files import volume_stem
from scripted_models.labels import CODINGS
from scripted_models.runtime.structured_text import read_json


def find_msd_cases(folder: Path) -> list[tuple[Path, Case]]:
    """Find the cases of data sets that are a folder or its children.

    Returns:
        Folder and case; the channels have the order of dataset.json (FLAIR, T1w, t1gd, T2w).

    Raises:
        InputError: a dataset.json without channels.
    """
    if not _is_msd(folder):
        children = [p for p in sorted(folder.iterdir()) if _is_msd(p)]
        return [found for child in children for found in find_msd_cases(child)]
    channels = _msd_channels(folder / "dataset.json")
    found: list[tuple[Path, Case]] = []
    for part in ("imagesTr", "imagesTs") if channels else ():
        for path in sorted((folder / part).glob("*.nii*")):
            if path.name.startswith(".") or re.search(r"_\d{4}$", volume_stem(path)):
                continue  # resource forks of the archive; 3-D channels of nnU-Net
            truth = folder / "labelsTr" / path.name
            images = {m: ImageSource(path, channel) for m, channel in channels.items()}
            has_truth = part == "imagesTr" and truth.is_file()
            case = Case(volume_stem(path), images, truth if has_truth else None, CODINGS["msd"])
            found.append((path.parent, case))
    return found


def _is_msd(folder: Path) -> bool:
    parts = [os.path.join(folder, part) for part in ("imagesTr", "imagesTs")]
    return os.path.isfile(os.path.join(folder, "dataset.json")) and any(map(os.path.isdir, parts))


def _msd_channels(description: Path) -> dict[str, int]:
    try:
        content = read_json(description)
        stated = content.get("modality", content.get("channel_names"))
        named = [(sequence_from_name(str(name)), int(i)) for i, name in stated.items()]
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            found=f"no table of channels ({error})",
            expected="'modality' with channel numbers and names",
            action="restore the file of the data set",
            path=description,
        ) from error
    return {sequence: channel for sequence, channel in named if sequence}
