"""Names of channels, labels and regions in the files of other programs, and what they are here.

A name that is not in these tables is asked for; none is guessed from a part of it.
"""

import re
from collections.abc import Sequence

from scripted_models.bundle.importers.answers import Answers, Understood, open_question
from scripted_models.errors import InputError, ModelError, listed
from scripted_models.labels import (
    CAVITY,
    EDEMA,
    ENHANCING,
    LABELS,
    NECROSIS,
    NON_ENHANCING,
    RC,
    REGIONS,
    SCORED,
)
from scripted_models.sequences import BY_ALIAS, SEQUENCES
from scripted_models.transforms.volume_networks import (
    LabelOutputs,
    NetworkOutputs,
    RegionOutputs,
)

_CAVITY = ("rc", "resectioncavity", "surgicalcavity", "cavity")
_REGIONS = {
    "WT": ("wt", "wholetumor", "whole", "completetumor", "complete"),
    "TC": ("tc", "tumorcore", "core"),
    "ET": ("et", "enhancingtumor", "enhancing", "activetumor"),
    RC: _CAVITY,
}
_LABELS: dict[int, tuple[str, ...]] = {
    0: ("background", "bg"),
    NECROSIS: (
        *("necrosis", "ncr", "necrotic", "necroticcore", "necrotictumorcore"),
        *("netc", "nonenhancingtumorcore", "ncrnet", "necrosisandnonenhancing"),
        *("necrosisandnonenhancingtumor", "necroticandnonenhancingtumor"),
        "necroticandnonenhancingtumorcore",
    ),
    EDEMA: (
        *("edema", "ed", "peritumoraledema", "snfh", "invadedtissue"),
        *("surroundingnonenhancingflairhyperintensity", "peritumoraledematousinvadedtissue"),
    ),
    NON_ENHANCING: ("nonenhancing", "nonenhancingtumor", "net"),
    ENHANCING: ("enhancing", "enhancingtumor", "et", "enhancingtissue"),
    CAVITY: _CAVITY,
}
_BY_WORD = {word: label for label, words in _LABELS.items() for word in words}
_REGION_OF = {word: region for region, words in _REGIONS.items() for word in words}


def _word(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.replace("tumour", "tumor").replace("oedema", "edema")


def channels_of(
    stated: Sequence[str], count: int, answers: Answers, understood: Understood
) -> tuple[str, ...]:
    """Return the sequence of each channel of a network.

    Args:
        stated: names in the file, in the order of the channels; empty where it has none.
        count: channels of the network.
        answers: of the user, which count more than the file.
        understood: told about it.

    Raises:
        InputError: the question which they are, or an answer that does not fit.
    """
    read = tuple(BY_ALIAS.get(_word(name), "") for name in stated)
    names = answers.channels or read
    sound = len(names) == count and all(name in SEQUENCES for name in names)
    if answers.channels and not (sound and len(set(names)) == count):
        raise InputError(
            found=f"--channels {' '.join(names)}",
            expected=f"{count} of {' '.join(SEQUENCES)}, each once, in the order of the network",
            action="correct it",
        )
    if not sound or len(set(names)) < count:
        raise open_question(
            f"a network of {count} channels, which the file calls {_quoted(stated)}",
            f"to know which of {', '.join(SEQUENCES)} each is",
            "state them in their order with --channels",
        )
    if answers.channels and stated and read != names:
        understood.note(f"--channels counts, the file says {_quoted(stated)}")
    understood.tell("channels", " ".join(names))
    return names


def outputs_of(
    stated: Sequence[str],
    count: int,
    regions: bool,
    answers: Answers,
    understood: Understood,
) -> NetworkOutputs:
    """Return what the outputs of a network are.

    Args:
        stated: names in the file, in the order of the outputs; empty where it has none.
        count: outputs of the network.
        regions: whether each has a sigmoid of its own; else a softmax joins them.
        answers: of the user, which count more than the file.
        understood: told about it.

    Raises:
        InputError: the question which they are, or an answer that does not fit.
        ModelError: regions of which no label follows.
    """
    names = answers.labels or tuple(stated)
    if regions and len(names) == count:
        _refuse_too_few(names)
    found = _regions(names) if regions else _labels(names, understood)
    if found is None or len(names) != count:
        every = f"WT, TC and ET, each once, and {RC} if it is one"
        what = every if regions else f"of {listed(list(LABELS.values()))}"
        if answers.labels:
            raise InputError(
                found=f"--labels {' '.join(names)}",
                expected=f"a name for each of the {count} outputs in their order, {what}",
                action="correct it",
            )
        raise open_question(
            f"{count} outputs, which the file calls {_quoted(stated)}",
            f"to know which {'regions' if regions else 'labels'} they are, {what}",
            "state them in their order with --labels",
        )
    if answers.labels and stated and answers.labels != tuple(stated):
        understood.note(f"--labels counts, the file says {_quoted(stated)}")
    shown = found.order if regions else [LABELS[int(label)] for label in found.order]
    understood.tell("outputs", ", ".join(map(str, shown)) + (" (sigmoid)" if regions else ""))
    return found


def region_of(name: str) -> str:
    """Return the region that a name stands for, 'RC' of the resection cavity, or ''."""
    return _REGION_OF.get(_word(name), "")


def _refuse_too_few(names: Sequence[str]) -> None:
    """Refuse regions of which no label follows: what lies in the others alone has no name here."""
    regions = [region_of(name) for name in names]
    missing = [region for region in REGIONS if region not in regions]
    if missing and all(regions) and len(set(regions)) == len(regions):
        raise ModelError(
            found=f"a network that tells {listed(regions)} and not {listed(missing)}",
            expected="WT, TC and ET: whole tumor alone is no edema, and tumor core alone is "
            "neither necrosis nor non-enhancing tumor, so no label would be true",
            action="choose a model with all three; nothing was imported",
        )


def _regions(names: Sequence[str]) -> RegionOutputs | None:
    order = tuple(region_of(name) for name in names)
    known = sorted(order) in (sorted(REGIONS), sorted(SCORED))
    return RegionOutputs(order=order) if known else None


def _labels(names: Sequence[str], understood: Understood) -> LabelOutputs | None:
    order = [_BY_WORD.get(_word(name)) for name in names]
    known = [label for label in order if label is not None]
    if len(known) < len(order) or known.count(0) != 1:
        return None
    if NON_ENHANCING in known and NECROSIS not in known:
        known = [NECROSIS if label == NON_ENHANCING else label for label in known]
        understood.note(
            "its non-enhancing tumor holds necrosis as well and becomes the label necrosis"
        )
    tumor = [label for label in known if label]
    if not tumor or len(set(tumor)) < len(tumor):
        return None
    return LabelOutputs(order=tuple(known))


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:8]) or "nothing"
