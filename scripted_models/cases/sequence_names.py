"""What a name tells about its sequence: the one reader of file, series and node names."""

import re
from dataclasses import dataclass, field, replace

from scripted_models.cases.name_tokens import DENIED, GIVEN, Word, is_bids, name_words
from scripted_models.cases.name_words import (
    AFTER,
    AND,
    ATLASES,
    CONTRAST,
    DOUBTFUL,
    GRADIENT_ECHO,
    INVERSION,
    KNOWN,
    NATIVE,
    NOT,
    OF_PATIENTS,
    ONTO,
    OTHER,
    REGISTERED,
    T1_BY_METHOD,
    TIMES,
    TREATMENT,
    WEAK,
    WITH,
)

_OF_SCANS = KNOWN - OF_PATIENTS
_CORRECTED = (["corrected"], ["correction"], ["corr"])
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
    at = 0
    while at < len(words):
        target = at + 1
        while target < len(words) and words[target].text in ONTO | REGISTERED | {"the"}:
            target += 1
        if not _is_onto(words, at) or target == len(words) or not _is_target(words[target]):
            at += 1
            continue
        if any(w.is_sequence or w.text in OTHER | T1_BY_METHOD for w in words[:at]):
            words = words[:at] + words[_end_of_target(words, target) :]
        elif words[at].text in ONTO and words[target].is_sequence:
            return words, f"'{words[at].text} {words[target].text}' without what was moved"
        else:
            at = target
    return _without_second(words)


def _is_onto(words: list[Word], at: int) -> bool:
    text = words[at].text
    if text == "2":  # 't2 2 t1', not 'case 2 t1'
        return at > 0 and (words[at - 1].is_sequence or words[at - 1].text in (GIVEN, *CONTRAST))
    return text in ONTO | REGISTERED


def _is_target(word: Word) -> bool:
    return word.is_sequence or word.text in ATLASES | OTHER


def _end_of_target(words: list[Word], target: int) -> int:
    """Return the index behind the words of a reference: 'T1 post Gd space'."""
    own = ATLASES | {"w", "wi", "weighted", "space", "flair"}
    if words[target].text == "t1":
        own = own | CONTRAST | NATIVE | T1_BY_METHOD | {GIVEN, DENIED, "c"}
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
        before = (CONTRAST | NATIVE | NOT | WITH) - {"post", "w", "s"}
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
            return NameEvidence("flair" if flair else "t2", 1 if doubt else 2, doubt=doubt)
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
        if word == "sub" and "".join(self.texts[at + 1 : at + 2]).isdigit():
            return False  # a subject
        # before a sequence's name, short words are rather a patient's
        return at > self.first if numbered or word in WEAK else word in OTHER

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
            if word in DOUBTFUL and not self.texts[at + 1 : at + 2] in _CORRECTED:
                return word
            if _is_unknown(word):
                return word
            if not clear and word in AFTER and not _is_treatment(self.texts[at:]):
                return word
        return ""

    def _t1(self, stated: bool) -> NameEvidence:
        exact = [self.texts[i + 1 : i + 2] for i, word in enumerate(self.texts) if word == "t1"]
        if [GIVEN] in exact and any(after != [GIVEN] for after in exact) and not is_bids(self.text):
            return NameEvidence(conflict="'T1' and 'T1c'")
        contrast = _Contrast(self.words, self.first, self.text).read()
        if contrast.unclear or (contrast.given and contrast.denied):
            return NameEvidence(conflict="words for and against contrast medium")
        doubt = contrast.doubt or self._doubt(clear=contrast.given or contrast.denied)
        if contrast.given:
            return NameEvidence("t1c", 1 if doubt else 2, doubt=doubt)
        rank = 1 if doubt or not (stated or contrast.denied) else 3 if contrast.denied else 2
        return NameEvidence("t1", rank, doubt=doubt)


def _is_unknown(word: str) -> bool:
    """Tell whether a word behind a sequence may mean anything; numbers and single letters do not."""
    if re.fullmatch(r"e\d{1,2}|i\d{4,}", word):  # a converter's echo or single slice
        return True
    named = re.search(r"[^\W\d_]", word) and not re.search(r"\d", word)
    short = len(word) == 1 and word.isascii()
    return bool(named) and not short and word not in KNOWN and word not in _SIGNS


