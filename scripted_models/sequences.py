"""The four MRI sequences and the names under which files carry them."""

import re

SEQUENCES = ("t1", "t1c", "t2", "flair")
TITLES = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR"}  # for people

# Aliases as whole tokens of a file name, lower case. 't1' never matches inside 't1ce'.
ALIASES: dict[str, tuple[str, ...]] = {
    "t1": ("t1", "t1n", "t1w", "t1pre"),
    "t1c": (
        "t1c",
        "t1ce",
        "t1gd",
        "t1gad",
        "t1wc",
        "t1wce",
        "t1wgd",
        "t1cw",
        "t1post",
        "t1contrast",
        "ct1",
    ),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f", "t2flair", "fla", "flr"),
}
BY_ALIAS = {alias: sequence for sequence, names in ALIASES.items() for alias in names}


def name_tokens(name: str) -> list[str]:
    """Split a file name (without extension) into lower-case tokens at every separator."""
    return [token.lower() for token in re.findall(r"[0-9A-Za-z]+", name)]
