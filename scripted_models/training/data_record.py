"""Which cases a run is trained and validated on, and what has changed when it is resumed."""

from collections.abc import Iterable, Sequence

from scripted_models.errors import InputError, listed
from scripted_models.training.task import CaseSource

Record = dict[str, list[list[str]]]  # 'train' and 'validation' -> name and content of each case
_MOST_NAMES = 4  # in a sentence


def record_of(train: Sequence[CaseSource], validation: Sequence[CaseSource]) -> Record:
    """Return what a checkpoint says of the cases of a run, in their order."""
    parts = {"train": train, "validation": validation}
    return {part: [[s.name, s.content] for s in sources] for part, sources in parts.items()}


def refuse_other_cases(before: Record, now: Record) -> None:
    """Refuse to go on with other cases than those that the run began with.

    A case that has trained may not validate; and what the finished epochs learned from is no longer
    what the model folder would name.

    Raises:
        InputError: more, fewer or changed cases, or another split.
    """
    if before != now:
        raise InputError(
            found="other data than the run began with: " + listed(changes(before, now)),
            expected="the same cases with the same content",
            action="resume with the data of the run, or train into another folder",
        )


def changes(before: Record, now: Record) -> list[str]:
    """Return in words how two records differ."""
    was, are = _names(before), _names(now)
    moved = [
        (name, old, new)
        for old, new in (("train", "validation"), ("validation", "train"))
        for name in sorted((was[old] - was[new]) & (are[new] - are[old]))
    ]
    others = {name for name, _, _ in moved}
    words = [f"{name} no longer belongs to {old} but to {new}" for name, old, new in moved[:2]]
    if len(moved) > 2:
        words.append(f"{len(moved) - 2} more change sides")
    for part in ("train", "validation"):
        if more := are[part] - was[part] - others:
            words.append(f"{len(more)} new in {part} ({_few(more)})")
        if fewer := was[part] - are[part] - others:
            words.append(f"{len(fewer)} gone from {part} ({_few(fewer)})")
    contents = _contents(now)
    changed = {n for n, c in _contents(before).items() if contents.get(n, c) != c}
    if changed:
        words.append(f"other content in {len(changed)} ({_few(changed)})")
    return words or ["another order of the cases"]


def _names(record: Record) -> dict[str, set[str]]:
    return {part: {name for name, _ in record.get(part, [])} for part in ("train", "validation")}


def _contents(record: Record) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pairs in record.values():
        for name, content in pairs:
            found.setdefault(name, set()).add(content)
    return found


def _few(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = ", ..." if len(ordered) > _MOST_NAMES else ""
    return ", ".join(ordered[:_MOST_NAMES]) + more
