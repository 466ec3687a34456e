"""Discovery of BraTS cases in the layouts of 2012 to 2024 and of MSD Task01."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.case_naming import coding_from_name, file_role
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.labels import CODINGS, LabelCoding, decode_labels
from scripted_models.modalities import MODALITIES, modality_from_name
from scripted_models.volumes import (
    read_channel,
    read_label_map,
    read_volume,
    volume_extension,
    volume_stem,
)


@dataclass(frozen=True)
class ImageSource:
    """Where one sequence lies: a file, and the volume inside it for 4-D files."""

    path: Path
    channel: int | None = None

    def read(self) -> sitk.Image:
        """Read the 3-D image."""
        return (
            read_volume(self.path)
            if self.channel is None
            else read_channel(self.path, self.channel)
        )


@dataclass(frozen=True)
class Case:
    """One patient at one time point.

    Attributes:
        name: unique within the folder that was searched.
        images: modality ('t1', 't1c', 't2', 'flair') -> source.
        truth: label map of the experts, None when there is none.
        coding: coding of `truth`, None when the naming does not tell.
        problems: sentences about files that could not be placed.
    """

    name: str
    images: dict[str, ImageSource]
    truth: Path | None = None
    coding: LabelCoding | None = None
    problems: tuple[str, ...] = field(default=())

    @property
    def missing(self) -> tuple[str, ...]:
        """Modalities without a file."""
        return tuple(m for m in MODALITIES if m not in self.images)

    def read_truth(self, coding: LabelCoding | None = None) -> tuple[np.ndarray, Grid]:
        """Read the expert labels as internal labels.

        Args:
            coding: overrules the coding of the naming.

        Returns:
            uint8 array (z, y, x) with values 0-4, and its grid.
        """
        chosen = coding or self.coding
        if self.truth is None:
            raise InputError(f"Case {self.name} has no label map; expected one beside its images.")
        if chosen is None:
            raise InputError(
                f"{self.truth}: the naming does not tell the label coding; "
                f"choose one of {sorted(CODINGS)} with --coding."
            )
        values, grid = read_label_map(self.truth)
        return decode_labels(values, chosen, str(self.truth)), grid

    def require_images(self) -> None:
        """Raise InputError unless all four sequences are there, once each."""
        if self.problems:
            raise InputError(f"Case {self.name}: {self.problems[0]}")
        if self.missing:
            have = ", ".join(f"{m} ({s.path.name})" for m, s in self.images.items()) or "none"
            raise InputError(
                f"Case {self.name}: missing {', '.join(self.missing)}; found {have}; expected all of "
                f"{', '.join(MODALITIES)}; add the files or name them with --t1 --t1c --t2 --flair."
            )


def find_cases(folder: Path) -> list[Case]:
    """Find all cases below a folder, sorted by name.

    Raises:
        InputError: the folder does not exist or holds no case.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder with BraTS cases.")
    cases = _find_msd(folder) or _unique(_find_by_name(folder))
    if not cases:
        raise InputError(
            f"{folder}: found no volumes named by sequence (t1, t1c or t1ce, t2, flair); "
            "expected a BraTS or MSD folder, or files with these words in their names."
        )
    return sorted(cases, key=lambda case: case.name)


def _volume_files(folder: Path):
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and volume_extension(Path(name)):
                yield Path(parent) / name


def _find_by_name(folder: Path) -> list[tuple[Path, Case]]:
    groups: dict[tuple[Path, str], list[tuple[str, Path]]] = defaultdict(list)
    for path in _volume_files(folder):
        role = file_role(volume_stem(path))
        if role is None:
            continue
        vsd = path.name.lower().startswith("vsd.")
        nested = vsd and path.parent.name.lower().startswith("vsd.")
        groups[path.parent.parent if nested else path.parent, role.stem.lower()].append(
            (role.kind, path)
        )
    _adopt_orphan_truths(groups)
    return [(parent, _case(parent, stem, files)) for (parent, stem), files in groups.items()]


