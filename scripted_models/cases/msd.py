"""Data sets with a dataset.json: the Medical Segmentation Decathlon and nnU-Net's raw layout.

MSD has one 4-D file for each case, nnU-Net a file for each channel (CASE_0000.nii.gz). Channels and
labels are those that dataset.json names.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripted_models.cases.case import Case, ImageSource
from scripted_models.cases.label_statements import DATASET, dataset_coding, read_dataset
from scripted_models.cases.sequence_names import read_name
from scripted_models.errors import InputError
from scripted_models.images.headers import read_header, volume_extension
from scripted_models.images.volume_files import volume_stem
from scripted_models.labels import CODINGS, LabelCoding
from scripted_models.sequences import TITLES

PARTS = {"imagesTr": "labelsTr", "imagesTs": "labelsTs"}  # images -> label maps
_DEPTH = 2  # folders above data sets
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def find_msd_cases(folder: Path) -> list[tuple[Path, Case]]:
    """Find the cases of data sets that are a folder or lie below it.

    Returns:
        Folder and case; the channels have the order of dataset.json (FLAIR, T1w, t1gd, T2w).

    Raises:
        InputError: a dataset.json without channels, or with two of one sequence.
    """
    return [case for data_set in data_sets(folder) for case in _cases(data_set)]


def data_sets(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """Return the folders with dataset.json and images, as far as they lie not too deep."""
    parts = [os.path.join(folder, part) for part in PARTS]
    if os.path.isfile(os.path.join(folder, DATASET)) and any(map(os.path.isdir, parts)):
        return [folder]
    if not depth or not os.access(folder, os.R_OK | os.X_OK):
        return []
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [found for child in inside for found in data_sets(child, depth - 1)]


def refuse_numbered(paths: Iterable[Path], folder: Path) -> None:
    """Raise InputError where volumes are numbered by channel, and nothing names the channels."""
    numbered = [path for path in paths if volume_stem(path).endswith("_0000")]
    if numbered:
        raise InputError(
            found=f"volumes numbered as nnU-Net does (such as {numbered[0].name})",
            expected=f"a {DATASET} beside imagesTr that names the channels",
            action="restore it, or name the files by sequence (t1, t1ce, t2, flair)",
            path=folder,
        )


def _cases(folder: Path) -> list[tuple[Path, Case]]:
    content = read_dataset(folder / DATASET)
    channels = _channels(content, folder / DATASET)
    coding = _coding(content)
    found: list[tuple[Path, Case]] = []
    for part, labels in PARTS.items() if channels else ():
        truths = _volumes(folder / labels)
        for name, files in _by_case(_volumes(folder / part), set(truths)).items():
            case = Case(name, _images(files, channels), truths.get(name), coding)
            found.append((folder / part, case))
    return found


def _volumes(folder: Path) -> dict[str, Path]:
    """Return the volumes of a folder by stem, without resource forks of the archive."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {volume_stem(p): p for p in paths if volume_extension(p) and p.name[0] != "."}


def _by_case(volumes: Mapping[str, Path], truths: set[str]) -> dict[str, dict[int | None, Path]]:
    """Return the files of each case by channel; of a 4-D file that is None."""
    cases: dict[str, dict[int | None, Path]] = defaultdict(dict)
    for stem, path in volumes.items():
        match = _CHANNEL.fullmatch(stem)
        if match and _is_channel(path, match[1], set(volumes), truths):
            cases[match[1]][int(match[2])] = path
        else:
            cases[stem][None] = path
    return cases


def _is_channel(path: Path, case: str, stems: set[str], truths: set[str]) -> bool:
    """Tell CASE_0001 of nnU-Net from BRATS_1000 of MSD."""
    if volume_stem(path) in truths or case in truths:
        return volume_stem(path) not in truths
    try:
        return len(read_header(path).size) < 4
    except InputError:  # shows when it is read
        return f"{case}_0000" in stems


def _images(
    files: Mapping[int | None, Path], channels: Mapping[str, int]
) -> dict[str, ImageSource]:
    if None in files:
        return {m: ImageSource(files[None], channel) for m, channel in channels.items()}
    return {m: ImageSource(files[channel]) for m, channel in channels.items() if channel in files}


def _channels(content: Mapping[str, Any], description: Path) -> dict[str, int]:
    """Return sequence -> channel; channels of other images stay out."""
    try:
        stated = content.get("channel_names", content.get("modality"))
        rows = enumerate(stated) if isinstance(stated, list) else stated.items()
        named = [(read_name(str(name)).sequence, int(index)) for index, name in rows]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            found=f"no table of channels ({error})",
            expected="'modality' or 'channel_names' with channel numbers and names",
            action="restore the file of the data set",
            path=description,
        ) from error
    channels: dict[str, int] = {}
    for sequence, index in named:
        if sequence in channels:
            raise InputError(
                found=f"the channels {channels[sequence]} and {index} both named "
                f"{TITLES[sequence]}",
                expected="one channel for each sequence",
                action="correct the names",
                path=description,
            )
        if sequence:
            channels[sequence] = index
    return channels


def _coding(content: Mapping[str, Any]) -> LabelCoding | None:
    """Return the coding that a data set states, or that of MSD for MSD itself without labels."""
    if "labels" in content:
        return dataset_coding(content)
    return CODINGS["msd"] if str(content.get("name", "")).upper() == "BRATS" else None
