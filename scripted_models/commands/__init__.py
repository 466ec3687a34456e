"""Sub-commands: each module has `add_parser(subparsers)` and `run(options, progress)`."""
