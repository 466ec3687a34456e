"""From four volume nodes to a segmentation node through the child process.

`segment` blocks and is for scripts; the panel drives a `SegmentationJob` with a timer. The scene is not
touched before the whole result is there.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from scripted_models.bundle.description import ModelDescription, read_description
from scripted_models.bundle.folders import find_model
from scripted_models.errors import (
    Cancelled,
    InputError,
    ModelError,
    ResourceError,
    ScriptedModelsError,
)

from .input_check import check_choice, reference_of
from .protocol import Event
from .python_child import child_environment, find_python, segment_command
from .result import (
    SEGMENTS_ONLY,
    ResultOptions,
    import_probabilities,
    import_segmentation,
    read_output,
)
from .run_folder import make_run_folder
from .runner import CANCELLED, DONE, FAILED, Outcome, SegmentationProcess
from .volume_export import ExportedVolumes, export_steps

CASE_NAME = "case"
EXPORT_SHARE = 0.04  # of the progress bar
ERRORS = {error.code: error for error in (InputError, ModelError, ResourceError, Cancelled)}


class SegmentationJob:
    """One run: export volume by volume, child process, import; driven by `poll`.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode, or None where the model can do without.
        scene: vtkMRMLScene; by default that of the reference node.
        reference: sequence on whose grid the result lies; by default T1c if it is there.
        model: name of a model or path of a model folder.
        device: 'auto', 'cpu' or 'cuda'.
        target: segmentation node to fill; by default a new one is made.
        options: what else the run leaves in the scene.
        python: executable of the child.
        environment: variables of the child.
        grace_s: seconds that a cancelled child has to end by itself.
    """

    def __init__(
        self,
        nodes: Mapping[str, object],
        scene=None,
        reference: str = "",
        model: str = "default",
        device: str = "auto",
        target=None,
        options: ResultOptions = SEGMENTS_ONLY,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 3.0,
    ):
        self.nodes = {sequence: node for sequence, node in nodes.items() if node is not None}
        self.description = _description(model)
        self.reference = reference or reference_of(self.nodes, self.description)
        self.scene = scene
        self.model, self.device, self.target, self.options = model, device, target, options
        self.python = python or find_python()
        self.environment = dict(environment) if environment is not None else child_environment()
        self.grace_s = grace_s
        self.exported: ExportedVolumes | None = None
        self.process: SegmentationProcess | None = None
        self.folder: Path | None = None
        self._export: Iterator[ExportedVolumes] | None = None
        self._ended: Outcome | None = None
        self._cancelled = False

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended before the import; None while it goes on."""
        return self._ended or (self.process.outcome if self.process else None)

    @property
    def fraction(self) -> float:
        """Part of the whole run that is done, 0-1; never falls."""
        if self.process is not None:
            return EXPORT_SHARE + (1 - EXPORT_SHARE) * self.process.fraction
        done = len(self.exported.files) if self.exported else 0
        return EXPORT_SHARE * done / len(self.nodes)

    @property
    def cancelling(self) -> bool:
        """True from the request to end until the run has ended."""
        return self._cancelled and self.outcome is None

    def start(self) -> None:
        """Check the choice and begin; the work is done by `poll`.

        Raises:
            InputError: the volumes cannot be used; nothing was started.
        """
        check_choice(self.nodes, self.description)
        self.scene = self.scene or self.nodes[self.reference].GetScene()
        self.folder = make_run_folder()
        self._export = export_steps(self.nodes, self.folder, self.reference, self.description)

    def poll(self) -> list[Event]:
        """Do the next piece of work and return what is new; blocks for one volume at most."""
        if self.outcome is not None or self.folder is None:
            return []
        if self.process is None:
            return self._export_next()
        return [
            event if event.fraction is None else replace(event, fraction=self.fraction)
            for event in self.process.poll()
        ]

    def wait(
        self,
        on_event: Callable[[Event], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        interval_s: float = 0.05,
    ) -> Outcome:
        """Block until the run has ended.

        Args:
            on_event: called with every event.
            cancelled: asked between polls; the run is cancelled when it says True.
            interval_s: seconds between polls.
        """
        while self.outcome is None:
            for event in self.poll():
                if on_event:
                    on_event(event)
            if cancelled and cancelled():
                self.cancel()
            if self.outcome is None and self.process is not None:
                time.sleep(interval_s)
        return self.outcome

    def cancel(self) -> None:
        """Ask the run to end; go on polling until `outcome` is there."""
        self._cancelled = True
        if self.process:
            self.process.cancel()
        elif self.outcome is None:
            self._ended = Outcome(CANCELLED, None, code="cancelled", text="Cancelled.")

    def finish(self):
        """Import the result after the run ended and clean up.

        Returns:
            vtkMRMLSegmentationNode.

        Raises:
            ScriptedModelsError: the run failed or was cancelled; the scene is as it was. The error's
                attribute ``log`` holds the last lines of the child.
        """
        try:
            if self.outcome.state != DONE:
                raise _error_of(self.outcome)
            return self._import()
        finally:
            self.close()

    def close(self) -> None:
        """End the child if it still runs and remove the temporary folder; may be called twice."""
        if self.process:
            self.process.close()
        if self.outcome is None:
            self.cancel()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _export_next(self) -> list[Event]:
        said = len(self.exported.notes) if self.exported else 0
        try:
            self.exported = next(self._export)
        except (ScriptedModelsError, OSError, RuntimeError) as error:
            code = getattr(error, "code", "resource")
            self._ended = Outcome(FAILED, None, code=code, text=str(error))
            return []
        if len(self.exported.files) == len(self.nodes):
            self._start_child()
        notes = [Event("message", text=note) for note in self.exported.notes[said:]]
        return [*notes, Event("stage", stage="export", fraction=self.fraction)]

    def _start_child(self) -> None:
        command = segment_command(
            self.python,
            self.exported.files,
            self.folder / "output",
            CASE_NAME,
            self.model,
            self.device,
            self.options.probabilities,
        )
        self.process = SegmentationProcess(command, self.environment, self.folder, self.grace_s)
        self.process.start()

    def _import(self):
        output, grid = read_output(self.outcome.result, self.exported.grid), self.exported.grid
        reference_node = self.nodes[self.reference]
        reference = reference_node if self.scene.IsNodePresent(reference_node) else None
        target = self.target if self.target and self.scene.IsNodePresent(self.target) else None
        name = f"{reference_node.GetName()} tumor"
        node = import_segmentation(
            self.scene,
            output.labels,
            grid,
            name,
            reference,
            self._provenance(output.report),
            target,
            output.known,
            self.options,
        )
        import_probabilities(self.scene, output.probabilities, grid, name, reference)
        return node

    def _provenance(self, report: dict) -> dict[str, str]:
        model, versions = report.get("model"), report.get("versions")
        model = model if isinstance(model, dict) else {}
        names = {m: node.GetName() for m, node in self.nodes.items()}
        values = {
            "Model": model.get("name", self.model),
            "Checksum": model.get("weights_sha256", ""),
            "Version": versions.get("scripted_models", "") if isinstance(versions, dict) else "",
            "Device": report.get("device", ""),
            "Parameters": json.dumps({"device": self.device, **asdict(self.options)}),
            "Inputs": json.dumps(names),
            "Notes": "\n".join(self.exported.notes),
            "Report": json.dumps(report),
        }
        return {f"BrainTumorSeg.{key}": str(value) for key, value in values.items()}


def segment(
    nodes: Mapping[str, object],
    on_event: Callable[[Event], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **others,
):
    """Segment four volume nodes and wait for the segmentation node.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        on_event: called with every event of the run, first with what was done to the volumes.
        cancelled: asked often; the run ends when it says True.
        others: as `SegmentationJob` takes them (scene, reference, model, device, target, options, ...).

    Returns:
        vtkMRMLSegmentationNode.

    Raises:
        ScriptedModelsError: the run failed or was cancelled; the scene is as it was.

    Example:
        segmentation = segment({"t1": t1, "t1c": t1c, "t2": t2, "flair": flair}, device="cpu")
    """
    job = SegmentationJob(nodes, **others)
    with contextlib.closing(job):
        job.start()
        job.wait(on_event, cancelled)
        return job.finish()


def _description(model: str) -> ModelDescription | None:
    """Return what a model says about itself; if it cannot be read, the child will say why."""
    try:
        return read_description(find_model(model))
    except ScriptedModelsError:
        return None


def _error_of(outcome: Outcome) -> ScriptedModelsError:
    error = ERRORS.get(outcome.code, ScriptedModelsError)(outcome.text)
    error.log = outcome.log
    return error