def _adopt_orphan_truths(groups: dict) -> None:
    """Give a misnamed truth to the one case of its folder (BraTS 2020 case 355)."""
    for key in [
        k for k, files in groups.items() if all(kind.startswith("truth") for kind, _ in files)
    ]:
        others = [k for k in groups if k[0] == key[0] and k != key]
        if len(others) == 1 and not any(kind.startswith("truth") for kind, _ in groups[others[0]]):
            groups[others[0]] += groups.pop(key)


def _case(parent: Path, stem: str, files: list[tuple[str, Path]]) -> Case:
    by_kind: dict[str, list[Path]] = defaultdict(list)
    for kind, path in files:
        by_kind[kind].append(path)
    name = _case_name(parent, stem, files)
    problems = tuple(
        f"found {len(paths)} files for {kind} ({', '.join(p.name for p in paths)}), expected one; "
        "remove the others."
        for kind, paths in by_kind.items()
        if len(paths) > 1
    )
    images = {m: ImageSource(by_kind[m][0]) for m in MODALITIES if m in by_kind}
    truth, coding = _truth(name, by_kind)
    return Case(name, images, truth, coding, problems)


def _case_name(parent: Path, stem: str, files: list[tuple[str, Path]]) -> str:
    if stem:
        original = volume_stem(files[0][1])
        return original[: len(stem)]
    if parent.name.isdigit():  # 2013: HG/0001 and LG/0001 are different patients
        return f"{parent.parent.name}_{parent.name}"
    return parent.resolve().name


def _truth(name: str, by_kind: dict[str, list[Path]]) -> tuple[Path | None, LabelCoding | None]:
    if "truth5" in by_kind:
        return by_kind["truth5"][0], CODINGS["brats2013"]
    if "truth" in by_kind:
        path = by_kind["truth"][0]
        siblings = [p for paths in by_kind.values() for p in paths]
        known = (coding_from_name(name, p.as_posix()) for p in siblings)
        coding = next((c for c in known if c), None)
        return path, CODINGS[coding] if coding else None
    if "truth_atropos" in by_kind:
        return by_kind["truth_atropos"][0], CODINGS["atropos"]
    return None, None


def _unique(found: list[tuple[Path, Case]]) -> list[Case]:
    """Prefix names that occur twice with the name of their parent folder."""
    counts = defaultdict(int)
    for _, case in found:
        counts[case.name] += 1
    cases = []
    for parent, case in found:
        prefix = parent.parent.name if parent.name == case.name else parent.name
        name = case.name if counts[case.name] == 1 else f"{prefix}_{case.name}"
        cases.append(Case(name, case.images, case.truth, case.coding, case.problems))
    return cases


def _find_msd(folder: Path) -> list[Case]:
    """Read MSD Task01: 4-D images, channel order from dataset.json (FLAIR, T1w, t1gd, T2w)."""
    description = folder / "dataset.json"
    if not description.is_file():
        nested = [p for p in sorted(folder.iterdir()) if (p / "dataset.json").is_file()]
        return [case for p in nested for case in _find_msd(p)]
    channels = _msd_channels(description)
    cases = []
    for part in ("imagesTr", "imagesTs"):
        for path in sorted((folder / part).glob("*.nii*")):
            if path.name.startswith("."):
                continue
            truth = folder / "labelsTr" / path.name
            images = {m: ImageSource(path, channel) for m, channel in channels.items()}
            has_truth = part == "imagesTr" and truth.is_file()
            cases.append(
                Case(volume_stem(path), images, truth if has_truth else None, CODINGS["msd"])
            )
    return cases


def _msd_channels(description: Path) -> dict[str, int]:
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        stated = content.get("modality", content.get("channel_names"))
        channels = {modality_from_name(str(name)): int(i) for i, name in stated.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{description}: expected a 'modality' table of channel numbers and names ({error}); "
            "restore the file of the data set."
        ) from error
    channels.pop(None, None)
    return channels
