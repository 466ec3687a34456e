"""MONAI bundle: `configs/metadata.json`, a configuration of inference in JSON, `models/model.pt`.

Source: MONAI bundle specification 0.5; model zoo, `brats_mri_segmentation`. Read are the plain
values of `network_def`, `inferer`, `preprocessing` and `postprocessing`; nothing else is, and no
expression is evaluated.
"""

import re
from collections.abc import Mapping
from typing import Any

from scripted_models.bundle.description_parts import Origin
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.foreign_model import ForeignModel, checksum
from scripted_models.bundle.importers.foreign_words import channels_of, outputs_of
from scripted_models.bundle.importers.monai_steps import (
    After,
    Before,
    read_after,
    read_before,
    read_window,
)
from scripted_models.bundle.importers.networks import monai_network, sizes_of
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.bundle.importers.space import space_of
from scripted_models.bundle.importers.stage import stage_of
from scripted_models.bundle.state_dicts import read_state_dict

METADATA, WEIGHTS = "configs/metadata.json", "models/model.pt"
_CONFIGS = ("configs/inference.json", "configs/evaluate.json")
_TERMS = ("LICENSE", "docs/license.txt", "docs/data_license.txt")
_READ = ("network_def", "inferer", "preprocessing", "postprocessing")
# What published bundles import for expressions that are not evaluated here.
_IMPORTS = re.compile(r"\$import (glob|os|json|torch|monai|numpy|numpy as np|sys)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?x ?(\d+(?:\.\d+)?) ?x ?(\d+(?:\.\d+)?) ?mm\b")

Table = Mapping[str, Any]


def read(source: ForeignSource, answers: Answers, understood: Understood) -> ForeignModel:
    """Read a bundle.

    Args:
        source: its files, configs, models and docs at the top.
        answers: of the user.
        understood: told what is understood.

    Raises:
        ModelError: something that is not known here, or no plain weights.
        InputError: a question that the user must answer.
    """
    metadata = source.table(METADATA)
    name = _text(metadata, "name") or source.path.stem
    understood.tell("format", f"MONAI bundle, {name} {_text(metadata, 'version')}".strip())
    config = _config(source)
    network = monai_network(config.get("network_def"), "network_def", source)
    window = read_window(config.get("inferer"), source)
    before = read_before(config.get("preprocessing"), source)
    after = read_after(config.get("postprocessing"), source)
    content = _weights(source)
    weights = read_state_dict(content)
    inputs, count = sizes_of(network)
    named = _definitions(metadata, "inputs"), _definitions(metadata, "outputs")
    channels = channels_of(named[0], inputs, answers, understood)
    meaning = outputs_of(named[1], count, after.regions, answers, understood)
    _tell(before, after, window.size, understood)
    space = space_of(
        before.orientation, _spacing(before, metadata), _facts(metadata), answers, understood
    )
    terms = [
        source.read(term).decode("utf-8", "replace") for term in _TERMS if term in source.names
    ]
    _note_left_out(source, understood)
    understood.tell("terms", f"{terms[0].strip().splitlines()[0][:80]} ..." if terms else "none")
    return ForeignModel(
        name=name,
        summary=_text(metadata, "description"),
        network=network,
        weights=[weights],
        channels=channels,
        outputs=meaning,
        made_for=stage_of(meaning, _facts(metadata), understood),
        threshold=after.threshold,
        window=window,
        space=space,
        steps=before.steps,
        origin=Origin(
            format="MONAI bundle",
            file=source.path.name,
            weights=WEIGHTS,
            sha256=checksum(content),
            version=_text(metadata, "version"),
            authors=_text(metadata, "authors"),
            copyright=_text(metadata, "copyright"),
            source="; ".join(filter(None, (_text(metadata, "data_source"), _references(metadata)))),
            license=next((term for term in _TERMS if term in source.names), ""),
            notes=tuple(understood.notes),
        ),
        terms="\n\n".join(terms),
    )


def _config(source: ForeignSource) -> Table:
    """Return the configuration of inference.

    Raises:
        ModelError: there is none in JSON, it imports code of its own, or states parts elsewhere.
    """
    for name in _CONFIGS:
        if name in source.names:
            break
    else:
        others = [name for name in source.names if name.startswith("configs/")]
        raise source.refusal(f"no {_CONFIGS[0]} (but {', '.join(others)[:80]})", "one, in JSON")
    config = source.table(name)
    imports = config.get("imports", [])
    for stated in imports if isinstance(imports, list) else [imports]:
        if not isinstance(stated, str) or not _IMPORTS.fullmatch(stated):
            raise source.refusal(
                f"the import {str(stated)[:80]!r} in {name}", "a bundle without code of its own"
            )
    if elsewhere := [key for key in config if key.partition("#")[0] in _READ and "#" in key]:
        raise source.refusal(f"the key {elsewhere[0][:60]!r} in {name}", "whole tables")
    return config


def _weights(source: ForeignSource) -> bytes:
    if WEIGHTS not in source.names:
        ts = [name for name in source.names if name.endswith(".ts")]
        raise source.refusal(
            f"no {WEIGHTS}" + (f" but the program {ts[0]}, which is not run" if ts else ""),
            "weights as a state dict",
        )
    return source.read_weights(WEIGHTS)


def _definitions(metadata: Table, which: str) -> list[str]:
    """Return the names of the channels of the only input or output, in their order."""
    stated: Any = metadata
    for key in ("network_data_format", which):
        stated = stated.get(key) if isinstance(stated, Mapping) else None
    if not isinstance(stated, Mapping) or len(stated) != 1:
        return []
    (only,) = stated.values()
    names = only.get("channel_def") if isinstance(only, Mapping) else None
    if not isinstance(names, Mapping):
        return []
    ordered = [names.get(str(index)) for index in range(len(names))]
    return [name for name in ordered if isinstance(name, str)]


def _facts(metadata: Table) -> str:
    """Return all that the file says of its data."""
    keys = ("name", "description", "data_source", "task")
    return " ".join(_text(metadata, key) for key in keys)


def _spacing(before: Before, metadata: Table) -> tuple[float, ...]:
    """Return the spacing that a bundle resamples to, or else says that it expects."""
    if before.spacing_mm:
        return before.spacing_mm
    said = _SIZE.search(_text(metadata, "image_classes"))
    return tuple(float(part) for part in said.groups()) if said else ()


def _tell(before: Before, after: After, size: tuple[int, ...], understood: Understood) -> None:
    steps = [step.step for step in before.steps]
    understood.tell("preprocessing", ", ".join(steps) or "none")
    understood.tell("windows", " x ".join(map(str, size)))
    if after.left_out:
        understood.note(
            "an expression after the network is not read; a voxel gets the label of its innermost "
            "region (4 where ET, else 1 where TC, else 2 where WT)"
        )


def _note_left_out(source: ForeignSource, understood: Understood) -> None:
    code = [name for name in source.names if name.endswith((".ts", ".py", ".pyc", ".sh"))]
    if code:
        understood.note(f"programs in it were not read: {', '.join(sorted(code))[:150]}")


def _references(metadata: Table) -> str:
    stated = metadata.get("references", [])
    texts = stated if isinstance(stated, list) else [stated]
    return " ".join(" ".join(text.split()) for text in texts if isinstance(text, str))[:1000]


def _text(table: Table, key: str) -> str:
    """Return a text of a table on one line, '' where it has none."""
    value = table.get(key, "")
    return " ".join(value.split())[:500] if isinstance(value, str) else ""
