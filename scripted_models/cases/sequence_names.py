"""What a loose series name or description tells about its sequence, in the scanners' words."""

import re
from dataclasses import dataclass

from scripted_models.sequences import BY_ALIAS


def _bag(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Gradient echoes that are T1-weighted by nature, and run before as well as after contrast medium.
_T1_BY_METHOD = _bag("mprage mp2rage spgr fspgr irspgr bravo tfl vibe lava thrive tfe")
_INVERSION = _bag("tirm dark fluid spcir dafl")  # FLAIR beside 'T2'
_CONTRAST = _bag(
    "contrast contraste kontrast kontrastmittel postcontrast postgd postgad gd gad gado "
    "gadolinium gadovist gadavist dotarem clariscan magnevist multihance omniscan prohance km ce "
    "cm mdc enhanced post inj injected"
)
_NATIVE = _bag("pre precontrast noncontrast nocontrast native nativ unenhanced nongad vor")
_NOT = _bag("non no not without wo pre vor sans ohne senza sin")
_TREATMENT = _bag("op operative surgery surgical resection biopsy treatment therapy rt chemo")
_BESIDE = _bag("to in on onto")  # 'FLAIR to T1': registered
# Contrasts, maps and products that are none of the four, and label maps.
_OTHER = _bag(
    "dwi dw ep2d adc eadc trace tracew dti tensor fa colfa md fieldmap swi swan mip minip venbold "
    "pha phase mag perf perfusion pwi dsc dce dynamic asl cbf cbv rcbv rcbf mtt ttp tmax ktrans "
    "tof mra mrv angio loc localizer localiser scout survey aahscout ct cta pet spect epi bold "
    "fmri mrs csi svs spectro stir pd dual t2star medic hemo haemo gre map maps mapit t1map t2map "
    "t1rho inv1 inv2 ciss fiesta drive subtraction subtr diff difference pc3d b0 calibration cal "
    "shim report dose screenshot seg segm segmentation segmentations label labels labelmap mask "
    "masks brainmask prob probability probabilities roi overlay truth gt atlas"
)
_NEUTRAL = _bag(
    "ax axial tra trans sag sagittal cor coronal obl 2d 3d w wi weighted se tse fse mpr ffe fl "
    "cube space spc vista brain head blade propeller fs fatsat iso stealth"
)
_GLUABLE = sorted(
    _bag("t1 t2 flair darkfluid pre native dwi adc tof stir map")
    | _T1_BY_METHOD
    | _NEUTRAL
    | (_CONTRAST - {"cm"}),
    key=len,
    reverse=True,
)
_PIECE = re.compile("|".join(word + r"(?!\d)" * (word in ("t1", "t2")) for word in _GLUABLE))
_GLUED = re.compile(f"(?:{_PIECE.pattern})+")
_SIGNS = (  # signs that carry meaning, before the text is cut at signs
    (r"t2 ?(\*|star)", " t2star "),
    (r"\bw ?/ ?o\b", " without "),
    (r"\b(w|with) ?(and|&|/|\+)? ?(wo|without)\b( (iv )?(contrast|gd|gad\w*|km))?", " "),
    (r"\+ ?(c|gd|gad\w*|km|ce|contrast)\b|\bc ?\+", " contrast "),
    (r"(?<=[ (])-(c|gd|km)\b|\bc-(?= |$)", " noncontrast "),
    (r"\b(dark|da)[ -]?(fluid|fl)\b", " darkfluid "),
    (r"\b(t[12])[ -]?(map|rho)", r" \1\2 "),
    (r"\bphase[ -]contrast\b", " phase "),
)


@dataclass(frozen=True)
class NameEvidence:
    """What a text says about a sequence.

    Attributes:
        sequence: "t1", "t1c", "t2", "flair", or None.
        rank: 3: the text denies contrast medium; 2: it states the sequence; 1: it only hints at
            it; 0: it says nothing.
        other: the word that says that this is none of the four sequences, or "".
        conflict: two words that exclude each other, or "".
    """

    sequence: str | None = None
    rank: int = 0
    other: str = ""
    conflict: str = ""


def read_name(text: str) -> NameEvidence:
    """Read a series name or description as scanners and radiographers write them.

    Example:
        >>> read_name("Ax T1 FSE +C"), read_name("MPRAGE").rank, read_name("ep2d_diff_ADC").other
        (NameEvidence(sequence='t1c', rank=2, other='', conflict=''), 1, 'adc')
    """
    words = _words(text)
    other = next((w for w in words if w in _OTHER or re.fullmatch(r"b\d{2,4}", w)), "")
    if other:
        return NameEvidence(other=other)
    said = set(words)
    t1, t2 = "t1" in said, "t2" in said
    flair = bool(said & {"flair", "darkfluid"}) or (t2 and bool(said & _INVERSION))
    if t1 and t2:
        return NameEvidence(conflict="'T1' and 'T2'")
    if t1 or (said & _T1_BY_METHOD and not t2 and not flair):
        return _t1(words, stated=t1)
    if flair:
        return NameEvidence("flair", 2)
    if said & _INVERSION:
        return NameEvidence("flair", 1)
    if t2:
        return NameEvidence("t2", 2)
    agent = said & _CONTRAST - {"post", "contrast", "enhanced", "ce", "cm"}
    return NameEvidence("t1c", 1) if agent and not said & (_NOT | _NATIVE) else NameEvidence()


def read_names(name: str, description: str) -> NameEvidence:
    """Join what name and description say; where they exclude each other, that is a conflict."""
    a, b = read_name(name), read_name(description)
    if a.other or b.other:
        return a if a.other else b
    if a.conflict or b.conflict:
        return a if a.conflict else b
    if a.sequence is None or b.sequence is None or a.sequence == b.sequence:
        return max(a, b, key=lambda evidence: evidence.rank)
    low, high = sorted((a, b), key=lambda evidence: (evidence.sequence == "t1c", evidence.rank))
    if (low.sequence, high.sequence) == ("t1", "t1c") and low.rank < 3:
        return high  # 'T1' is not wrong of a T1 with contrast medium
    return NameEvidence(conflict=f"name '{name}' and description '{description}'")


def _words(text: str) -> list[str]:
    text = text.lower().replace("_", " ").replace("gd-dtpa", "gd")
    for pattern, meaning in _SIGNS:
        text = re.sub(pattern, meaning, text)
    words = [word for token in re.findall(r"[a-z0-9]+", text) for word in _pieces(token)]
    for i in range(1, len(words) - 1):
        if words[i] in _BESIDE and words[i + 1] in ("t1", "t2", "flair"):
            return words[:i]
    return words


def _pieces(token: str) -> list[str]:
    """Cut words that are glued together ('AXT1POST') or stand for several ('T1ce')."""
    alias = BY_ALIAS.get(token)
    if token in _OTHER:
        return [token]
    if alias == "t1c":
        return ["t1", "contrast"]
    if alias:
        return ["t1", "pre"] if token in ("t1n", "t1pre") else [alias]
    token = re.sub(r"^[es](?=t[12]w)", "", token)  # Philips: eT1W, sT2W
    return _PIECE.findall(token) if _GLUED.fullmatch(token) else [token]


def _t1(words: list[str], stated: bool) -> NameEvidence:
    given, denied, doubtful = _contrast(words)
    if given and denied:
        return NameEvidence(conflict="words for and against contrast medium")
    if given:
        return NameEvidence("t1c", 1 if doubtful else 2)
    return NameEvidence("t1", 3 if denied else 2 if stated else 1)


def _contrast(words: list[str]) -> tuple[bool, bool, bool]:
    """Tell whether words state contrast medium, deny it, or may mean surgery by a lone 'post'."""
    first = next(i for i, w in enumerate(words) if w == "t1" or w in _T1_BY_METHOD)
    given, denied, sure = False, False, False
    for i, word in enumerate(words):
        following = words[i + 1] if i + 1 < len(words) else ""
        before = set() if "and" in words[i - 1 : i] else set(words[max(i - 2, 0) : i])
        if following in _TREATMENT or (word in _CONTRAST and before & _NOT):
            continue
        if word in _NATIVE or (word in _NOT and following in _CONTRAST):
            denied = True
        elif word in _CONTRAST or (
            word == "c" and words[i - 1] in ("t1", "w", *_T1_BY_METHOD) and i
        ):
            given = True
            unknown = any(re.search("[a-z]", w) and w not in _NEUTRAL for w in words[:i])
            sure |= word != "post" or i > first or not unknown
    return given, denied, not sure
