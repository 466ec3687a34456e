"""What a name tells about its sequence: the one reader of file, series and node names."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from scripted_models.cases.contrast_words import ContrastWords, is_treatment
from scripted_models.cases.name_tokens import DENIED, GIVEN, Word, is_bids, name_words
from scripted_models.cases.name_words import (
    AFTER,
    ATLASES,
    CONTRAST,
    DOUBTFUL,
    GRADIENT_ECHO,
    INVERSION,
    KNOWN,
    NATIVE,
    NOT,
    ONTO,
    OTHER,
    REGISTERED,
    T1_BY_METHOD,
    WEAK,
    WITH,
)

Key = TypeVar("Key", bound=Hashable)
_CORRECTED = (["corrected"], ["correction"], ["corr"])
_IMAGES = OTHER | T1_BY_METHOD
_ONTO_THE = ONTO | REGISTERED | {"the", "with"}
_OF_ALL = ATLASES | {"w", "wi", "weighted", "space", "flair"}  # words of a reference
_OF_T1 = _OF_ALL | CONTRAST | NATIVE | T1_BY_METHOD | {GIVEN, DENIED, "c"}
_BEFORE_T1 = (CONTRAST | NATIVE | NOT | WITH) - {"post", "w", "s"}
_BEFORE_T1C = _BEFORE_T1 - {"pre", "vor"}
_STATES_FLAIR = frozenset({"flair", "darkfluid", "dark", "fluid", "dafl"})
_SIGNS = frozenset({"iv", GIVEN, DENIED, "star", "plus", "either"})


@dataclass(frozen=True)
class NameEvidence:
    """What a text says about a sequence.

    Attributes:
        sequence: "t1", "t1c", "t2", "flair", or None.
        rank: 3: the text denies contrast medium; 2: it states the sequence; 1: it only hints at
            it; 0: it says nothing.
        other: the word that says that this is none of the four sequences, or "".
        conflict: words that exclude each other, or "".
        doubt: the word that makes a statement a hint, or "".
        first: where the words of the sequence begin in the text.
        mentions: whether a sequence's name stands in the text.
    """

    sequence: str | None = None
    rank: int = 0
    other: str = ""
    conflict: str = ""
    doubt: str = ""
    first: int = field(default=0, compare=False, repr=False)
    mentions: bool = field(default=False, compare=False, repr=False)


def read_name(text: str) -> NameEvidence:
    """Read a name as scanners, radiographers, converters and scripts write it.

    Example:
        >>> read_name("Ax T1 FSE +C").sequence, read_name("MPRAGE").rank, read_name("ADC").other
        ('t1c', 1, 'adc')
    """
    words, lost = _without_reference(name_words(text))
    reader = _Reader(text, words)
    mentions = any(word.is_sequence for word in words)
    told = NameEvidence(conflict=lost) if lost else reader.evidence()
    return replace(told, first=reader.start(told), mentions=mentions or bool(lost))


def read_names(name: str, description: str) -> NameEvidence:
    """Join what name and description say; where they exclude each other, that is a conflict."""
    a, b = read_name(name), read_name(description)
    if a.other or b.other:
        return a if a.other else b
    if a.conflict or b.conflict:
        return a if a.conflict else b
    if a.sequence is None or b.sequence is None or a.sequence == b.sequence:
        doubted = [e for e in (a, b) if e.doubt and e.sequence == "t1"]
        return doubted[0] if doubted else max(a, b, key=lambda evidence: evidence.rank)
    low, high = sorted((a, b), key=lambda evidence: (evidence.sequence == "t1c", evidence.rank))
    if (low.sequence, high.sequence) == ("t1", "t1c") and low.rank < 3:
        return high  # 'T1' is not wrong of a T1 with contrast medium
    return NameEvidence(conflict=f"name '{name}' and description '{description}'")


def settled(told: Mapping[Key, NameEvidence], names: Mapping[Key, str]) -> dict[Key, NameEvidence]:
    """Return what names tell beside each other.

    An unknown word that all volumes of a patient share, such as a hospital's name, leaves no doubt.
    But T1 may share a word for contrast medium, unless T1c is there and has it, too. Beside 'T1a'
    and 'T1b' a 'T1c' is the third of its name, as converters count.

    Args:
        told: what the name of each volume tells.
        names: the names.
    """
    counted = {name[:-1] for name in names.values() if name.endswith("b")}
    found = {
        key: read_name(names[key][:-1]) if names[key][:-1] in counted else e
        for key, e in told.items()
        if e.sequence
    }
    doubts = {e.doubt for e in found.values()}
    sequences = {e.sequence for e in found.values()}
    if len(doubts) == 1 and len(sequences) > 1 and not doubts <= {"", *CONTRAST}:
        for key, e in found.items():
            if e.sequence != "t1" or "t1c" in sequences:
                found[key] = replace(e, rank=2, doubt="")
    return {key: found.get(key, e) for key, e in told.items()}


def sequence_from_name(name: str) -> str | None:
    """Return the sequence that a name states, or None when it states none or several.

    Example:
        >>> sequence_from_name("BraTS-GLI-00000-000-t2f"), sequence_from_name("x_t1ce")
        ('flair', 't1c')
    """
    told = read_name(name)
    return told.sequence if told.rank > 1 else None


def _without_reference(words: list[Word]) -> tuple[list[Word], str]:
    """Take out the image that another one was moved onto ('flair_reg_t1c').

    Returns:
        The words of the moved image, and why none is clear, or "".
    """
    at, named = 0, False  # whether an image was named so far
    while at < len(words):
        target = at + 1
        while target < len(words) and words[target].text in _ONTO_THE:
            target += 1
        if not _is_onto(words, at):
            named |= words[at].is_sequence or words[at].text in _IMAGES
            at += 1
        elif target == len(words) or not _is_target(words[target]):
            at = target
        elif named:
            del words[at : _end_of_target(words, target)]
        elif words[at].text in ONTO and words[target].is_sequence:
            return words, f"'{words[at].text} {words[target].text}' without what was moved"
        else:
            at = target
    return _without_second(words)


def _is_onto(words: list[Word], at: int) -> bool:
    text = words[at].text
    if text == "2":  # 't2 2 t1', not 'case 2 t1'
        return at > 0 and (words[at - 1].is_sequence or words[at - 1].text in (GIVEN, *OTHER))
    return text in ONTO or text in REGISTERED


def _is_target(word: Word) -> bool:
    return word.is_sequence or word.text in ATLASES or word.text in OTHER


def _end_of_target(words: list[Word], target: int) -> int:
    """Return the index behind the words of a reference: 'T1 post Gd space'."""
    own = _OF_T1 if words[target].text == "t1" else _OF_ALL
    end = target + 1
    while end < len(words) and words[end].text in own:
        end += 1
    return end


def _without_second(words: list[Word]) -> tuple[list[Word], str]:
    """Of 't1_t1c_Warped', as ANTs' scripts write it, keep the first: the moved image."""
    texts = [word.text for word in words]
    places = [i for i, word in enumerate(words) if word.is_sequence]
    moved = "warped" in texts or "deformed" in texts
    pair = [texts[i] for i in places[:2]]
    if not moved or len(pair) < 2:
        return words, ""
    if pair == ["t2", "flair"]:
        return words, "'T2' and 'FLAIR', of which one was moved"
    return words[: places[1]] + words[_end_of_target(words, places[1]) :], ""


