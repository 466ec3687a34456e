"""Which of some loosely named volumes are T1, T1c, T2 and FLAIR; what is not clear stays open.

Names and descriptions come first. Voxels can make an open sequence "likely" and speak against
names. Alone they never make it "sure".
"""

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import numpy as np

from scripted_models.cases.sequence_names import (
    NameEvidence,
    read_names,
    settled,
)
from scripted_models.errors import ScriptedModelsError, listed, phrases
from scripted_models.images.contrast import MARGIN, Comparison, Look, look_at
from scripted_models.sequences import SEQUENCES, TITLES

Key = TypeVar("Key", bound=Hashable)
Confidence = Literal["sure", "likely", ""]
SURE: Final = "sure"
LIKELY: Final = "likely"

_ = phrases(__name__)


@dataclass(frozen=True)
class Candidate(Generic[Key]):
    """A volume that may be one of the four sequences.

    Attributes:
        key: what the caller knows it by.
        name: file or node name.
        description: what the scanner called the series, where known.
        group: patient and study, "" when unknown; only volumes of one group are taken together.
        read: gives the voxels (z, y, x); called once at most, where they can change the answer.
    """

    key: Key
    name: str
    description: str = ""
    group: str = ""
    read: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True)
class Guess(Generic[Key]):
    """The volume for one sequence.

    Attributes:
        key: of the candidate, None when none is clear.
        confidence: "sure" (may be taken), "likely" (should be confirmed) or "" (no volume).
        why: what speaks for it, or why none is clear; a clause.
        action: what the user can do; may be empty.
    """

    key: Key | None
    confidence: Confidence
    why: str
    action: str = ""

    @property
    def reason(self) -> str:
        """Why and action as one sentence."""
        action = f"; {self.action}" if self.action else ""
        return f"{self.why[:1].upper()}{self.why[1:]}{action}."


def assign_sequences(candidates: Iterable[Candidate[Key]]) -> dict[str, Guess[Key]]:
    """Decide which volume is which sequence.

    Returns:
        A guess for each of "t1", "t1c", "t2", "flair".
    """
    groups: dict[str, list[Candidate[Key]]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.group, []).append(candidate)
    answers = [_Group(members).answer() for members in groups.values()]
    told = [a for a in answers if any(guess.confidence for guess in a.values())]
    complete = [a for a in told if all(guess.confidence for guess in a.values())]
    if len(complete) == 1:
        return complete[0]
    if len(told) > 1:
        words = _("the volumes belong to {count} patients or studies, {complete} with all four")
        why = words.format(count=len(told), complete=len(complete) or "none")
        return {m: Guess(None, "", why, _("choose the volumes of one")) for m in SEQUENCES}
    if told or len(answers) == 1:
        return (told or answers)[0]
    why = _("no volume's name tells a sequence")
    return {m: Guess(None, "", why, _("choose the volumes")) for m in SEQUENCES}


