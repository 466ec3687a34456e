"""From four volume nodes to a segmentation node through the child process.

`segment` blocks and is for scripts; the panel drives a `SegmentationJob` with a timer. The scene
is not touched before the whole result is there.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scripted_models.bundle.description import ModelDescription, read_description
from scripted_models.bundle.model_folders import find_model
from scripted_models.errors import ResourceError, ScriptedModelsError

from .algorithm_tags import follow_edits
from .case_data import keep_first_result
from .child_errors import ChildOutput, run_error
from .findings import finding_in_words, merged
from .input_check import check_choice, reference_of
from .prepared_import import import_prepared, read_prepared
from .previous_result import previous_of
from .protocol import Event
from .python_child import child_environment, find_python, program, segment_command
from .result_import import (
    SEGMENTS_ONLY,
    ResultOptions,
    import_probabilities,
    import_segmentation,
    read_output,
)
from .review import forget_verdict, remember_inputs
from .run_folder import make_run_folder
from .segmentation_process import CANCELLED, DONE, FAILED, Outcome, SegmentationProcess
from .slicer_types import Scene, SegmentationNode, VolumeNodes
from .translation import _
from .uncertainty_volume import replace_uncertainty
from .visit_words import forget_words
from .volume_export import ExportedVolumes, export_steps

CASE_NAME = "case"
EXPORT_SHARE = 0.04  # of the progress bar


class SegmentationJob:
    """One run: export volume by volume, child process, import; driven by `poll`.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode; None where the model can do
            without.
        scene: vtkMRMLScene; by default that of the reference node.
        reference: sequence on whose grid the result lies, and to which raw volumes are registered;
            by default T1c if it is there.
        model: name of a model or path of a model folder.
        device: 'auto', 'cpu' or 'cuda'.
        target: segmentation node to fill; by default a new one is made.
        options: what else the run leaves in the scene.
        prepare: strip, register and resample volumes that need it; False: they only get onto one
            grid.
        python: executable of the child.
        environment: variables of the child.
        grace_s: seconds that a cancelled child has to end by itself.
    """

    def __init__(
        self,
        nodes: VolumeNodes,
        scene: Scene = None,
        reference: str = "",
        model: str = "default",
        device: str = "auto",
        target: SegmentationNode = None,
        options: ResultOptions = SEGMENTS_ONLY,
        prepare: bool = True,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 3.0,
    ):
        self.nodes = {sequence: node for sequence, node in nodes.items() if node is not None}
        self.description = description_of(model)
        self.reference = reference or reference_of(self.nodes, self.description, prepare)
        self.scene, self.prepare = scene, prepare
        self.model, self.device, self.target, self.options = model, device, target, options
        self.python = python or find_python()
        self.environment = dict(environment) if environment is not None else child_environment()
        self.grace_s = grace_s
        self.exported: ExportedVolumes | None = None
        self.process: SegmentationProcess | None = None
        self.folder: Path | None = None
        self._export: Iterator[ExportedVolumes] | None = None
        self._ended: Outcome | None = None
        self._failure: ScriptedModelsError | None = None
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
            ResourceError: the command prefix cannot be used.
        """
        check_choice(self.nodes, self.description)
        program(self.python)
        self.scene = self.scene or self.nodes[self.reference].GetScene()
        self.folder = make_run_folder()
        self._export = export_steps(
            self.nodes, self.folder, self.reference, self.description, self.prepare
        )

    def poll(self) -> list[Event]:
        """Do the next piece of work and return what is new; blocks for one volume at most."""
        if self.outcome is not None or self.folder is None or self._export is None:
            return []
        if self.process is None:
            return self._export_next(self._export, self.folder)
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
        while (outcome := self.outcome) is None:
            for event in self.poll():
                if on_event:
                    on_event(event)
            if cancelled and cancelled():
                self.cancel()
            if self.outcome is None and self.process is not None:
                time.sleep(interval_s)
        return outcome

    def cancel(self) -> None:
        """Ask the run to end; go on polling until `outcome` is there."""
        self._cancelled = True
        if self.process:
            self.process.cancel()
        elif self.outcome is None:
            self._ended = Outcome(CANCELLED, None, code="cancelled")

    def finish(self) -> SegmentationNode:
        """Import the result after the run ended and clean up.

        Returns:
            vtkMRMLSegmentationNode.

        Raises:
            ScriptedModelsError: the run failed or was cancelled; the scene is as it was. Its cause
                is a `ChildOutput` with the last lines of the child.
            RuntimeError: the run goes on.
        """
        outcome = self.outcome
        if outcome is None:
            raise RuntimeError("The run goes on: call poll() until outcome is there.")
        try:
            if outcome.state != DONE or self.exported is None:
                error = self._failure or run_error(outcome, self._started())
                raise error from ChildOutput(outcome.log)
            return self._import(outcome.result, self.exported)
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

    def _export_next(self, steps: Iterator[ExportedVolumes], folder: Path) -> list[Event]:
        try:
            exported = next(steps)
            if is_last := len(exported.files) == len(self.nodes):
                self._start_child(exported, folder)
        except ScriptedModelsError as error:
            return self._fail(error)
        except (OSError, RuntimeError) as error:
            found = _("a folder that cannot be written ({reason})").format(reason=error)
            action = _("make room on the disk and segment again")
            return self._fail(ResourceError(found=found, action=action, path=folder))
        self.exported, notes = exported, []
        if is_last:
            notes = [Event("message", finding_in_words(note)) for note in merged(exported.notes)]
        return [*notes, Event("stage", stage="export", fraction=self.fraction)]

    def _started(self) -> str:
        return self.process.command[0] if self.process else self.python

    def _fail(self, error: ScriptedModelsError) -> list[Event]:
        self._failure = error
        self._ended = Outcome(FAILED, None, code=error.code, text=str(error))
        return []

    def _start_child(self, exported: ExportedVolumes, folder: Path) -> None:
        command = segment_command(
            self.python,
            exported.files,
            folder / "output",
            CASE_NAME,
            self.model,
            self.device,
            self.options.probabilities,
            self.reference if self.prepare else "",
            self.prepare and self.options.prepared,
            self.options.uncertainty,
        )
        self.process = SegmentationProcess(command, self.environment, folder, self.grace_s)
        self.process.start()

    def _import(self, result: Mapping[str, Any], exported: ExportedVolumes) -> SegmentationNode:
        output, grid = read_output(result, exported.grid), exported.grid
        prepared = read_prepared(Path(result["prepared"])) if "prepared" in result else None
        reference_node = self.nodes[self.reference]
        reference = reference_node if self.scene.IsNodePresent(reference_node) else None
        target = self.target if self.target and self.scene.IsNodePresent(self.target) else None
        name = _("{volume} tumor").format(volume=reference_node.GetName())
        name = name if target else self.scene.GenerateUniqueName(name)
        node = import_segmentation(
            self.scene,
            output.labels,
            grid,
            name,
            reference,
            self._provenance(output.report, exported),
            target,
            output.known,
            self.options,
        )
        forget_verdict(node)
        forget_words(node)
        remember_inputs(node, self.nodes)
        keep_first_result(node, output.labels)
        follow_edits(node)
        replace_uncertainty(node, output.uncertainty, grid, reference, previous_of(node))
        import_probabilities(self.scene, output.probabilities, grid, name, reference)
        if prepared is not None:
            import_prepared(self.scene, prepared, self.nodes, exported.places, reference)
        return node

    def _provenance(self, report: Mapping[str, Any], exported: ExportedVolumes) -> dict[str, str]:
        model, versions = report.get("model"), report.get("versions")
        model = model if isinstance(model, dict) else {}
        names = {m: node.GetName() for m, node in self.nodes.items()}
        values = {
            "Model": model.get("name", self.model),
            "Checksum": model.get("weights_sha256", ""),
            "Version": versions.get("scripted_models", "") if isinstance(versions, dict) else "",
            "Device": report.get("device", ""),
            "Parameters": json.dumps(
                {"device": self.device, "prepare": self.prepare, **asdict(self.options)}
            ),
            "Inputs": json.dumps(names),
            "Notes": "\n".join(note.sentence for note in merged(exported.notes)),
            "Report": json.dumps(report),
        }
        return {f"BrainTumorSeg.{key}": str(value) for key, value in values.items()}


def segment(
    nodes: VolumeNodes,
    on_event: Callable[[Event], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **others: Any,
) -> SegmentationNode:
    """Segment four volume nodes and wait for the segmentation node.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        on_event: called with every event of the run, first with what was done to the volumes.
        cancelled: asked often; the run ends when it says True.
        others: as `SegmentationJob` takes them (scene, reference, model, device, target, ...).

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


def description_of(model: str) -> ModelDescription | None:
    """Return what a model says about itself; if it cannot be read, the child will say why."""
    try:
        return read_description(find_model(model))
    except ScriptedModelsError:
        return None
