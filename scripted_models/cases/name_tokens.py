"""From a name to its words: signs with a meaning, glued words, accents and converters' letters."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from scripted_models.cases.name_words import GLUABLE, KNOWN, OTHER, SEQUENCE_WORDS
from scripted_models.sequences import BY_ALIAS

# Signs with a meaning, looked for from left to right before the letters and numbers between them.
_SIGNS = (
    (r"(?<=2)\*|(?<=2 )\*", "star"),
    (r"\b[sp]/p\b", "statuspost"),
    (r"\bw(?:/ ?| )o(?:ut)?\b|\bs/(?!\w*\d)", "without"),
    (r"\b[wc]/", "with"),
    (r"\+ ?/ ?-|±", "either"),
    (r"\+ ?(?:c[em]?|g)(?![a-z0-9])|\b(?:c|gd|km|ce) ?\+", "contrast"),
    (r"\b(?:c|gd|km|ce)-(?=[ )]|$)|(?<=[ (])-(?:c|gd|km|ce)\b", "noncontrast"),
    (r"\bgd-dtpa\b|\bm\.d\.c\b|\bk\.m\b", "contrast"),
    (r"\b(?:dark|da)[ -]?(?:fluid|fl)\b", "darkfluid"),
    (r"\+(?= *$)", "plus"),
)
_SCANNER = re.compile(
    "|".join(f"(?P<sign{i}>{pattern})" for i, (pattern, _) in enumerate(_SIGNS))
    + r"|(?P<ascii>[a-z0-9\u0300-\u036f]+)|(?P<foreign>[^\W_a-z0-9]+)"
)
_ENTITY = re.compile(r"(?<![a-z0-9])([a-z]+)-([a-z0-9.+]+)(?=_|$)")  # of BIDS
_PLACE = ("sub", "ses", "sample")  # entities that tell patient and time point
_OF_NO_MEANING = {
    *_PLACE,
    "run",
    "task",
    "dir",
    "space",
    "res",
    "den",
    "echo",
    "flip",
    "inv",
    "mod",
}
_LONGEST = max(map(len, GLUABLE))
_LONGEST_PAIR = 32  # letters of two sequences glued together, 'flair2t1c'
GIVEN, DENIED = "given", "denied"  # contrast medium, by an alias such as 't1ce' or 't1n'
_DERIVED = ("mask", "masks", "seg", "segm", "map", "maps", "label", "labels", "field", "jacobian")


@dataclass(frozen=True)
class Word:
    """A word of a name.

    Attributes:
        text: what it means, in the spelling of `name_words`.
        start: where its token begins in the name.
        end: where its token ends.
        is_numbered: whether a number is glued to it ('seg001').
    """

    text: str
    start: int
    end: int
    is_numbered: bool = False

    @property
    def is_sequence(self) -> bool:
        """Whether it names T1, T2 or FLAIR."""
        return self.text in SEQUENCE_WORDS


def is_bids(name: str) -> bool:
    """Tell whether a name has the entities of BIDS ("sub-01_ses-02_T1w")."""
    return bool(re.match(r"sub-[0-9a-zA-Z]+(_|$)", name))


def bids_stem(name: str) -> str:
    """Return subject and session of a BIDS name."""
    places = takewhile(lambda p: p.lower().partition("-")[0] in _PLACE, name.split("_"))
    return "_".join(places)


def name_words(name: str) -> list[Word]:
    """Cut a name into words; the time is linear in its length.

    Example:
        >>> [word.text for word in name_words("9_AXT1POSTa")]
        ['9', 'ax', 't1', 'post']
    """
    text = name.lower() if name.isascii() else "".join(map(_plain_letter, name))
    if is_bids(name):
        text = _ENTITY.sub(_without_key, text)
    text = text.replace("_", " ")
    tokens = list(_SCANNER.finditer(text))
    return [word for i, token in enumerate(tokens) for word in _read(token, i == len(tokens) - 1)]


def _plain_letter(letter: str) -> str:
    """Return a lower-case letter without accent, always one character."""
    plain = unicodedata.normalize("NFKD", letter)[:1] or letter
    return plain.lower()[:1]


def _without_key(entity: re.Match[str]) -> str:
    """Blank what is no word of the image: keys of BIDS, and values of entities like 'ses'."""
    key, value = entity.groups()
    if key == "ce":
        return ("no" if value in ("none", "no", "0") else "ce").ljust(len(entity[0]))
    return " " * len(entity[0]) if key in _OF_NO_MEANING else " " * (len(key) + 1) + value


def _read(token: re.Match[str], is_last: bool) -> Iterator[Word]:
    kind = str(token.lastgroup)
    if kind.startswith("sign"):
        yield Word(_SIGNS[int(kind[4:])][1], *token.span())
        return
    plain = re.sub("[\u0300-\u036f]", "", token[0])
    for text in _pieces(plain, is_last) if kind == "ascii" else [plain]:
        yield Word(text, *token.span(), is_numbered=plain.removeprefix(text).isdigit())


@lru_cache(maxsize=4096)
def _pieces(token: str, is_last: bool) -> tuple[str, ...]:
    """Cut words that are glued together ('AXT1POST') or stand for several ('T1ce')."""
    if token.isdigit():
        return (token,)
    forms = [token]
    bare = re.sub(r"^[0-9]+(?=[a-z]{3})|(?<=[a-z])[0-9]+$", "", token)  # '1warp', 'slice90'
    if len(bare) > 2 and not bare.startswith("sub"):
        forms.append(bare)
    if is_last and re.search(r"(\w{3}|t[12]|gd|km|ce)[a-j]$", token):
        forms.append(token[:-1])  # converters give names that occur twice a letter
    found = next((words for form in forms if (words := _known(form))), None)
    if found is None and token.endswith(_DERIVED) and token.isalpha():
        return ("mask",)
    return tuple(found or (token,))


def _known(token: str) -> list[str]:
    """Return the words of a token, [] where it is not made of known ones."""
    if word := _word(token):
        return word
    if re.match(r"[mrw]{0,3}c[1-6](?=t[12]|flair)", token):
        return ["tissue"]  # of SPM
    if len(token) < _LONGEST_PAIR and (pair := _registered_pair(token)):
        return pair
    # Philips: eT1W, sT2W; SPM: resliced rT1, warped wT1, bias-corrected mT1
    return _glued(re.sub(r"^(?:[es](?=t[12]w)|[mrw]{1,2}(?=t[12]|flair))", "", token))


def _word(token: str) -> list[str]:
    """Return what a word of the vocabulary means, [] for others."""
    alias = BY_ALIAS.get(token)
    if alias == "t1c":
        return ["t1", GIVEN]
    if alias:
        return ["t1", DENIED] if token in ("t1n", "t1pre") else [alias]
    return [token] if token in KNOWN else []


def _registered_pair(token: str) -> list[str]:
    """Read 'flair2t1c': a sequence moved to another."""
    for sign in re.finditer("(?<=.)2(?=[tf])", token):
        left, right = token[: sign.start()], token[sign.end() :]
        if (left in BY_ALIAS or left in OTHER) and right in BY_ALIAS:
            return [*_word(left), "to", *_word(right)]
    return []


def _glued(token: str) -> list[str]:
    """Return the fewest words that make up a token, [] where others are needed."""
    none = len(token) + 1
    fewest = [none] * len(token) + [0]  # words from here to the end
    ends = [0] * len(token)  # of the first of them
    for start in range(len(token) - 1, -1, -1):
        for end in range(min(start + _LONGEST, len(token)), start, -1):
            shorter = fewest[end] + 1 < fewest[start]
            if shorter and token[start:end] in GLUABLE and _may_stand(token, start, end):
                fewest[start], ends[start] = fewest[end] + 1, end
    words: list[str] = []
    start = 0
    while start < len(token) and fewest[0] < none:
        words += _word(token[start : ends[start]])
        start = ends[start]
    return words


def _may_stand(token: str, start: int, end: int) -> bool:
    """'T12' is no T1, 'T13D' is."""
    return token[start:end] not in ("t1", "t2") or not re.match(r"\d(?!d)", token[end : end + 2])
