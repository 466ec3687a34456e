"""Corrected segmentations as training cases in a folder of the user, and a model from them."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripted_models.bundle.model_folders import user_models_folder
from scripted_models.cases.case_writer import Origin, StoredCase, Volume, store_case
from scripted_models.cases.label_statements import PROVENANCE
from scripted_models.geometry import Grid
from scripted_models.preparation.needs import NO_EXTRACTION

from .case_data import first_result_of, labels_of, volumes_of
from .child_errors import ChildOutput, run_error
from .prepared_import import read_prepared
from .protocol import Event
from .python_child import child_environment, end_option, find_python, program
from .review import inputs_of, report_of
from .run_folder import make_run_folder
from .segmentation_process import DONE, Outcome, SegmentationProcess
from .slicer_types import SegmentationNode
from .volume_export import export_steps

CASE_NAME = "case"


class _Taken(NamedTuple):
    """What a case is made of, as it was when it was asked for; raw volumes are prepared later."""

    arrays: dict[str, np.ndarray]
    labels: np.ndarray
    grid: Grid
    first: tuple[np.ndarray, Grid] | None
    origin: Origin


class CaseJob:
    """A segmentation that becomes a case; raw volumes are prepared by a child process before.

    Driven by `poll` until `outcome` is there, then by `finish`.

    Args:
        node: vtkMRMLSegmentationNode that a run of this module has filled.
        folder: of the user's cases.
    """

    def __init__(self, node: SegmentationNode, folder: Path):
        self.node, self.folder = node, Path(folder)
        self.process: SegmentationProcess | None = None
        preparation = report_of(node).get("preparation")
        self._preparation = preparation if isinstance(preparation, dict) else None
        self._taken: _Taken | None = None

    @property
    def needs_packages(self) -> bool:
        """Tell whether a child will run."""
        return self._preparation is not None

    @property
    def strips_skulls(self) -> bool:
        """Tell whether the child will strip skulls, as for the run that made the result."""
        preparation = self._preparation or {"brain_extraction": NO_EXTRACTION}
        return preparation.get("brain_extraction") != NO_EXTRACTION

    @property
    def outcome(self) -> Outcome | None:
        """How the preparation ended; done at once where there is nothing to prepare."""
        return self.process.outcome if self.process else Outcome(DONE, 0)

    def start(self) -> None:
        """Take all that is stored from the scene, which may change afterwards.

        Raises:
            InputError: volumes are gone or cannot be used.
        """
        labels, grid = labels_of(self.node)
        arrays = {} if self.needs_packages else volumes_of(self.node, grid)
        taken = labels, grid, first_result_of(self.node), _origin(self.node)
        self._taken = _Taken(arrays, *taken)
        if self._preparation is not None:
            self._prepare(str(self._preparation["reference"]))

    def poll(self) -> list[Event]:
        """Return what the child said since the last call."""
        return self.process.poll() if self.process else []

    def finish(self) -> StoredCase:
        """Store the case after `outcome` is there, and clean up.

        Raises:
            ScriptedModelsError: it cannot be stored; the folder is as it was.
        """
        try:
            if (taken := self._taken) is None:
                raise RuntimeError("The job was not started.")
            volumes: dict[str, Volume] = {m: (a, taken.grid) for m, a in taken.arrays.items()}
            if self.process is not None:
                result = _result_of(self.process, self.outcome)
                prepared = read_prepared(Path(result["folder"]))
                volumes = {m: (array, prepared.grid) for m, array in prepared.volumes.items()}
            labels = taken.labels, taken.grid
            return store_case(self.folder, volumes, labels, taken.first, taken.origin)
        finally:
            self.close()

    def cancel(self) -> None:
        """Ask the child to end."""
        if self.process:
            self.process.cancel()

    def close(self) -> None:
        """End the child if it runs, and remove its files."""
        if self.process:
            self.process.close()

    def _prepare(self, reference: str) -> None:
        start = program(find_python())
        temporary = make_run_folder()
        try:
            steps = export_steps(inputs_of(self.node), temporary, reference, None, prepare=True)
            *_, exported = steps
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)  # it shows a patient
            raise
        files = [part for m, f in exported.files.items() for part in (f"--{m}", str(f))]
        command = [
            *(*start, "prepare", *files),
            *("--output", str(temporary / "prepared"), "--case-name", CASE_NAME),
            *("--reference", reference, "--progress", "json", *end_option()),
        ]
        self.process = SegmentationProcess(command, child_environment(), temporary)
        self.process.start()


class TrainingJob:
    """`scripted-models personalise` as a child process; stopped, it goes on where it was.

    Args:
        folder: of the user's cases.
        model: name of the model to begin with.
        name: of the new model.
        options: further ones of the command.
    """

    needs_packages, strips_skulls = True, False

    def __init__(
        self,
        folder: Path,
        model: str,
        name: str,
        options: tuple[str, ...] = (),
    ):
        self.model_folder = user_models_folder().parent / "personal" / name
        command = [
            *(*program(find_python()), "personalise", str(folder)),
            *("--model", model, "--output", str(self.model_folder), "--resume"),
            *("--progress", "json", *end_option(), *options),
        ]
        self.process = SegmentationProcess(command, child_environment(), grace_s=20.0)

    @property
    def outcome(self) -> Outcome | None:
        """How the training ended; None while it goes on."""
        return self.process.outcome

    def start(self) -> None:
        """Start the child."""
        self.model_folder.parent.mkdir(parents=True, exist_ok=True)
        self.process.start()

    def poll(self) -> list[Event]:
        """Return what the child said since the last call."""
        return self.process.poll()

    def finish(self) -> dict[str, Any]:
        """Return the scores before and after as the command gives them.

        Raises:
            ScriptedModelsError: the training failed or was cancelled, or the model is not better.
        """
        try:
            return _result_of(self.process, self.outcome)
        finally:
            self.close()

    def cancel(self) -> None:
        """Ask the child to end; what it has finished is kept for the next time."""
        self.process.cancel()

    def close(self) -> None:
        """End the child if it runs."""
        self.process.close()

    def remove_model(self) -> None:
        """Remove the new model where it was made; in the list it is a copy."""
        shutil.rmtree(self.model_folder, ignore_errors=True)


def case_count(folder: Path) -> int:
    """Return how many cases the folder holds that this module has stored."""
    return sum(1 for _file in Path(folder).glob(f"case*/{PROVENANCE}"))


def _origin(node: SegmentationNode) -> Origin:
    model = report_of(node).get("model")
    model = model if isinstance(model, dict) else {}
    return Origin(str(model.get("name", "")), str(model.get("weights_sha256", "")))


def _result_of(process: SegmentationProcess, outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        raise RuntimeError("The child goes on: call poll() until outcome is there.")
    if outcome.state != DONE:
        raise run_error(outcome, process.command[0]) from ChildOutput(outcome.log)
    return outcome.result
