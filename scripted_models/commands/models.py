"""`scripted-models models`: the model folders at hand."""

import json
from pathlib import Path

from scripted_models.progress import Progress


def add_parser(subparsers) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("models", help="list model folders with their cards")
    parser.add_argument("folders", type=Path, nargs="*", help="further model folders")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options, progress: Progress) -> int:
    """Print every shipped model and every folder named, after verifying its checksums."""
    from scripted_models.model_description import (
        find_model,
        read_description,
        shipped_models,
        verify_checksums,
    )

    folders = shipped_models() + [find_model(str(folder)) for folder in options.folders]
    found = []
    for folder in folders:
        verify_checksums(folder)
        card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
        found.append({"path": str(folder), **read_description(folder), "card": card})
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for model in found:
        print(f"{model['name']}  ({model['path']})\n")
        print(model["card"])
    return 0
