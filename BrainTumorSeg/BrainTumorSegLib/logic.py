"""From four volume nodes to a segmentation node through the child process.

`segment` blocks and is for scripts; the panel drives a `SegmentationJob` with a timer. The scene is not
touched before the whole result is there.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from scripted_models.errors import (
    Cancelled,
    InputError,
    ModelError,
    ResourceError,
    ScriptedModelsError,
)

from .protocol import Event
from .python_child import child_environment, find_python, segment_command
from .runner import DONE, Outcome, SegmentationProcess
from .scene import ExportedVolumes, export_volumes, import_segmentation, read_labels

CASE_NAME = "case"
ERRORS = {error.code: error for error in (InputError, ModelError, ResourceError, Cancelled)}


class SegmentationJob:
    """One run: export and start, poll, import.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        scene: vtkMRMLScene; by default that of the T1c node.
        reference: modality on whose grid the result lies.
        model: name of a shipped model or path of a model folder.
        device: 'auto', 'cpu' or 'cuda'.
        target: segmentation node to fill; by default a new one is made.
        python: executable of the child.
        environment: variables of the child.
        grace_s: seconds that a cancelled child has to end by itself.
    """

    def __init__(
        self,
        nodes: Mapping[str, object],
        scene=None,
        reference: str = "t1c",
        model: str = "default",
        device: str = "auto",
        target=None,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 3.0,
    ):
        self.nodes = dict(nodes)
        self.reference = reference
        self.scene = scene
        self.model, self.device, self.target = model, device, target
        self.python = python or find_python()
        self.environment = dict(environment) if environment is not None else child_environment()
        self.grace_s = grace_s
        self.exported: ExportedVolumes | None = None
        self.process: SegmentationProcess | None = None

    @property
    def outcome(self) -> Outcome | None:
        """How the child ended; None while it runs."""
        return self.process.outcome if self.process else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the volumes on their way to the child."""
        return self.exported.notes if self.exported else ()

    def start(self) -> None:
        """Write the volumes and start the child.

        Raises:
            InputError: the volumes cannot be used; nothing was started.
        """
        folder = Path(tempfile.mkdtemp(prefix="BrainTumorSeg-"))
        try:
            self.exported = export_volumes(self.nodes, folder, self.reference)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.scene = self.scene or self.nodes[self.reference].GetScene()
        command = segment_command(
            self.python, self.exported.files, folder / "output", CASE_NAME, self.model, self.device
        )
        self.process = SegmentationProcess(command, self.environment, folder, self.grace_s)
        self.process.start()

    def poll(self) -> list[Event]:
        """Return new events of the child without blocking."""
        return self.process.poll() if self.process else []

    def cancel(self) -> None:
        """Ask the child to end; go on polling until `outcome` is there."""
        if self.process:
            self.process.cancel()

    def finish(self):
        """Import the result after the child ended and clean up.

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
        """End the child if it still runs and remove the temporary folder."""
        if self.process:
            self.process.close()

    def _import(self):
        result = self.outcome.result
        try:
            labels = read_labels(Path(result["segmentation"]), self.exported.grid)
            report = json.loads(Path(result["report"]).read_text(encoding="utf-8"))
        except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
            text = f"The result of the segmentation program could not be read: {error}."
            raise ScriptedModelsError(text) from error
        reference_node = self.nodes[self.reference]
        present = self.scene.IsNodePresent(reference_node)
        target = self.target if self.target and self.scene.IsNodePresent(self.target) else None
        return import_segmentation(
            self.scene,
            labels,
            self.exported.grid,
            f"{reference_node.GetName()} tumour",
            reference_node if present else None,
            self._provenance(report),
            target,
        )

    def _provenance(self, report: dict) -> dict[str, str]:
        model, versions = report.get("model"), report.get("versions")
        names = {m: node.GetName() for m, node in self.nodes.items()}
        values = {
            "Model": model.get("name", self.model) if isinstance(model, dict) else self.model,
            "Version": versions.get("scripted_models", "") if isinstance(versions, dict) else "",
            "Inputs": json.dumps(names),
            "Notes": "\n".join(self.notes),
            "Report": json.dumps(report),
        }
        return {f"BrainTumorSeg.{key}": str(value) for key, value in values.items()}


def segment(
    nodes: Mapping[str, object],
    on_event: Callable[[Event], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options,
):
    """Segment four volume nodes and wait for the segmentation node.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        on_event: called with every event of the run, first with what was done to the volumes.
        cancelled: asked often; the run ends when it says True.
        options: as `SegmentationJob` takes them (scene, reference, model, device, target, ...).

    Returns:
        vtkMRMLSegmentationNode.

    Raises:
        ScriptedModelsError: the run failed or was cancelled; the scene is as it was.

    Example:
        segmentation = segment({"t1": t1, "t1c": t1c, "t2": t2, "flair": flair}, device="cpu")
    """
    job = SegmentationJob(nodes, **options)
    with contextlib.closing(job):
        job.start()
        for note in job.notes:
            if on_event:
                on_event(Event("message", text=note))
        job.process.wait(on_event, cancelled)
        return job.finish()


def _error_of(outcome: Outcome) -> ScriptedModelsError:
    error = ERRORS.get(outcome.code, ScriptedModelsError)(outcome.text)
    error.log = outcome.log
    return error
