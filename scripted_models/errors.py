"""Errors that are the user's to fix, each with the exit code of the command line."""


class ScriptedModelsError(Exception):
    """Base of all expected errors; the text is one sentence for the user.

    Attributes:
        exit_code: exit status of the command line.
        code: short name used in JSON events.
    """

    exit_code = 1
    code = "internal"


class InputError(ScriptedModelsError):
    """The user's files, folders or options cannot be used as they are."""

    exit_code = 2
    code = "input"


class ModelError(ScriptedModelsError):
    """A model folder is missing, damaged or does not fit the program."""

    exit_code = 3
    code = "model"


class ResourceError(ScriptedModelsError):
    """The machine lacks something: memory, disk, a device."""

    exit_code = 4
    code = "resource"


class Cancelled(ScriptedModelsError):  # noqa: N818 - not a fault, an outcome
    """The run was cancelled by the user or by a signal."""

    exit_code = 130
    code = "cancelled"
