"""Whether the words of a T1's name state contrast medium or deny it."""

import re

from scripted_models.cases.name_tokens import DENIED, GIVEN, Word
from scripted_models.cases.name_words import (
    AFTER,
    AND,
    CONTRAST,
    KNOWN,
    NATIVE,
    NOT,
    OF_PATIENTS,
    OF_STUDIES,
    T1_BY_METHOD,
    TIMES,
    TREATMENT,
    WITH,
)

_OF_SCANS = KNOWN - OF_PATIENTS
_ABOUT = CONTRAST | NATIVE | AFTER | NOT  # contrast medium, or before and after a treatment
_OF_BOTH = (CONTRAST | {"iv"}) - {"post"}
_STOPS = AND | WITH
_WITHOUT = NOT - {"pre", "vor", "before"}


def is_treatment(texts: list[str]) -> bool:
    """Tell whether a word such as 'post', the first, is about treatment."""
    for word in texts[1:]:
        if word in TREATMENT:
            return True
        if word in CONTRAST or word in AND or word == GIVEN:
            return False
    return False


class ContrastWords:
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

    def read(self) -> "ContrastWords":
        """Judge all words."""
        at = 0
        while at < len(self.texts):
            at = self._step(at)
        if self.given and self._sure:
            self.doubt = ""
        return self

    def _step(self, at: int) -> int:
        """Judge one word; return the index of the next one to judge."""
        word, behind = self.texts[at], at > self.first
        if (word in WITH or word in _WITHOUT) and (end := self._with_and_without(at)):
            self.unclear |= behind
            return end
        if word in _ABOUT and is_treatment(self.texts[at : at + 4]):
            return at + 1
        if word == "post" and TIMES & set(self.texts[max(at - 1, 0) : at + 3]):
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
        elif word == "iv" and (
            sign := re.match(r" ?([+-])(?!\w)", self.text[self.words[at].end :])
        ):
            self.given |= sign[1] == "+"
            self.denied |= sign[1] == "-"
            self._sure |= sign[1] == "+"
        elif word in ("plus", "iv") or (word in WITH and self._ends_in_with(at)):
            self.given, self.doubt = True, self.doubt or word
        self.unclear |= word == "either"
        return at + 1

    def _give(self, word: str, at: int) -> None:
        if word == "post" and self._is_visit(at):
            return
        self.given = True
        numbered = any(re.fullmatch(r"[a-z]*\d{2,}", w) for w in self.texts[at + 1 : self.first])
        of_study = at < self.first and (numbered or bool(OF_STUDIES & set(self.texts[:at])))
        if not of_study and (word != "post" or at > self.first or not self._names_somebody(at)):
            self._sure = True
        else:
            self.doubt = self.doubt or word

    def _ends_in_with(self, at: int) -> bool:
        """'T1 W/' leaves out the contrast medium; 'T1 W' is weighted."""
        weighted = self.texts[at] == "w" and self.words[at - 1].is_sequence
        return at > self.first and at + 1 == len(self.texts) and not weighted

    def _names_somebody(self, before: int) -> bool:
        """Tell whether words before 'post' may name a patient: then it may be a time point."""
        return any(re.search("[a-z]", w) and w not in _OF_SCANS for w in self.texts[:before])

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
        alias = self.texts[self.first + 1 : self.first + 2] in ([GIVEN], [DENIED])
        return alias and at < self.first

    def _contrast_behind(self, at: int) -> int:
        """Return the index behind the contrast medium that a 'without' denies, 0 for none."""
        for i in range(at + 1, min(at + 6, len(self.texts))):
            word = self.texts[i]
            if word in CONTRAST or word in ("c", "con"):
                while i + 1 < len(self.texts) and self.texts[i + 1] in CONTRAST - {"post"}:
                    i += 1
                return i + 1
            if word in _STOPS or word.isdigit() or self.words[i].is_sequence:
                return 0
        return 0

    def _with_and_without(self, at: int) -> int:
        """Return the index behind 'with and without contrast', 0 where it does not stand."""
        i = at + 1
        while i < len(self.texts) and self.texts[i] in AND and self.texts[i] not in WITH:
            i += 1
        other = _WITHOUT if self.texts[at] in WITH else WITH
        if i == len(self.texts) or self.texts[i] not in other or self.texts[at] == "non":
            return 0
        while i + 1 < len(self.texts) and self.texts[i + 1] in _OF_BOTH:
            i += 1
        return i + 1
