"""Faults that users meet: what is done, what the program says, and what is left on the disk.

The numbers are those of the project's list of inputs and faults. A fault is a function that
spoils the inputs of a case and returns the command. `test_faults.py` runs it. `FAULTS.md` is made
from here.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from faults_elsewhere import ELSEWHERE
from model_fixtures import quick_model

from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.runtime.processor_cores import usable_cores

NAMES = ("t1", "t1c", "t2", "flair")
MODEL = quick_model()
NOTHING, RESULT, OTHERS = "nothing", "the result", "the results of the others"
INPUT = "nothing, the input is as before"
HEAD = """# What happens to bad input

Written by `python Testing/test_faults.py` from the table that `test_faults.py` runs. Each fault is
really done to the files of a case, and the user's command is run. Then its sentence, exit code and
remains are compared. With exit code 0 the sentence is a warning. Names in braces are paths.

| no. | what is done | what the program says | exit code | on the disk | test |
|---|---|---|---|---|---|
"""
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        number: in the list.
        what: what is done.
        spoil: does it; see `Inputs`.
        code: exit code of the command.
        says: the error, or with exit code 0 a warning; empty where none is asked for. Names in
            braces are paths.
        left: what is on the disk afterwards.
    """

    number: int
    what: str
    spoil: Callable
    code: int
    says: str
    left: str


FAULTS: list[Fault] = []


def fault(number: int, what: str, code: int, says: str = "", left: str = "") -> Callable:
    """Add a row to the table; the function spoils inputs."""

    def add(spoil: Callable) -> Callable:
        FAULTS.append(Fault(number, what, spoil, code, says, left or (NOTHING if code else RESULT)))
        return spoil

    return add


@dataclass
class Inputs:
    """A small case in files of its own, which a fault may spoil.

    Attributes:
        root: a fresh folder.
        paths: sequence -> file, for the options of the command.
        options: further options of `segment`.
    """

    root: Path
    paths: dict[str, Path] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    undo: list[Callable] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Folder of the case."""
        return self.root / "in" / "case"

    @property
    def output(self) -> Path:
        """Folder for the results, absent at first."""
        return self.root / "out"

    def image(self, name: str) -> sitk.Image:
        """Read an input."""
        return sitk.ReadImage(str(self.paths[name]))

    def write(self, name: str, image: sitk.Image, file: str = "") -> Path:
        """Replace an input by an image, in a file of another name if given."""
        self.paths[name].unlink(missing_ok=True)
        self.paths[name] = self.folder / (file or self.paths[name].name)
        sitk.WriteImage(image, str(self.paths[name]))
        return self.paths[name]

    def change(self, name: str, change: Callable[[np.ndarray], np.ndarray], file="") -> None:
        """Replace the voxels of an input."""
        old = self.image(name)
        new = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(old)))
        new.CopyInformation(old)
        self.write(name, new, file)

    def put(self, name: str, content: bytes, file: str = "") -> Path:
        """Replace an input by bytes."""
        self.paths[name].unlink(missing_ok=True)
        self.paths[name] = self.folder / (file or self.paths[name].name)
        self.paths[name].write_bytes(content)
        return self.paths[name]

    def command(self) -> list[str]:
        """Return `segment` of the files."""
        files = [text for m, path in self.paths.items() for text in (f"--{m}", str(path))]
        return [
            "segment",
            *files,
            "--case-name",
            "case",
            "--output",
            str(self.output),
            *([] if "--model" in self.options else ["--model", MODEL]),
            *self.options,
        ]

    def named(self, says: str) -> str:
        """Put the paths into a sentence of the table."""
        places = {
            **self.paths,
            "CORES": usable_cores(),
            "OUT": self.output,
            "IN": self.folder,
            "ROOT": self.root,
        }
        for name, path in places.items():
            says = says.replace("{" + name + "}", str(path))
        return says


_VOLUMES: dict[str, np.ndarray] = {}
GRID = ((1.0, 1.0, 3.0), (-20.0, -20.0, 10.0))


def make_inputs(root: Path) -> Inputs:
    """Write a small case: 40 x 40 x 14 voxels of 1 x 1 x 3 mm."""
    if not _VOLUMES:
        _VOLUMES.update(make_phantom(1, (40, 40, 14)).volumes)
    inputs = Inputs(root)
    inputs.folder.mkdir(parents=True)
    for name in NAMES:
        image = sitk.GetImageFromArray(_VOLUMES[name].astype(np.float32))
        image.SetSpacing(GRID[0])
        image.SetOrigin(GRID[1])
        inputs.paths[name] = inputs.folder / f"case_{name}.nii.gz"
        sitk.WriteImage(image, str(inputs.paths[name]))
    return inputs


class _Capabilities(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def markdown() -> str:
    """Return the table as FAULTS.md shows it."""
    rows = [(f.number, _cells(f)) for f in FAULTS]
    rows += [(e.number, f"{e.what} | {e.answer} | | | `{e.test}`") for e in ELSEWHERE]
    lines = [f"| {number} | {text} |" for number, text in sorted(rows, key=lambda row: row[0])]
    return HEAD + "".join(line + "\n" for line in lines)


def _cells(fault: Fault) -> str:
    says = fault.says.replace("|", "\\|").replace("<", "&lt;") or "as usual"
    return f"{fault.what} | {says} | {fault.code} | {fault.left} | `{fault.spoil.__name__}`"


@contextmanager
def without_rights_of_root() -> Iterator[None]:
    """Let permissions hold for root, too: the calling thread gives up CAP_DAC_* meanwhile."""
    if os.name != "posix" or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (_Capabilities * 2)()
    libc.capget(header, sets)
    before = sets[0].effective
    sets[0].effective &= ~0b110  # DAC_OVERRIDE, DAC_READ_SEARCH
    libc.capset(header, sets)
    try:
        yield
    finally:
        sets[0].effective = before
        libc.capset(header, sets)
