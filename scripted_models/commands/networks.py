"""`scripted-models networks`: the registered networks."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction

from scripted_models.runtime.progress import Progress
from scripted_models.runtime.standard_streams import say


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("networks", help="list the registered networks")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: Namespace, progress: Progress) -> int:
    """Print name, trainable parameters, receptive field, output stride and margins."""
    from scripted_models.networks import NETWORKS

    rows = [entry.describe() for entry in NETWORKS.values()]
    if options.json:
        say(json.dumps(rows, indent=2))
        return 0
    say(f"{'network':<18}{'axes':<5}{'parameters':>12}{'field':>7}{'stride':>8}  margins   source")
    for row in rows:
        margins = f"{row['margins'][0]}+{row['margins'][1]}"
        say(
            f"{row['name']:<18}{row['dimensions']}-D  {row['trainable_parameters']:>12,}"
            f"{row['receptive_field']:>7}{row['output_stride']:>8}  {margins:<8}  {row['source']}"
        )
    return 0
