"""Faults that users meet, each with what is done, what the program says, and what is left on the disk.

The numbers are those of the project's list of 62 inputs and faults. A fault is a function that spoils the
inputs of a case and returns the command; `test_faults.py` runs it, and `FAULTS.md` is written from here.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.phantom.phantom_case import make_phantom

NAMES = ("t1", "t1c", "t2", "flair")
MODEL = "TwoPathCNN"  # the quickest
NOTHING, RESULT, OTHERS = "nothing", "the result", "the results of the others"
INPUT = "nothing, the input is as before"
HEAD = """# What happens to bad input

Written by `python Testing/test_faults.py` from the table that `test_faults.py` runs: each fault is really done
to the files of a case, the command of the user is run, and its sentence, exit code and remains are compared.
With exit code 0 the sentence is a warning. Names in braces are paths.

| no. | what is done | what the program says | exit code | on the disk | test |
|---|---|---|---|---|---|
"""
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        number: in the list of 62.
        what: what is done.
        spoil: does it; see `Inputs`.
        code: exit code of the command.
        says: the error, or with exit code 0 a warning (empty: none is asked for); names in braces are paths.
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


@dataclass(frozen=True)
class Elsewhere:
    """A fault that another test does, or that cannot be done here.

    Attributes:
        number: in the list of 62.
        what: what happens to the user.
        answer: what the program does.
        test: 'file::test' in this folder, or the reason why there is none.
    """

    number: int
    what: str
    answer: str
    test: str


ELSEWHERE = (
    Elsewhere(15, "network paths of Windows (UNC)", "passed on as they are", "none: needs Windows"),
    Elsewhere(26, "in Slicer: a volume that does not overlap", "the panel names it, Run stays off",
              "test_slicer_input_check.py::test_voxels_are_read_again_only_after_a_change_and_moves_are_seen"),
    Elsewhere(24, "in Slicer: volumes on different grids", "resampled to the reference, and said",
              "test_slicer_volume_export.py::test_other_grids_are_resampled_in_physical_space"),
    Elsewhere(36, "in Slicer: a linear transform above all volumes", "applied to the grid",
              "test_slicer_volume_export.py::test_rigid_transform_of_all_moves_the_grid_and_keeps_the_voxels"),
    Elsewhere(36, "in Slicer: a bent transform above a volume", "applied as hardening would",
              "test_slicer_volume_export.py::test_warped_volume_equals_the_hardened_one"),
    Elsewhere(51, "T1 and T1c, or any two, exchanged", "a warning names both, nothing is changed",
              "test_checks.py::test_exchanged_sequences_are_told"),
    Elsewhere(52, "names in every order and spelling (t1n, t1ce, t1gd, t2f, t2w)", "read as what they are",
              "test_case_naming.py::test_every_alias_behind_every_sign_in_any_case"),
    Elsewhere(53, "a volume of another patient on the same grid", "a warning names it",
              "test_checks.py::test_a_volume_of_another_patient_is_told"),
    Elsewhere(61, "the GPU runs out of memory", "fewer slices, half precision, the CPU; the report says so",
              "test_memory.py::test_cpu_takes_over_and_says_so"),
    Elsewhere(61, "cancelled while the network works", "exit code 130, nothing is left",
              "test_segment.py::test_cancelled_run_leaves_nothing"),
    Elsewhere(61, "training killed at any moment", "goes on with --resume to the same weights",
              "test_training.py::test_killed_and_resumed_gives_the_same_bits"),
    Elsewhere(61, "resumed by a newer version", "settings it did not have take their defaults",
              "test_training.py::test_a_run_from_before_a_setting_existed_goes_on_with_its_default"),
    Elsewhere(61, "a clock that goes backwards", "times are taken from a clock that does not",
              "test_cli.py::test_remaining_time_leaves_out_what_was_done_before"),
    Elsewhere(62, "one of several training processes dies", "the job ends with an error",
              "test_distributed.py::test_a_dead_process_ends_the_job"),
    Elsewhere(62, "bad input in a job of several processes", "one sentence, all processes end",
              "test_distributed.py::test_bad_input_ends_all_processes_with_a_sentence"),
    Elsewhere(62, "a loss of NaN", "the run ends with a sentence",
              "test_recipe.py::test_a_loss_that_explodes_ends_the_run_with_a_sentence"),
    Elsewhere(62, "0 and several loader processes", "the same weights",
              "test_recipe.py::test_loader_processes_change_nothing"),
)  # fmt: skip


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
        return ["segment", *files, "--case-name", "case", "--output", str(self.output),
                *([] if "--model" in self.options else ["--model", MODEL]), *self.options]  # fmt: skip

    def named(self, says: str) -> str:
        """Put the paths into a sentence of the table."""
        places = {**self.paths, "OUT": self.output, "IN": self.folder, "ROOT": self.root}
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
    """Let permissions of files hold for root, too (the calling thread gives up CAP_DAC_* meanwhile)."""
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