class _Reader:
    """Judges the words of one name."""

    def __init__(self, text: str, words: list[Word]):
        self.text, self.words = text, words
        self.texts = [word.text for word in words]
        self.said = set(self.texts)
        places = [i for i, word in enumerate(words) if word.is_sequence]
        methods = [i for i, word in enumerate(self.texts) if word in T1_BY_METHOD]
        self.mentioned = bool(places)
        self.first = min(places or methods, default=-1)

    def start(self, told: NameEvidence) -> int:
        """Return where the words of the sequence begin in the text."""
        at = self.first
        before = _BEFORE_T1C if told.sequence == "t1c" else _BEFORE_T1
        while told.sequence in ("t1", "t1c") and at > 0 and self.texts[at - 1] in before:
            at -= 1
        return self.words[at].start if at >= 0 else 0

    def evidence(self) -> NameEvidence:
        """Return what the words tell."""
        t1, t2 = "t1" in self.said, "t2" in self.said
        flair = bool(self.said & {"flair", "darkfluid"}) or (t2 and bool(self.said & INVERSION))
        method = bool(self.said & T1_BY_METHOD) and not t2 and not flair
        if other := self._other(t2 and not t1):
            return NameEvidence(other=other)
        if t1 and t2:
            return NameEvidence(conflict="'T1' and 'T2'")
        if t1 and flair and not self._is_t1_flair():
            return NameEvidence(conflict="'T1' and 'FLAIR'")
        if t1 or method:
            return self._t1(stated=t1)
        if flair or t2:
            doubt = self._doubt(clear=True)
            hint = doubt or (flair and not self.said & _STATES_FLAIR)
            return NameEvidence("flair" if flair else "t2", 1 if hint else 2, doubt=doubt)
        if self.said & INVERSION:
            return NameEvidence("flair", 1)
        agent = self.said & CONTRAST - {"post", "contrast", "enhanced", "ce", "cm", "inj", "enh"}
        against = self.said & (NOT | NATIVE)
        return NameEvidence("t1c", 1) if agent and not against else NameEvidence()

    def _other(self, is_t2: bool) -> str:
        """Return the first word that says that this is none of the four, or ""."""
        if self.first > 0 and self.texts[self.first - 1] in ("y", "iy"):
            return "deformation field"  # of SPM
        for i, word in enumerate(self.texts):
            if self._is_other(i, word):
                return word
            if is_t2 and (word in GRADIENT_ECHO or (word == "star" and self.texts[i - 1] == "t2")):
                return f"t2 {word}"
        return ""

    def _is_other(self, at: int, word: str) -> bool:
        numbered = re.fullmatch(r"b\d{2,4}", word) is not None  # weighting of diffusion
        following = "".join(self.texts[at + 1 : at + 2])
        if (word == "sub" and following.isdigit()) or (word, following[:5]) == ("skull", "strip"):
            return False  # a subject; an image
        # before a sequence's name they are rather a patient's ('seg001', 'CT_017')
        named = self.words[at].is_numbered or re.fullmatch(r"\d{2,}|[013-9]", following)
        glued = self.first >= 0 and self.words[at].start == self.words[self.first].start
        weak = numbered or word in WEAK or (named and word in OTHER)
        return at > self.first or glued if weak else word in OTHER

    def _is_t1_flair(self) -> bool:
        """GE's 'T1 FLAIR' is a T1; 'FLAIR T1' may be one of two that were registered."""
        flair = [i for i, word in enumerate(self.texts) if word in ("flair", "darkfluid")]
        return min(flair, default=0) > self.first and not self.said & REGISTERED

    def _doubt(self, clear: bool) -> str:
        """Return the first word behind the sequence that may change what the image is, or "".

        Args:
            clear: whether contrast medium does not matter, or is clear.
        """
        for at, word in enumerate(self.texts[self.first + 1 :], self.first + 1):
            if word in DOUBTFUL and self.texts[at + 1 : at + 2] not in _CORRECTED:
                return word
            if _is_unknown(word):
                return word
            if not clear and word in AFTER and not is_treatment(self.texts[at : at + 4]):
                return word
        return ""

    def _t1(self, stated: bool) -> NameEvidence:
        exact = [self.texts[i + 1 : i + 2] for i, word in enumerate(self.texts) if word == "t1"]
        if [GIVEN] in exact and any(after != [GIVEN] for after in exact) and not is_bids(self.text):
            return NameEvidence(conflict="'T1' and 'T1c'")
        contrast = ContrastWords(self.words, self.first, self.text).read()
        if contrast.unclear or (contrast.given and contrast.denied):
            return NameEvidence(conflict="words for and against contrast medium")
        doubt = contrast.doubt or self._doubt(clear=contrast.given or contrast.denied)
        if contrast.given:
            return NameEvidence("t1c", 1 if doubt else 2, doubt=doubt)
        rank = 1 if doubt or not (stated or contrast.denied) else 3 if contrast.denied else 2
        return NameEvidence("t1", rank, doubt=doubt)


def _is_unknown(word: str) -> bool:
    """Tell whether a word behind a sequence may mean anything; numbers and letters do not."""
    if re.fullmatch(r"e\d{1,2}|i\d{4,}", word):  # a converter's echo or single slice
        return True
    named = re.search(r"[^\W\d_]", word) and not re.search(r"\d", word)
    short = len(word) == 1 and word.isascii()
    return bool(named) and not short and word not in KNOWN and word not in _SIGNS