def _is_treatment(texts: list[str]) -> bool:
    """Tell whether a word such as 'post', the first, is about treatment."""
    for word in texts[1:4]:
        if word in TREATMENT:
            return True
        if word in CONTRAST or word in AND or word == GIVEN:
            return False
    return False


class _Contrast:
    """Tells whether words state contrast medium or deny it.

    Attributes:
        given: they state it.
        denied: they deny it.
        unclear: they say both at once ('with and without').
        doubt: the word that may mean something else, such as a lone 'post', or "".
    """

    def __init__(self, words: list[Word], first: int, text: str):
        self.words, self.first, self.text = words, first, text
        self.texts = [word.text for word in words]
        self.given = self.denied = self.unclear = self._sure = False
        self.doubt = ""

    def read(self) -> "_Contrast":
        at = 0
        while at < len(self.texts):
            at = self._step(at)
        if self.given and self._sure:
            self.doubt = ""
        return self

    def _step(self, at: int) -> int:
        """Judge one word; return the index of the next one to judge."""
        word, behind = self.texts[at], at > self.first
        if word in WITH and (end := self._with_and_without(at)):
            self.unclear |= behind
            return end
        if word in CONTRAST | NATIVE | AFTER | NOT and _is_treatment(self.texts[at:]):
            return at + 1
        if word == "post" and set(self.texts[at + 1 : at + 3]) & TIMES:
            self.doubt = self.doubt or "post"
        elif word in NOT and (end := self._contrast_behind(at)):
            self.denied = True
            return end
        elif word in NATIVE or word == DENIED:
            self.denied |= not self._is_visit(at)
        elif word in CONTRAST or word == GIVEN:
            self._give(word, at)
        elif word == "c" and at:
            self._give_by_letter(at)
        elif word in ("plus", "iv") or (word in WITH and behind and at + 1 == len(self.texts)):
            self.given, self.doubt = True, self.doubt or word
        self.unclear |= word == "either"
        return at + 1

    def _give(self, word: str, at: int) -> None:
        if word == "post" and self._is_visit(at):
            return
        self.given = True
        unknown = any(re.search("[a-z]", w) and w not in _OF_SCANS for w in self.texts[:at])
        if word != "post" or at > self.first or not unknown:
            self._sure = True
        else:
            self.doubt = self.doubt or word

    def _give_by_letter(self, at: int) -> None:
        """'T1 C' is with contrast medium, 'T1-C' and 'T1 AX C' may be."""
        before = self.text[self.words[at - 1].end : self.words[at].start]
        if self.texts[at - 1] in ("t1", "w", "with", *T1_BY_METHOD):
            self.given = True
            self._sure |= "-" not in before
            self.doubt = self.doubt or "-c" * ("-" in before)
        elif at > self.first:
            self.doubt = self.doubt or "c"

    def _is_visit(self, at: int) -> bool:
        """'pre' or 'post' before 't1c' and 't1n', and 'native' (space), say nothing of contrast."""
        if self.texts[at] == "native" and GIVEN in self.texts:
            return True
        return at < self.first and self.texts[self.first + 1 : self.first + 2] in (
            [GIVEN],
            [DENIED],
        )

    def _contrast_behind(self, at: int) -> int:
        """Return the index behind the contrast medium that a 'without' denies, 0 for none."""
        for i in range(at + 1, min(at + 6, len(self.texts))):
            word = self.texts[i]
            if word in CONTRAST or word in ("c", "con"):
                while i + 1 < len(self.texts) and self.texts[i + 1] in CONTRAST - {"post"}:
                    i += 1
                return i + 1
            if word in AND | WITH or word.isdigit() or self.words[i].is_sequence:
                return 0
        return 0

    def _with_and_without(self, at: int) -> int:
        """Return the index behind 'with and without contrast', 0 where it does not stand."""
        i = at + 1
        while i < len(self.texts) and self.texts[i] in AND:
            i += 1
        if i == len(self.texts) or self.texts[i] not in NOT - {"pre", "vor", "before"}:
            return 0
        return self._contrast_behind(i) or i + 1
