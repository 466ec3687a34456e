"""What a BraTS file name tells: the sequence or ground truth in it, its case, its label coding."""

import re
from dataclasses import dataclass

from scripted_models.sequences import BY_ALIAS

_CONTRAST = {
    "gd",
    "ce",
    "gad",
    "gadolinium",
    "contrast",
    "postcontrast",
    "postgd",
    "post",
    "km",
    "enhanced",
}
_CONTRAST_BEFORE = _CONTRAST - {"post"}  # 'patient_post_t1' may be after surgery
_WITHOUT = {"pre", "non", "no", "without", "wo", "noncontrast", "precontrast", "nocontrast"}
_DARK_FLUID = {"tirm", "dark", "darkfluid"}  # behind 'T2': FLAIR in Siemens' names
_REFERENCE = {"to", "in", "on", "onto", "space"}  # 'flair_to_t1': registered to
_PLANES = {"ax", "axial", "tra", "transversal", "sag", "sagittal", "cor", "coronal", "2d", "3d"}
_TRUTH = {"seg", "segm", "truth", "label", "labels", "gt"}
_TRUTH_QUALITY = {"complete", "expert", "manual", "final", "tumor", "tumour"}


@dataclass(frozen=True)
class FileRole:
    """What one file is for.

    Attributes:
        kind: a sequence, or what kind of ground truth: "truth" (coding of the data set), "truth5"
            (five classes of BRATS 2013), "truth_atropos" or "truth_tissue" (with tissue classes).
        stem: what the name has before the role, the same in a whole case; empty for VSD names.
    """

    kind: str
    stem: str


@dataclass(frozen=True)
class _Token:
    word: str
    start: int


@dataclass(frozen=True)
class _Statement:
    """A sequence that tokens first to last of a name state."""

    sequence: str
    first: int
    last: int


def file_role(name: str) -> FileRole | None:
    """Read the role of a volume from its name without extension; None when it has none.

    Example:
        >>> file_role("BraTS20_Training_001_t1ce")
        FileRole(kind='t1c', stem='BraTS20_Training_001')
    """
    tokens = [_Token(m[0].lower(), m.start()) for m in re.finditer(r"[0-9A-Za-z]+", name)]
    words = [token.word for token in tokens]
    if not tokens or any(word.endswith(("mask", "masks")) for word in words):
        return None
    statement = _statement(words)
    if words[0] == "vsd":
        return _vsd_role(words, statement)
    for kind, index in (("truth5", _seg5_index(words)), ("truth", _truth_index(words))):
        if index is not None and (statement is None or kind == "truth5"):
            if "atropos" in words[:index]:
                kind, index = "truth_atropos", words.index("atropos")
            elif words[0] == "simbrats" and words[index] == "complete":
                kind = "truth_tissue"  # 2012: tissue and tumor; without 'complete' only the tumor
            return FileRole(kind, _stem(name, tokens, index))
    if statement is None or _truth_index(words, after=statement.last) is not None:
        return None  # 't1_seg' may be tissue as well as tumor
    return FileRole(statement.sequence, _stem(name, tokens, statement.first))


def _vsd_role(words: list[str], statement: _Statement | None) -> FileRole | None:
    if "ot" in words:
        return FileRole("truth_tissue" if "matter" in words else "truth", "")
    return FileRole(statement.sequence, "") if statement else None


def _seg5_index(words: list[str]) -> int | None:
    return next((i for i, word in enumerate(words) if word.startswith("seg5")), None)


def _truth_index(words: list[str], after: int = -1) -> int | None:
    """Return the index of the first word of a label map's name among the last three words."""
    first = max(len(words) - 3, after + 1)
    index = next((i for i in range(first, len(words)) if words[i] in _TRUTH), None)
    while index and words[index - 1] in _TRUTH_QUALITY:
        index -= 1
    return index


def _statement(words: list[str]) -> _Statement | None:
    """Return the sequence stated last in a name, but not the one that another was registered to."""
    found = [i for i, word in enumerate(words) if word in BY_ALIAS]
    own = [i for i in found if i == found[0] or words[i - 1] not in _REFERENCE]
    if not own:
        return None
    last = own[-1]
    sequence = BY_ALIAS[words[last]]
    if last and {BY_ALIAS.get(words[last - 1]), sequence} == {"t2", "flair"}:
        return _Statement("flair", last - 1, last)
    if sequence == "t2" and _DARK_FLUID & set(words[last + 1 :]):
        return _Statement("flair", last, last)
    if sequence == "t1":
        return _t1_statement(words, last)
    return _Statement(sequence, last, last)


def _t1_statement(words: list[str], index: int) -> _Statement:
    """Tell T1 with contrast medium from T1 by the words around it."""
    first, tail = index, words[index + 1 :]
    while first and words[first - 1] in _CONTRAST_BEFORE:
        first -= 1
    without = first > 0 and words[first - 1] in _WITHOUT
    if not without and (first < index or _says_contrast(tail)):
        return _Statement("t1c", first, len(words) - 1)
    return _Statement("t1", first - without, index)


def _says_contrast(tail: list[str]) -> bool:
    """Tell whether the words behind 'T1' speak of contrast medium, and not of its absence."""
    if _WITHOUT & set(tail):
        return False
    return tail[:1] == ["c"] or bool(_CONTRAST & set(tail))


def _stem(name: str, tokens: list[_Token], index: int) -> str:
    """Return what stands before a token, less separators and the plane of the slices."""
    while index and tokens[index - 1].word in _PLANES:
        index -= 1
    return name[: tokens[index].start].rstrip(" ._-+") if index else ""


def coding_from_name(name: str, path: str) -> str | None:
    """Return the name of the label coding that a data set's naming implies, or None.

    Args:
        name: case name.
        path: path of a file of the case, with "/" separators.
    """
    lower = name.lower()
    folders, _, file_name = path.lower().rpartition("/")
    if file_name.startswith("vsd."):
        # BRATS 2013: the ground truth of simulated patients has two labels, as in 2012
        return "brats2012" if "synthetic" in folders else "brats2013"
    if re.match(r"(sim)?brats_(hg|lg)\d", lower):
        return "brats2012"
    if match := re.match(r"brats-([a-z]+)-\d+(?:-(\d+))?", lower):
        return _coding_since_2023(match[1], int(match[2] or 0), folders)
    if re.match(r"brats(17|18|19|20|21|2017|2018|2019|2020|2021|2022)[_-]", lower):
        return "brats2021"
    if re.search(r"-(t1n|t1c|t2w|t2f)\.", file_name):
        return "brats2023"
    if re.search(r"_t1ce\.nii(\.gz)?$", file_name):
        return "brats2021"
    return None


def _coding_since_2023(task: str, time_point: int, folders: str) -> str | None:
    """Tell the codings of BraTS 2023 and later apart: by task, time point (GLI) and year (PED)."""
    if task == "gli":
        return "brats2024" if time_point >= 100 or "brats2024-gli" in folders else "brats2023"
    if task == "ped":  # the same names, other labels from 2024 on
        year = re.search(r"brats-?(?:peds?-?)?(202[3456])", folders)
        return {None: None, "2023": "brats2023"}.get(year and year[1], "brats2024ped")
    return "brats2023" if task in ("ssa", "men", "met", "mets", "goat") else None
