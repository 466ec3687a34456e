"""The program imports MONAI without what MONAI merely can use; nothing stays hidden afterwards."""

import json
import subprocess
import sys

CODE = """
import json, sys
{first}
import monai.transforms
seen = [name for name in ("ignite", "matplotlib", "scipy.signal") if name in sys.modules]
import matplotlib.pyplot, scipy.signal, ignite.engine
from monai.data import list_data_collate
print(json.dumps([seen, monai.__spec__.name, monai.__file__.endswith("__init__.py")]))
"""
LEAN = "from scripted_models.runtime.lean_imports import import_monai_alone as f; f()"


def _told(first):
    code = CODE.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_monai_can_use_is_not_imported_but_can_be():
    """What is imported already stays."""
    assert _told(f"import scipy.signal; {LEAN}") == [["scipy.signal"], "monai", True]


def test_the_program_does_it():
    code = (
        "import sys; sys.argv = ['scripted-models', 'networks', '--json']; "
        "from scripted_models.__main__ import program; code = program(); "
        "import monai; sys.stderr.write(str([code, 'ignite' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith("[0, False]"), done.stderr
