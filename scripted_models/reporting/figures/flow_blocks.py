"""Blocks of a diagram: layers that follow each other at one resolution, told in a few lines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from scripted_models.reporting.figures.flow_record import IMAGE, LAYER, Operation

_LONGEST_LINE = 32  # letters
_LONGEST_PERIOD = 8  # lines that are repeated together
_CONV, _SUM = "conv ", "sum"
_JOINING = (_SUM, "concatenation", "product")
_SMALL = ("conv 1×1", "conv 1³")
Parts = list[list[int]]  # operations of each block


@dataclass
class Block:
    """Layers at one resolution.

    Attributes:
        level: how often the resolution was halved.
        inputs: the blocks that it reads, the one before it last.
        channels: of its result.
        lines: its layers in words.
    """

    level: int
    inputs: list[int]
    channels: int
    lines: list[str] = field(default_factory=list)

    @property
    def skips(self) -> list[int]:
        """Blocks that it reads beside the one before it."""
        return sorted(self.inputs)[:-1]


def blocks_of(
    operations: Sequence[Operation], most_lines: int = 6, brief: bool = False
) -> list[Block]:
    """Join operations into blocks; each block reads earlier ones only, the first is the image.

    Args:
        operations: as `record` returns them.
        most_lines: in a block; what needs more becomes several blocks in a row.
        brief: count the layers of each block instead of telling them in order.
    """
    operations, beside = _with_residual_units(operations)
    branches = {index for index, users in enumerate(_users(operations)) if len(users) > 1}
    parts = _split_by_exits(operations, _by_level(operations))
    parts = _without_shortcuts(operations, parts)
    blocks: list[Block] = []
    last: dict[int, int] = {}  # part -> its last block
    for number, part in enumerate(parts):
        shown = [(operations[index], index in branches) for index in part if index not in beside]
        end = operations[part[-1]]
        inputs = [last[source] for source in _sources(operations, parts, number)]
        if brief:
            pages = [_counts([operations[index] for index in part])]
        else:
            pages = _pages(_lines(shown), most_lines)
        for page in pages:
            blocks.append(Block(end.level, inputs, end.channels, page))
            inputs = [len(blocks) - 1]
        last[number] = len(blocks) - 1
    return blocks


def _with_residual_units(operations: Sequence[Operation]) -> tuple[list[Operation], set[int]]:
    """Give all layers of a residual unit the level of its sum, which names those beside the others.

    Returns:
        The operations, and which of them are named by a sum.
    """
    changed, named = list(operations), set[int]()
    users = _users(operations)
    for index, operation in enumerate(operations):
        if operation.label != _SUM or len(operation.inputs) != 2:
            continue
        (one, start), (other, same) = (_chain(operations, users, i) for i in operation.inputs)
        levels = {operations[member].level for member in one + other}
        if start != same or not one or not other or max(levels) > operation.level:
            continue
        short = min(one, other, key=lambda chain: _weight(operations, chain))
        words = ", ".join(operations[member].label.split(",")[0] for member in reversed(short))
        changed[index] = replace(operation, label=f"{_SUM} ({words})")
        named |= set(short)
        for member in one + other:
            changed[member] = replace(changed[member], level=operation.level)
    return changed, named


def _chain(
    operations: Sequence[Operation], users: Sequence[Sequence[int]], end: int
) -> tuple[list[int], int]:
    """Return the layers that lead to an operation alone, from it backwards, and their start."""
    members = []
    while operations[end].kind == LAYER and len(users[end]) == 1:
        members.append(end)
        end = operations[end].inputs[0]
    return members, end


def _weight(operations: Sequence[Operation], chain: Sequence[int]) -> tuple[int, bool]:
    """Return how much layers do, to tell those beside others from these."""
    return len(chain), not any(operations[member].label.startswith(_SMALL) for member in chain)


def _users(operations: Sequence[Operation]) -> list[list[int]]:
    users: list[list[int]] = [[] for _ in operations]
    for index, operation in enumerate(operations):
        for source in operation.inputs:
            users[source].append(index)
    return users


def _by_level(operations: Sequence[Operation]) -> Parts:
    """Gather operations: one belongs to the latest block that it reads, if at its resolution."""
    parts: Parts = []
    place: list[int] = []
    for index, operation in enumerate(operations):
        latest = max((place[source] for source in operation.inputs), default=-1)
        before = operations[parts[latest][-1]] if parts else operation
        if before.kind == IMAGE or before.level != operation.level:
            latest = len(parts)
            parts.append([])
        parts[latest].append(index)
        place.append(latest)
    return parts


def _split_by_exits(operations: Sequence[Operation], parts: Parts) -> Parts:
    """Split blocks where they branch: what is together leads to the same exits."""
    home, users = _homes(parts), _users(operations)
    exits: dict[int, frozenset[int]] = {}
    for index in reversed(range(len(operations))):
        inside = [user for user in users[index] if home[user] == home[index]]
        leaves = len(inside) < len(users[index]) or not users[index]
        own = frozenset({index} if leaves else ())
        exits[index] = own.union(*(exits[user] for user in inside))
    split = []
    for part in parts:
        ordered = sorted(part, key=lambda index: (-len(exits[index]), sorted(exits[index]), index))
        split += [list(group) for _, group in groupby(ordered, key=exits.__getitem__)]
    return split


def _without_shortcuts(operations: Sequence[Operation], parts: Parts) -> Parts:
    """Move layers beside a block, which end in it and begin where it begins, into it."""
    for number in range(len(parts) - 1, 0, -1):
        reads = [_sources(operations, parts, n) for n in range(len(parts))]
        users = [n for n, sources in enumerate(reads) if number in sources]
        if len(users) != 1 or not set(reads[number]) <= set(reads[users[0]]):
            continue
        if operations[parts[number][-1]].level == operations[parts[users[0]][-1]].level:
            parts[users[0]] = sorted(parts[number] + parts[users[0]])
            return _without_shortcuts(operations, parts[:number] + parts[number + 1 :])
    return parts


def _homes(parts: Parts) -> dict[int, int]:
    return {index: number for number, part in enumerate(parts) for index in part}


def _sources(operations: Sequence[Operation], parts: Parts, number: int) -> list[int]:
    home = _homes(parts)
    read = [home[source] for index in parts[number] for source in operations[index].inputs]
    return [source for source in dict.fromkeys(read) if source != number]


def _lines(members: Sequence[tuple[Operation, bool]]) -> list[list[str]]:
    """Return what layers do, in groups of lines that stay together; repetitions are counted.

    Args:
        members: layers, and whether several others read the result.
    """
    keys, run = [], 0
    for member, branches in members:
        is_convolution = member.kind == LAYER and _CONV in member.label
        word = f"{member.label}, {member.channels}" if is_convolution else member.label
        keys.append((word, run))
        run += branches
    words = [(word, len(list(same))) for (word, _), same in groupby(keys)]
    return _repeated([_times(count, word) for word, count in words])


def _repeated(words: list[str]) -> list[list[str]]:
    """Return words in groups; what stands several times in a row is told once."""
    groups: list[list[str]] = []
    start = 0
    while start < len(words):
        count, period = _period(words[start:])
        unit = words[start : start + period]
        groups.append(unit if count == 1 else _unit(count, unit))
        start += count * period
    return groups


def _unit(count: int, words: list[str]) -> list[str]:
    line = f"{count} × ({'; '.join(words)})"
    if len(words) == 2 and len(line) <= _LONGEST_LINE:
        return [line]
    return [f"{count} times:", *(f"   {word}" for word in words)]


def _counts(members: Sequence[Operation]) -> list[str]:
    """Return the number of each kind of layer, and the channels of the result."""
    kinds = Counter(member.label.split(",")[0].split(" (")[0] for member in members)
    sizes = sorted(kind.removeprefix(_CONV) for kind in kinds if kind.startswith(_CONV))
    convolutions = _times(sum(kinds.pop(_CONV + size) for size in sizes), _CONV + ", ".join(sizes))
    lines = [_times(count, kind) for kind, count in kinds.items()]
    return [*lines, *[convolutions] * bool(sizes), f"{members[-1].channels} channels"]


def _times(count: int, words: str) -> str:
    return f"{count} × {words}" if count > 1 else words


def _period(words: list[str]) -> tuple[int, int]:
    """Return how often the first words stand in a row, and how many they are."""
    best = (1, 1)
    for length in range(2, _LONGEST_PERIOD + 1):
        unit, count = words[:length], 1
        while words[count * length : (count + 1) * length] == unit:
            count += 1
        ends_well = not unit[0].startswith(_SUM)  # a unit begins with a layer
        if count > 1 and ends_well and count * length > best[0] * best[1]:
            best = (count, length)
    return best


def _pages(groups: list[list[str]], most_lines: int) -> list[list[str]]:
    """Return lines for blocks that are not too high; what joins maps stays with these."""
    pages: list[list[str]] = [[]]
    for group in groups:
        full = len(pages[-1]) + len(group) > most_lines
        if pages[-1] and full and not group[0].startswith(_JOINING):
            pages.append([])
        pages[-1] += group
    return pages
