"""Where Python looks for modules: never in the folder that the user happens to be in."""

import os
import sys


def forget_current_folder() -> None:
    """Take the current folder off the search path, unless this package itself lies in it.

    ``python -m`` puts it there, and Python before 3.11 has no option against it. A file `numpy.py`
    beside the user's data would be run. Only modules that are loaded anyhow are used for it.
    """
    here = os.path.realpath(os.curdir)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.realpath(os.path.dirname(package)) == here:
        return
    sys.path[:] = [path for path in sys.path if path and os.path.realpath(path) != here]
