"""What a BraTS file name tells: the sequence or truth it holds, its case, its label coding."""

import re
from dataclasses import dataclass

from scripted_models.modalities import ALIASES, name_tokens

_BY_ALIAS = {alias: modality for modality, names in ALIASES.items() for alias in names}
_CONTRAST_WORDS = {"gd", "ce", "c", "post", "contrast", "postcontrast", "gad"}
_TRUTH_WORDS = {"seg", "segm", "truth", "label", "labels", "gt"}


@dataclass(frozen=True)
class FileRole:
    """What one file is for.

    Attributes:
        kind: 't1', 't1c', 't2', 'flair', 'truth' (the data set's coding), 'truth5' (five classes of
            BRATS 2013) or 'truth_atropos' (tissue + tumour classes).
        stem: part of the name before the role, the same for all files of a case; empty for VSD names.
    """

    kind: str
    stem: str


def file_role(name: str) -> FileRole | None:
    """Read the role of a volume from its name without extension; None when it has none.

    Example:
        >>> file_role("BraTS20_Training_001_t1ce")
        FileRole(kind='t1c', stem='BraTS20_Training_001')
    """
    tokens = name_tokens(name)
    if not tokens or "mask" in tokens:
        return None
    if tokens[0] == "vsd":
        return _vsd_role(tokens)
    if any(token.startswith("seg5") for token in tokens):
        return FileRole("truth5", _before(name, "seg5"))
    truth = [token for token in tokens[-3:] if token in _TRUTH_WORDS]
    if "atropos" in tokens and truth:
        return FileRole("truth_atropos", _before(name, "atropos"))
    modality, word = _modality(tokens)
    if truth and not modality:
        return FileRole("truth", _before(name, "complete" if "complete" in tokens else truth[0]))
    return FileRole(modality, _before(name, word)) if modality else None


def _vsd_role(tokens: list[str]) -> FileRole | None:
    if "ot" in tokens:
        return FileRole("truth", "")
    modality, _ = _modality(tokens)
    return FileRole(modality, "") if modality else None


def _modality(tokens: list[str]) -> tuple[str | None, str]:
    """Return the modality stated last in the name and the token where its statement starts."""
    positions = [i for i, token in enumerate(tokens) if token in _BY_ALIAS]
    if not positions:
        return None, ""
    last = positions[-1]
    modality = _BY_ALIAS[tokens[last]]
    if modality == "t1" and _CONTRAST_WORDS & set(tokens[last + 1 : last + 2]):
        modality = "t1c"
    if modality in ("t2", "flair") and {"t2", "flair"} <= set(tokens[last - 1 : last + 2]):
        return "flair", "t2" if "t2" in tokens[last - 1 : last + 1] else tokens[last]
    return modality, tokens[last]


def _before(name: str, word: str) -> str:
    """Return what stands before the last occurrence of a token, without the separator."""
    matches = list(re.finditer(rf"(?<![0-9a-z]){re.escape(word)}", name.lower()))
    return name[: matches[-1].start()].rstrip(" ._-") if matches else ""


def coding_from_name(name: str, path: str) -> str | None:
    """Return the name of the label coding that a data set's naming implies, or None.

    Args:
        name: case name.
        path: path of a file of the case, with '/' separators.
    """
    lower = name.lower()
    where = path.lower()
    if "vsd." in where:
        return "brats2013"
    if re.match(r"(sim)?brats_(hg|lg)", lower):
        return "brats2012"
    if match := re.match(r"brats-(gli|ssa|men|met|ped|goat)[a-z]*-\d+-(\d+)", lower):
        post_treatment = match[1] == "gli" and int(match[2]) >= 100
        return "brats2024" if post_treatment or "brats2024-gli" in where else "brats2023"
    if re.match(r"brats(17|18|19|20|21|2017|2018|2019|2020|2021|2022)[_-]", lower):
        return "brats2021"
    file_name = where.rsplit("/", 1)[-1]
    if re.search(r"-(t1n|t1c|t2w|t2f)\.", file_name):
        return "brats2023"
    if re.search(r"_(t1ce|flair|t1|t2)\.nii(\.gz)?$", file_name) and "_t1ce" in where:
        return "brats2021"
    return None
