"""`scripted-models bids BIDS OUT participant`: the call of a BIDS app."""

from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path

from scripted_models.commands import segment
from scripted_models.sequences import SEQUENCES


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command: `segment BIDS --bids --output OUT` in another order of words."""
    from scripted_models.cases.selection_options import add_selection

    text = "segment a BIDS data set, called as a BIDS app"
    parser = subparsers.add_parser("bids", help=text)
    parser.add_argument("folder", type=Path, metavar="BIDS", help="the data set")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the derivative")
    text = "the one level that there is: each participant alone"
    parser.add_argument("level", choices=("participant",), help=text)
    add_selection(parser)
    text = "leave out unusable sequences"
    parser.add_argument("--without", nargs="+", choices=SEQUENCES, default=[], help=text)
    segment.add_segmenting(parser)
    nothing = dict.fromkeys((*SEQUENCES, "case_name"))
    parser.set_defaults(bids=True, **nothing)
