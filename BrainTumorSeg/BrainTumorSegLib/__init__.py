"""What the Slicer module does: volume nodes to files, a child process, the result into the scene.

Scripts call `logic.segment` or drive a `logic.SegmentationJob`. `dependencies.ensure` installs
PyTorch and MONAI. `model_list` and `model_import` manage models. `result_table.update_table`
measures. `previous_result.restore_previous` brings back what was there before.
`sample_data.add_phantom` makes an artificial patient. Everything else serves these. Only `panel`
needs Qt.

``scripted_models`` lies beside this package in an installed extension and one folder higher in the
source tree. It is made importable here, behind everything that is already on the path.
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
        f"{PACKAGE_PARENTS[0]}: found no folder 'scripted_models' here or in {PACKAGE_PARENTS[1]}; "
        "install the extension BrainTumorSeg again."
    )


if importlib.util.find_spec("scripted_models") is None:
    sys.path.append(str(package_parent()))
