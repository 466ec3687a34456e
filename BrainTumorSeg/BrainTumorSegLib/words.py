"""Texts of the program in the user's language: problems as sentences, names of stages."""

from collections.abc import Sequence

from scripted_models.errors import Phrase, Problem, ScriptedModelsError

from .translation import _, translate


def listed(names: Sequence[str]) -> str:
    """Return "", "a", "a and b" or "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])


def either(names: Sequence[str]) -> str:
    """Return "", "a", "a or b" or "a, b or c"."""
    if len(names) < 2:
        return "".join(names)
    return _("{names} or {last}").format(names=", ".join(names[:-1]), last=names[-1])


def in_words(problem: Problem, place: str = "") -> str:
    """Return a problem as one sentence, in English as its property `sentence`.

    Args:
        problem: its parts.
        place: what the sentence is about; by default what the problem says.
    """
    place = place or problem.place
    found, expected, action = map(translated, (problem.found, problem.expected, problem.action))
    frame = _frame(bool(place), bool(expected), bool(action))
    return frame.format(place=place, found=found, expected=expected, action=action)


def translated(part: str) -> str:
    """Return a part of a problem in the user's language, if it is a phrase of the package."""
    if not isinstance(part, Phrase):
        return part
    try:
        return translate(part.context, part.words).format(**part.values)
    except (KeyError, IndexError, ValueError):  # the translation has other places for values
        return part


def _frame(place: bool, expected: bool, action: bool) -> str:
    frames = {
        (True, True, True): _("{place}: found {found}, expected {expected}; {action}."),
        (True, True, False): _("{place}: found {found}, expected {expected}."),
        (True, False, True): _("{place}: found {found}; {action}."),
        (True, False, False): _("{place}: found {found}."),
        (False, True, True): _("Found {found}, expected {expected}; {action}."),
        (False, True, False): _("Found {found}, expected {expected}."),
        (False, False, True): _("Found {found}; {action}."),
        (False, False, False): _("Found {found}."),
    }
    return frames[place, expected, action]


def error_in_words(error: Exception) -> str:
    """Return what the user reads about an error; errors without parts bring their own sentence."""
    if isinstance(error, ScriptedModelsError) and error.problem.sentence == str(error):
        return in_words(error.problem)
    return str(error)


def stage_in_words(name: str) -> str:
    """Return the name of a stage of the run; the child's own word where it is not known."""
    stages = {
        "start": _("starting"),
        "export": _("exporting the volumes"),
        "load": _("loading the model"),
        "read": _("reading the volumes"),
        "brain": _("stripping skulls"),
        "register": _("registering the volumes"),
        "resample": _("resampling the volumes"),
        "preprocess": _("preprocessing"),
        "network": _("running the network"),
        "postprocess": _("postprocessing"),
        "write": _("writing the result"),
    }
    return stages.get(name, name)
