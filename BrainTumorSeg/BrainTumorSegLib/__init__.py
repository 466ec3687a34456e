"""What the Slicer module does apart from its panel; needs no Qt.

``scripted_models`` lies beside this package in an installed extension and one folder higher in the
source tree; it is made importable here, behind everything that is already on the path.
"""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE_PARENTS = (HERE.parent, HERE.parent.parent)


def package_parent() -> Path:
    """Return the folder that holds the ``scripted_models`` belonging to this module.

    Raises:
        FileNotFoundError: neither an installed extension nor the source tree.
    """
    for parent in PACKAGE_PARENTS:
        if (parent / "scripted_models" / "__init__.py").is_file():
            return parent
    raise FileNotFoundError(
        f"The folder 'scripted_models' is neither in {PACKAGE_PARENTS[0]} nor in "
        f"{PACKAGE_PARENTS[1]}; install the extension BrainTumorSeg again."
    )


if importlib.util.find_spec("scripted_models") is None:
    sys.path.append(str(package_parent()))
