"""What the name of a label means, as people and data sets write it.

A label map's own statement (segment names, the table of a data set) is read through this one table.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scripted_models.labels import (
    CAVITY,
    CODINGS,
    ENHANCING,
    MERGED_NOTE,
    NECROSIS,
    NON_ENHANCING,
    REGIONS,
    LabelCoding,
    known_regions,
)

MOST = 255  # value of a label map
BACKGROUND, EDEMA = 0, 2


@dataclass(frozen=True)
class Meaning:
    """What a label or segment holds.

    Attributes:
        label: internal label 0-5; of a region the label of what is in it and in no smaller region.
        region: "WT", "TC" or "ET" where the name is that of a region, or "".
        merged: necrosis and non-enhancing tumor together.
    """

    label: int
    region: str = ""
    merged: bool = False


_OTHER, _EDEMA = Meaning(BACKGROUND), Meaning(EDEMA)
_NECROSIS, _MERGED = Meaning(NECROSIS), Meaning(NECROSIS, merged=True)
_NON_ENHANCING, _ENHANCING = Meaning(NON_ENHANCING), Meaning(ENHANCING)
_CAVITY = Meaning(CAVITY)
_WHOLE, _CORE, _ENHANCING_REGION = (
    Meaning(label, region) for label, region in ((EDEMA, "WT"), (NECROSIS, "TC"), (ENHANCING, "ET"))
)

# Words that stand for each other, brought into one form before the table is asked. Small letters.
_FORMS = (
    (r"\b(?:per[iy])?(?:tumou?r|focal|vasogenic) ?(?=o?edem)", ""),
    (r"\bperitumou?ral\b", ""),
    (r"\b(?:o?edema\w*|\u00f6dem|odem|ede|ed)\b", "edema"),
    (r"\b(?:non?|un) ?(?:contrast |gd |gadolinium |ce )?enh(?:anc\w*)?\b", "nonenhancing"),
    (r"\b(?:contrast |gd |gadolinium )?enh(?:anc\w*)?\b", "enhancing"),
    (r"\bce (?=tumou?r|lesion)", "enhancing "),
    (r"\b(?:necro\w*|nekro\w*|ncr|nec)\b", "necrosis"),
    (r"\b(?:tumou?rs?|glioma|gbm|lesion|neoplasm)\b", "tumor"),
    (r"\b(?:cysts?|cystic)\b", "cyst"),
)
_PARTS = r"(?: (?:tumor|tissue|part|component|area|rim|ring|solid|core|volume))*"
# Pattern of the whole name -> meaning; the first that fits.
_TABLE: tuple[tuple[str, Meaning], ...] = (
    (r"background|bg|clear label|nothing|none|other|(?:no|non|not) ?tumor", _OTHER),
    (r"(?:healthy|normal)(?: (?:brain|tissue|appearing|white|gr[ae]y|matter))*", _OTHER),
    (r"air|bone|skull|skin|scalp|head|brain(?: ?mask| tissue)?|csf|gm|wm|eyes?", _OTHER),
    (r"cerebrospinal fluid|(?:gr[ae]y|white) matter|(?:left |right )?ventricles?", _OTHER),
    (r"cerebellum|brain ?stem|vessels?", _OTHER),
    (r"rc|(?:tumor )?(?:resection|surgical|surgery|operation|post ?op\w*) (?:cavity|hole)|cavity",
     _CAVITY),
    # 'Surrounding non-enhancing FLAIR hyperintensity'; without the first words it is all of it.
    (r"snfh(?: .*)?|(?:surrounding |nonenhancing )+(?:t2 )?flair hyperint\w*", _EDEMA),
    (r"(?:t2 )?flair (?:hyperint\w*|abnormal\w*|tumor)(?: region)?", _WHOLE),
    (r"(?:invaded |infiltrat\w* |and )*edema(?: and)?(?: (?:invaded|infiltrat\w*|invasion))*"
     r"(?: (?:tissue|region|area|zone|part|component))*", _EDEMA),
    (r"necrosis (?:and )?n?et|netc|(?:nonenhancing tumor|nonenhancing) core", _MERGED),
    (rf"necrosis{_PARTS} (?:and )?nonenhancing{_PARTS}", _MERGED),
    (rf"nonenhancing{_PARTS} (?:and )?necrosis{_PARTS}", _MERGED),
    (rf"net|(?:(?:solid|tumor) )*nonenhancing{_PARTS}", _NON_ENHANCING),
    (rf"(?:(?:tumor|central|intratumou?ral) )?necrosis{_PARTS}"
     r"(?: (?:and )?(?:cyst|ecm)(?: core)?)?", _NECROSIS),
    (r"cc|cyst(?: (?:component|part|area))?(?: (?:and )?necrosis)?", _NECROSIS),
    (r"wt|(?:(?:whole|complete|entire|full|all|brain) )?tumor(?: (?:mask|region|area))?", _WHOLE),
    (r"(?:whole|complete)(?: region)?", _WHOLE),
    (r"tc|(?:gross )?(?:tumor )?core(?: region)?", _CORE),
    (r"enhancing(?: tumor)? region", _ENHANCING_REGION),
    (rf"(?:(?:solid|tumor) )*(?:et|at|ect|cet|enhancing|active|viable){_PARTS}", _ENHANCING),
)  # fmt: skip


def meaning_of(name: str) -> Meaning | None:
    """Return what a label's name means; None where it is not known.

    Example:
        >>> meaning_of("Peritumoral oedema").label, meaning_of("NCR/NET").merged
        (2, True)
        >>> meaning_of("whole tumor region").region, meaning_of("Segment_1")
        ('WT', None)
    """
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name[:200])  # EnhancingTumor
    parts = (name, *re.split(r"[()\[\]:=]| - ", name))  # 'Necrotic core (NCR)'
    whole, *single = map(_of_words, parts)
    labels = {found.label: found for found in single if found}
    return whole or (labels.popitem()[1] if len(labels) == 1 else None)


def _of_words(name: str) -> Meaning | None:
    text = " ".join(re.findall(r"[^\W_]+", name.lower()))
    text = re.sub(r"^\d+ (?=[a-z])| \d+$", "", text)  # '1 - edema', 'edema_1'
    text = re.sub(r"^(?:label|class|segment) (?=[a-z])| (?:label|class|mask|seg)$", "", text)
    for pattern, form in _FORMS:
        text = re.sub(pattern, form, text)
    text = " ".join(text.split())
    return next((found for pattern, found in _TABLE if re.fullmatch(pattern, text)), None)


def coding_of(meanings: Mapping[int, Meaning], name: str, whole: bool = False) -> LabelCoding:
    """Return the coding of a label map whose values mean this.

    A value that is named by a region holds what is in the region and in no smaller one. Where a
    data set names one of necrosis and non-enhancing tumor, it stands for both.

    Args:
        meanings: value -> meaning.
        name: of the coding, for messages.
        whole: a label that no value has does not occur, as in the segmentation of one patient;
            else the data set does not tell it.
    """
    core = {m.label for m in meanings.values()} & {NECROSIS, NON_ENHANCING}
    merged = any(m.merged for m in meanings.values()) or (len(core) == 1 and not whole)
    table = {value: m.label for value, m in meanings.items() if value <= MOST}
    if core == {NON_ENHANCING} and not whole:
        table = {value: NECROSIS if m == NON_ENHANCING else m for value, m in table.items()}
    regions = told_regions(meanings.values(), whole)
    table = {BACKGROUND: BACKGROUND, **table}
    note, cavity = MERGED_NOTE if merged else "", _CAVITY in meanings.values()
    coding = LabelCoding(name, table, {}, merged, note, regions, cavity)
    same = (known for known in CODINGS.values() if _is_same(known, coding))
    return next(same, coding)


def _is_same(known: LabelCoding, coding: LabelCoding) -> bool:
    facts = [(c.to_internal, c.merged_necrosis, c.regions) for c in (known, coding)]
    return bool(known.from_internal) and facts[0] == facts[1]


def told_regions(meanings: Collection[Meaning], whole: bool) -> tuple[str, ...]:
    """Return the regions that values or segments of these meanings tell."""
    named = {m.region for m in meanings if m.region}
    if whole and not named:
        return tuple(REGIONS)
    labels = {m.label for m in meanings if not m.region or m.region == "ET"}
    known = {*known_regions(tuple({m.label for m in meanings})), *named}
    if ENHANCING not in labels:
        known -= {"ET"}
    if not named & {"TC"} and not labels & {NECROSIS, NON_ENHANCING}:
        known -= {"TC"}
    if "TC" in known and EDEMA in labels:
        known.add("WT")
    return tuple(region for region in REGIONS if region in known)
