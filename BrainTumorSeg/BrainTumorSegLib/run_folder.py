"""The temporary folder of a run; it holds images of a patient and must not stay behind."""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from scripted_models.runtime.parent_process import is_running

PREFIX = "BrainTumorSeg-"
ABANDONED_AFTER_S = 3600.0


def make_run_folder() -> Path:
    """Make a folder for one run of this process, after removing what killed ones left behind."""
    remove_abandoned_folders()
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def remove_abandoned_folders() -> None:
    """Remove the folders of processes that are gone, an hour after they were last used."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}[0-9]*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            old = time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S
            if old and pid.isdigit() and not is_running(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)