class _Group(Generic[Key]):
    """The volumes of one patient and study."""

    def __init__(self, members: list[Candidate[Key]]):
        self.told = settled(
            {c: read_names(c.name, c.description) for c in members}, {c: c.name for c in members}
        )
        self.guesses: dict[str, Guess[Key]] = {}
        self.chosen: dict[str, Candidate[Key]] = {}
        self._looks: dict[Candidate[Key], Look | None] = {}

    def answer(self) -> dict[str, Guess[Key]]:
        for sequence in SEQUENCES:
            self._take_by_name(sequence)
        self._tell_two_t1_apart()
        self._eliminate()
        self._listen_to_images()
        return self.guesses

    def _take_by_name(self, sequence: str) -> None:
        of_it = [c for c, told in self.told.items() if told.sequence == sequence]
        rank = max((self.told[c].rank for c in of_it), default=0)
        best = [c for c in of_it if self.told[c].rank == rank or self.told[c].doubt]
        if len(best) == 1:
            self._take(sequence, best[0], *judge_name(best[0], self.told[best[0]]))
        elif best:
            names = listed([f"'{c.name}'" for c in best])
            words = _("{names} all look like {sequence} by their names")
            self._leave(sequence, words.format(names=names, sequence=TITLES[sequence]))
        elif conflicts := self._conflicts():
            words = _("no volume's name tells {sequence}, and words exclude each other in {names}")
            self._leave(sequence, words.format(sequence=TITLES[sequence], names=conflicts))
        else:
            words = _("no volume's name tells {sequence}")
            self._leave(sequence, words.format(sequence=TITLES[sequence]))

    def _conflicts(self) -> str:
        """Name the volumes whose words exclude each other."""
        found = [f"'{c.name}' ({told.conflict})" for c, told in self.told.items() if told.conflict]
        return ", ".join(found)

    def _tell_two_t1_apart(self) -> None:
        """Two T1 volumes that say nothing of contrast medium: one of them may be T1c."""
        pair = [c for c, told in self.told.items() if told.sequence == "t1" and told.rank < 3]
        said = [c for c, told in self.told.items() if told.sequence == "t1c" or told.rank == 3]
        if len(pair) != 2 or said:
            return
        order = dict(zip(("t1", "t1c"), pair, strict=True))
        comparison = self._compare(order.values())
        if set(comparison.keys) != set(pair):
            return
        best, lead = comparison.best_order(order, order)
        if lead > MARGIN:
            words = _("'{t1c}' has brighter spots than '{t1}', as with contrast medium")
            why = words.format(t1c=best["t1c"].name, t1=best["t1"].name)
            for sequence, candidate in best.items():
                if self.chosen.get(sequence) is not candidate:
                    self._take(sequence, candidate, LIKELY, why)

    def _eliminate(self) -> None:
        """Give volumes without a telling name to as many open sequences, if the voxels agree."""
        empty = [m for m in SEQUENCES if m not in self.chosen]
        silent = [c for c, told in self.told.items() if told == NameEvidence()]
        contested = [c for c, told in self.told.items() if told.sequence in empty or told.conflict]
        if not self.chosen or not empty or len(silent) != len(empty) or contested:
            return
        order = {**self.chosen, **dict(zip(empty, silent, strict=True))}
        comparison = self._compare(order.values())
        if len(comparison.keys) < len(SEQUENCES):
            return
        best, lead = comparison.best_order(order, SEQUENCES)
        kept = all(best[m] == candidate for m, candidate in self.chosen.items())
        if lead > MARGIN and kept and all(comparison.fits(best, m) for m in empty):
            for m in empty:
                words = _("'{name}' says nothing by its name but looks like {sequence}")
                why = words.format(name=best[m].name, sequence=TITLES[m])
                self._take(m, best[m], LIKELY, why)

    def _listen_to_images(self) -> None:
        """Open what the voxels of all four contradict."""
        if len(self.chosen) < len(SEQUENCES):
            return
        order = {m: self.chosen[m] for m in SEQUENCES}
        comparison = self._compare(order.values())
        if len(comparison.keys) < len(SEQUENCES):
            return
        best = comparison.best_order(order, SEQUENCES)[0]
        if comparison.score(best) - comparison.score(order) <= MARGIN:
            return
        looks = {candidate: m for m, candidate in best.items()}
        for sequence, candidate in order.items():
            if best[sequence] != candidate:
                words = _("'{name}' is {sequence} by its name but looks like {other}")
                titles = {"sequence": TITLES[sequence], "other": TITLES[looks[candidate]]}
                self._leave(sequence, words.format(name=candidate.name, **titles))

    def _compare(self, candidates: Collection[Candidate[Key]]) -> Comparison[Candidate[Key]]:
        for candidate in candidates:
            if candidate not in self._looks:
                self._looks[candidate] = _look(candidate)
        looks = {c: self._looks[c] for c in candidates}
        return Comparison({c: look for c, look in looks.items() if look})

    def _take(
        self, sequence: str, candidate: Candidate[Key], confidence: Confidence, why: str
    ) -> None:
        self.chosen[sequence] = candidate
        self.guesses[sequence] = Guess(candidate.key, confidence, why)

    def _leave(self, sequence: str, why: str) -> None:
        self.chosen.pop(sequence, None)
        self.guesses[sequence] = Guess(None, "", why, _("choose it yourself"))


def judge_name(candidate: Candidate[Key], told: NameEvidence) -> tuple[Confidence, str]:
    """Return confidence and reason of a volume that alone has the best name for a sequence."""
    series = f" ({candidate.description})" if candidate.description else ""
    described, title = f"'{candidate.name}'{series}", TITLES[str(told.sequence)]
    if told.rank > 1:
        words = _("{name} says {sequence}")
        return SURE, words.format(name=described, sequence=title)
    if told.doubt and told.doubt not in ("post", "iv", "plus"):
        words = _("{name} hints at {sequence}, but what '{word}' means is not known")
        return LIKELY, words.format(name=described, sequence=title, word=told.doubt)
    hints = {
        "t1": _("{name} hints at T1, but it may be with contrast medium"),
        "t1c": _("{name} hints at T1c, but 'post' may mean surgery, or T1 is not said"),
        "flair": _("{name} hints at FLAIR, but it may be STIR"),
    }
    return LIKELY, hints[str(told.sequence)].format(name=described)


def _look(candidate: Candidate[Key]) -> Look | None:
    if candidate.read is None:
        return None
    try:
        return look_at(candidate.read())
    except ScriptedModelsError:
        return None  # a file that cannot be read shows when it is used
