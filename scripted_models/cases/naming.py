"""What a BraTS file name tells: the sequence or ground truth in it, its case, its label coding."""

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from scripted_models.cases.name_tokens import bids_stem, is_bids, name_words
from scripted_models.cases.name_words import REGISTERED
from scripted_models.cases.sequence_names import NameEvidence, read_name
from scripted_models.errors import phrases
from scripted_models.sequences import name_tokens

_ = phrases(__name__)

OF_NO_KNOWN_FORM = _("no known form of name for an expert's label map of the tumor")
_BETWEEN = " ._-+("
# Words between a case's name and the sequence that are part of neither.
_OF_IMAGES = REGISTERED | {
    *("ax", "axial", "tra", "transversal", "transverse", "sag", "sagittal", "cor", "coronal"),
    *("2d", "3d", "brain", "bet", "stripped", "n4"),
}
# Names of an expert's label map, as tokens behind the case's name. Words that say nothing of an
# expert or of the tumor ('old', 'final', 'pred', 'ventricles') are in none of them.
_WHO = "(?:(?:expert|manual|manually|corrected|tumou?r)_)*"
_SLICE = r"(?:_slice\d+)?"
_TRUTHS = (
    ("truth5", r"seg5(?:_derived|_otmulticlass)?"),  # five classes of BRATS 2013
    ("truth_atropos", f"atropos_truth{_SLICE}"),
    ("truth", f"{_WHO}(?:seg|segm|truth|labels?|gt|ground_?truth)(?:_manual|_expert)?{_SLICE}"),
    ("truth", "tumou?r_segmentations?|glistrboost_manuallycorrected"),  # UCSF-PDGM, BraTS-TCGA
    ("truth", "(?:desc|seg|label)_(?:tumou?r|manual|expert)_dseg"),  # BIDS
)
_WHOLE_TRUTHS = (  # of collections whose form alone would be too loose
    r"(?P<stem>patientid_\d+_timepoint_\d+)_tumormask",  # MU-Glioma-Post
    r"(?P<stem>rhuh_\d+_\d+)_segmentations?",  # RHUH-GBM
)
_LABEL_LIKE = re.compile(
    r"seg|label|mask|truth|annot|contour|parcel|glistr|tissue|(?:^|_)(?:roi|gtv|gt|lbl|lesion)(?:_|$)"
    r"|(?:^|_)pred(?:ict\w*)?(?:_|$)|(?:^|_)(?:tumou?r|o?edema|necrosis)$"
)


@dataclass(frozen=True)
class FileRole:
    """What one file is for.

    Attributes:
        kind: a sequence, or what kind of ground truth: "truth" (coding of the data set), "truth5"
            (five classes of BRATS 2013), "truth_atropos" or "truth_tissue" (with tissue classes).
        stem: what the name has before the role, the same in a whole case; empty for VSD names.
        told: what the reader of names says of a sequence; a hint where it is not sure.
        second: the other reading of 'pre' and 'post' before T1: time point or contrast medium.
    """

    kind: str
    stem: str
    told: NameEvidence = field(default=NameEvidence(), compare=False, repr=False)
    second: "FileRole | None" = field(default=None, compare=False, repr=False)


@lru_cache(maxsize=1 << 14)  # names of folders and stems come again and again
def file_role(name: str) -> FileRole | None:
    """Read the role of a volume from its name without extension; None when it has none.

    Example:
        >>> file_role("BraTS20_Training_001_t1ce")
        FileRole(kind='t1c', stem='BraTS20_Training_001')
    """
    told = read_name(name)
    tokens = name_tokens(name)
    if tokens[:1] == ["vsd"]:
        return _vsd_role(tokens, told)
    kind, at = _truth(name)
    if kind and (not told.mentions or kind in ("truth5", "truth_atropos")):
        return FileRole(kind, bids_stem(name) if is_bids(name) else name[:at].rstrip(_BETWEEN))
    if told.sequence is None or not told.mentions:
        return None
    return _with_second(name, FileRole(told.sequence, _stem(name, told.first), told))


