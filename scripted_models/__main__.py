"""The program, as `scripted-models` and as `python -m scripted_models`."""

import sys

from scripted_models.cli import main
from scripted_models.runtime.process_priority import end_soon, keep_freed_memory


def program() -> int:
    """Run the command line in a process of its own and return its exit code."""
    keep_freed_memory()
    code = main()
    end_soon()
    return code


if __name__ == "__main__":
    sys.exit(program())
