"""Options of the command line about which cases of a folder a run takes."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripted_models.errors import InputError

if TYPE_CHECKING:
    from scripted_models.cases.case import Case


def add_selection(parser: ArgumentParser) -> None:
    """Add the options for `selected`."""
    text = "only cases or patients of these names; of BIDS with or without 'sub-'"
    names = ("--participant-label", "--participant_label")  # both are those of BIDS apps
    parser.add_argument(*names, nargs="+", default=[], metavar="NAME", help=text)
    text = "only sessions of BIDS of these names, with or without 'ses-'"
    names = ("--session-label", "--session_label")
    parser.add_argument(*names, nargs="+", default=[], metavar="NAME", help=text)
    text = "only share I of N of the cases, for job arrays: every N-th, from the I-th"
    parser.add_argument("--shard", metavar="I/N", help=text)


def selected(options: Namespace, cases: "Sequence[Case]") -> "list[Case]":
    """Return the cases that the options leave, sorted by name; none where a share is empty.

    Raises:
        InputError: options without a folder, no share of any count, or a name that no case has.
    """
    if is_part(options) and not options.folder:
        raise InputError(
            found="--shard, --participant-label or --session-label beside single files",
            expected="them with a folder of cases only",
            action="leave them out",
        )
    from scripted_models.cases.selection import chosen

    shard = shard_of(options.shard) if options.shard else None
    return chosen(cases, options.participant_label, shard, options.session_label)


def is_part(options: Namespace) -> bool:
    """Tell whether the options name some of the cases, so that other runs may have the others."""
    return bool(options.shard or options.participant_label or options.session_label)


def shard_of(text: str) -> tuple[int, int]:
    """Return number and count of "I/N".

    Raises:
        InputError: it is not, or there is no such share.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(
            found=f"--shard {text}",
            expected="I/N with I from 1 to N, such as 3/8",
            action="count the tasks of the job array from 1",
        )
    return int(match[1]), int(match[2])