def label_stem(stem: str) -> str:
    """Return a stem without the '.seg' of 3D Slicer, where the rest names a label map already.

    Example:
        >>> label_stem("p1_seg.seg"), label_stem("p1.seg")
        ('p1_seg', 'p1.seg')
    """
    rest = stem[:-4] if stem.lower().endswith(".seg") else ""
    role = file_role(rest) if rest else None
    return rest if role and role.kind.startswith("truth") else stem


def left_out(name: str) -> str:
    """Say why a volume has no role although its name looks as if it had one; "" for others."""
    if file_role(name) is not None:
        return ""
    if _LABEL_LIKE.search("_".join(name_tokens(name))):
        return OF_NO_KNOWN_FORM
    told = read_name(name)
    if told.mentions and told.other:
        words = _("'{word}' in the name says that it is none of the four sequences")
        return words.format(word=told.other)
    if told.mentions and told.conflict:
        return _("{conflict} in the name leave open what it is").format(conflict=told.conflict)
    return ""


def _vsd_role(tokens: list[str], told: NameEvidence) -> FileRole | None:
    if "ot" in tokens:
        return FileRole("truth_tissue" if "matter" in tokens else "truth", "")
    return FileRole(told.sequence, "", told) if told.sequence else None


def _truth(name: str) -> tuple[str, int]:
    """Return the kind of ground truth, "" for none, and where its words begin in the name."""
    tokens = [(m[0].lower(), m.start()) for m in re.finditer(r"[0-9A-Za-z]+", name)]
    joined = "_".join(token for token, _start in tokens)
    if found := re.search(rf"(?:^|_)complete_truth{_SLICE}$", joined):  # 2012: tissue and tumor
        kind = "truth_tissue" if joined.startswith("simbrats") else ""
        return kind, _offset(tokens, joined, found.start())
    for form in _WHOLE_TRUTHS:
        if found := re.fullmatch(form, joined):
            return "truth", _offset(tokens, joined, found.end("stem"))
    for kind, form in _TRUTHS:
        if found := re.search(f"(?:^|_)(?:{form})$", joined):
            return kind, _offset(tokens, joined, found.start())
    return "", 0


def _offset(tokens: list[tuple[str, int]], joined: str, at: int) -> int:
    """Return where in the name the token begins that follows an index of the joined tokens."""
    return tokens[joined.count("_", 0, at + 1)][1] if at else tokens[0][1]


def _stem(name: str, at: int) -> str:
    """Return what stands before a place, less separators and words that tell of the image."""
    if is_bids(name):
        return bids_stem(name)
    for word in reversed(name_words(name)):
        if word.end <= at and not re.search(r"[^\W_]", name[word.end : at]):
            if word.text not in _OF_IMAGES:
                break
            at = word.start
    return name[:at].rstrip(_BETWEEN)


def _with_second(name: str, role: FileRole) -> FileRole:
    """Add the other reading where 'pre' or 'post' stands before T1.

    'patient_post_t1' is a time point first, as other files may share the stem 'patient_post'.
    """
    before = re.search(r"[^0-9A-Za-z]*post[^0-9A-Za-z]*$", name[: role.told.first], re.I)
    if before and role.told.doubt == "post" and role.kind == "t1c":
        contrast = replace(role, stem=_stem(name, before.start()))
        return FileRole("t1", role.stem, replace(role.told, sequence="t1"), contrast)
    before = re.match(r"[ ._-]*pre(?![0-9A-Za-z])", name[len(role.stem) :], re.I)
    if before and role.stem and role.kind == "t1":
        return replace(role, second=replace(role, stem=role.stem + before[0]))
    return role


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
        of_2024 = time_point >= 100 or re.search(r"brats-?2024-(?:brats-)?gli", folders)
        return "brats2024" if of_2024 else "brats2023"
    if task == "ped":  # the same names, other labels from 2024 on
        year = re.search(r"brats-?(?:peds?-?)?(202[3456])", folders)
        return {None: None, "2023": "brats2023"}.get(year and year[1], "brats2024ped")
    return "brats2023" if task in ("ssa", "men", "met", "mets", "goat") else None
