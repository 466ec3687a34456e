"""The studies in a scene, and which volumes of each are T1, T1c, T2 and FLAIR."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scripted_models.bundle.description import ModelDescription
from scripted_models.cases.sequence_assignment import Candidate
from scripted_models.sequences import SEQUENCES, TITLES

from .candidates import SlotGuess, guess_slots, volume_candidates
from .findings import finding_in_words
from .input_check import STOP, choice_findings
from .origins import patient_of, study_of
from .slicer_types import Scene, VolumeNode
from .translation import _


@dataclass(frozen=True)
class SceneStudy:
    """One study, or a patient whose volumes are in no study.

    Attributes:
        key: the same as long as the study is in the scene.
        name: of patient and study, as the user reads it.
        nodes: sequence -> vtkMRMLScalarVolumeNode, those that were found.
        reasons: sentences: which volume is which sequence, and why.
        warnings: sentences: what a missing sequence costs.
        doubtful: a sequence is missing, or was taken from a hint alone.
        problem: why it cannot be segmented; empty when it can.
    """

    key: str
    name: str
    nodes: dict[str, VolumeNode]
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    doubtful: bool = False
    problem: str = ""


class StudyFinder:
    """Lists the studies of a scene; a study is looked at again only after it has changed."""

    def __init__(self) -> None:
        self.homeless = 0  # volumes of the last look that belong to no study and no patient
        self._known: dict[str, tuple[list[Any], dict[str, SlotGuess]]] = {}

    def studies(
        self,
        scene: Scene,
        description: ModelDescription | None = None,
        chosen: Iterable[tuple[str, VolumeNode]] = (),
    ) -> list[SceneStudy]:
        """Return the studies in the order of their first volumes.

        Args:
            scene: vtkMRMLScene.
            description: of the model, which tells what may be missing; None: nothing may.
            chosen: (sequence, volume node) of the slots; for their study the user has decided.
        """
        groups: dict[str, list[Candidate[str]]] = {}
        for candidate in volume_candidates(scene):
            groups.setdefault(candidate.group, []).append(candidate)
        self.homeless = len(groups.pop("", ()))
        self._known = {key: kept for key, kept in self._known.items() if key in groups}
        slots = {m: node for m, node in chosen if node is not None}
        found = []
        for key, members in groups.items():
            decided = slots if _all_in(slots, members) else {}
            guesses = self._guesses(scene, key, members)
            found.append(_study(scene, key, members, guesses, decided, description))
        return found

    def _guesses(
        self, scene: Scene, key: str, members: list[Candidate[str]]
    ) -> dict[str, SlotGuess]:
        seen = [(scene.GetNodeByID(c.key), c.name, c.description) for c in members]
        if key not in self._known or self._known[key][0] != seen:
            self._known[key] = seen, guess_slots(scene, members)
        return self._known[key][1]


def _all_in(slots: dict[str, VolumeNode], members: list[Candidate[str]]) -> bool:
    keys = {candidate.key for candidate in members}
    return bool(slots) and all(node.GetID() in keys for node in slots.values())


def _study(
    scene: Scene,
    key: str,
    members: list[Candidate[str]],
    guesses: dict[str, SlotGuess],
    decided: dict[str, VolumeNode],
    description: ModelDescription | None,
) -> SceneStudy:
    guessed = {m: guesses[m].node for m in SEQUENCES if guesses[m].node is not None}
    nodes = decided or guessed
    reasons, likely = [], False
    for sequence in SEQUENCES:
        guess, node = guesses[sequence], nodes.get(sequence)
        if guess.node is node:
            reason, likely = guess.reason, likely or guess.confidence == "likely"
        else:
            name = node.GetName() if node is not None else _("no volume")
            reason = _("{name}, as it is chosen above.").format(name=name)
        reasons.append(f"{TITLES[sequence]}: {reason}")
    findings = choice_findings(nodes, description)
    problem = "\n".join(finding_in_words(f) for f in findings if f.severity == STOP)
    warnings = tuple(finding_in_words(f) for f in findings if f.severity != STOP)
    name, doubtful = _name(scene.GetNodeByID(members[0].key)), likely or bool(warnings)
    return SceneStudy(key, name, nodes, tuple(reasons), warnings, doubtful, problem)


def _name(node: VolumeNode) -> str:
    origins = (patient_of(node), study_of(node))
    return ", ".join(origin.name for origin in origins if origin and origin.name)
