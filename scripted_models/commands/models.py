"""`scripted-models models`: list the models at hand, import one, remove one."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_models.errors import InputError, ModelError, ScriptedModelsError
from scripted_models.runtime.progress import Progress, make_progress
from scripted_models.runtime.standard_streams import say
from scripted_models.sequences import SEQUENCES

if TYPE_CHECKING:
    from scripted_models.bundle.importers.answers import Answers, Understood
    from scripted_models.bundle.registry import StoredModel


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("models", help="list models with their cards, import, remove")
    parser.add_argument("folders", type=Path, nargs="*", help="further model folders to list")
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--import",
        dest="source",
        type=Path,
        metavar="PATH",
        help="check a model folder or zip file, or one of MONAI, Auto3DSeg or nnU-Net, and copy it "
        "to your models",
    )
    change.add_argument("--remove", metavar="NAME", help="remove one of your models")
    parser.add_argument("--name", help="name for the imported model (default: its own)")
    _add_answers(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, of an error too")
    parser.set_defaults(run=run)


def _add_answers(parser: ArgumentParser) -> None:
    """Add the options for what the file of another program does not say."""
    said = parser.add_argument_group("models of other programs, where their file does not say it")
    said.add_argument(
        "--channels", nargs="+", default=[], choices=SEQUENCES, help="sequence of each channel"
    )
    said.add_argument(
        "--labels", nargs="+", default=[], metavar="NAME", help="label or region of each output"
    )
    said.add_argument("--orientation", default="", help="of the volumes that trained it, as LPS")
    said.add_argument(
        "--spacing", nargs=3, type=float, default=[], metavar="MM", help="of these volumes, x y z"
    )
    said.add_argument("--fold", default="", help="fold of nnU-Net (default: the mean of them)")


def run(options: Namespace, progress: Progress) -> int:
    """Import or remove a model, or print all models, shipped, named and the user's.

    With --json an error is printed as the event of `runtime.progress`, before it is told as usual.
    """
    try:
        return _run(options)
    except ScriptedModelsError as error:
        if options.json:
            make_progress("json").error(error)
        raise


def _run(options: Namespace) -> int:
    if options.folders and (options.source or options.remove):
        raise InputError(
            found="folders to list beside --import or --remove",
            expected="either",
            action="drop one",
        )
    if options.name is not None and not options.source:
        raise InputError(
            found="--name without --import", expected="both", action="add --import PATH"
        )
    if _answers(options).are_given and not options.source:
        raise InputError(
            found="answers for an import without --import",
            expected="both",
            action="add --import PATH",
        )
    if options.source:
        return _import(options)
    return _remove(options) if options.remove is not None else _list(options)


def _import(options: Namespace) -> int:
    from scripted_models.bundle.importers.answers import Understood
    from scripted_models.bundle.registry import import_model

    understood = Understood()
    try:
        model = import_model(options.source, options.name, _answers(options), understood)
    except InputError:  # a question, for which it helps to know what is known
        _tell(options, understood)
        raise
    record = {**_record(model), "understood": understood.lines}
    if options.json:
        say(json.dumps(record, indent=2))
        return 0
    _tell(options, understood)
    say(f"imported {model.name}  ({model.folder})")
    return 0


def _tell(options: Namespace, understood: "Understood") -> None:
    for line in understood.lines:
        if options.json:
            make_progress("json").message(line)
        else:
            say(line)


def _answers(options: Namespace) -> "Answers":
    from scripted_models.bundle.importers.answers import Answers

    return Answers(
        channels=tuple(options.channels),
        labels=tuple(options.labels),
        orientation=options.orientation,
        spacing_xyz_mm=tuple(options.spacing),
        fold=options.fold,
    )


def _remove(options: Namespace) -> int:
    from scripted_models.bundle.registry import remove_model

    folder = remove_model(options.remove)
    record = {"removed": options.remove, "path": str(folder)}
    say(json.dumps(record, indent=2) if options.json else f"removed {folder}")
    return 0


def _list(options: Namespace) -> int:
    from scripted_models.bundle.model_folders import find_model
    from scripted_models.bundle.registry import list_models, stored_model

    listed = list_models()
    expected = [model for model in listed if not model.user]
    expected += [stored_model(find_model(str(folder))) for folder in options.folders]
    for model in expected:
        if model.problem:
            raise ModelError.of(model.problem)
    models = expected + [model for model in listed if model.user]
    if options.json:
        say(json.dumps([_record(model) for model in models], indent=2))
        return 0
    for model in models:
        say(f"{model.name}  ({model.folder})\n")
        say(f"Not usable: {model.problem.sentence}\n" if model.problem else model.card)
    return 0


def _record(model: "StoredModel") -> dict[str, object]:
    return {
        **(model.description.to_table() if model.description else {}),
        "name": model.name,
        "path": str(model.folder),
        "card": model.card,
        "user": model.user,
        "problem": model.problem.sentence if model.problem else "",
    }
