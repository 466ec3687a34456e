"""From visits of a scene to a follow-up through the child process; needs no Qt."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError, ScriptedModelsError
from scripted_models.follow_up.follow_outputs import FACTS, FORMAT, PAGE

from .child_errors import ChildOutput, run_error
from .protocol import Event
from .python_child import child_environment, end_option, find_python, program
from .run_folder import make_run_folder
from .scene_visits import SceneVisit
from .segmentation_process import CANCELLED, DONE, Outcome, SegmentationProcess
from .slicer_types import Scene
from .translation import _
from .visit_export import TABLE, ExportedVisit, export_visits
from .words import listed

EXPORT_SHARE = 0.1  # of the progress bar


@dataclass(frozen=True, eq=False)
class FollowResult:
    """What a comparison gave.

    Attributes:
        facts: content of follow.json, as docs/follow-up.md describes it.
        page: HTML.
        visits: as they were compared, in the order of time.
    """

    facts: dict[str, Any]
    page: str
    visits: tuple[ExportedVisit, ...]


class FollowJob:
    """Writes the visits one by one, then runs `scripted-models follow`; driven by `poll`.

    Args:
        visits: at least two, with dates; in the order of time.
        scene: vtkMRMLScene.
        lesions: region of the lesions: 'auto', 'ET' or 'WT'.
        radiotherapy: date when it ended; may be empty.
    """

    def __init__(
        self,
        visits: Sequence[SceneVisit],
        scene: Scene,
        lesions: str = "auto",
        radiotherapy: str = "",
    ):
        self.visits, self.scene = tuple(visits), scene
        self.lesions, self.radiotherapy = lesions, radiotherapy
        self.exported: list[ExportedVisit] = []
        self.process: SegmentationProcess | None = None
        self._folder: Path | None = None
        self._export: Iterator[ExportedVisit] | None = None
        self._start: tuple[str, ...] = ()
        self._ended: Outcome | None = None
        self._cancelled = False

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None while it goes on."""
        return self._ended or (self.process.outcome if self.process else None)

    @property
    def fraction(self) -> float:
        """Part of the whole run that is done, 0-1; never falls."""
        if self.process is not None:
            return EXPORT_SHARE + (1 - EXPORT_SHARE) * self.process.fraction
        return EXPORT_SHARE * len(self.exported) / len(self.visits)

    @property
    def cancelling(self) -> bool:
        """True from the request to end until the run has ended."""
        return self._cancelled and self.outcome is None

    def start(self) -> None:
        """Begin; the work is done by `poll`.

        Raises:
            ResourceError: the command prefix cannot be used.
        """
        self._start = program(find_python())
        self._folder = make_run_folder()
        self._export = export_visits(self.visits, self._folder, self.radiotherapy)

    def poll(self) -> list[Event]:
        """Do the next piece of work and return what is new; blocks for one visit at most.

        Raises:
            ScriptedModelsError: a visit cannot be written; `close` is to be called.
        """
        if self.outcome is not None or self._export is None or self._folder is None:
            return []
        if self.process is not None:
            return [
                event if event.fraction is None else replace(event, fraction=self.fraction)
                for event in self.process.poll()
            ]
        self._require_nodes()
        exported = next(self._export, None)
        if exported is None:
            self._start_child(self._folder)
        else:
            self.exported.append(exported)
        return [Event("stage", stage="export", fraction=self.fraction)]

    def cancel(self) -> None:
        """Ask the run to end; go on polling until `outcome` is there."""
        self._cancelled = True
        if self.process is not None:
            self.process.cancel()
        elif self._ended is None:
            self._ended = Outcome(CANCELLED, None, code="cancelled")

    def finish(self) -> FollowResult:
        """Return what the child wrote, after `outcome` is there, and clean up.

        Raises:
            ScriptedModelsError: the run failed or was cancelled.
        """
        outcome = self.outcome
        if outcome is None:
            raise RuntimeError("The run goes on: call poll() until outcome is there.")
        try:
            if outcome.state != DONE:
                started = self.process.command[0] if self.process else ""
                raise run_error(outcome, started) from ChildOutput(outcome.log)
            facts, page = _read(outcome.result)
            return FollowResult(facts, page, tuple(self.exported))
        finally:
            self.close()

    def close(self) -> None:
        """End the child if it still runs and remove its files; may be called twice."""
        if self.process is not None:
            self.process.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _require_nodes(self) -> None:
        gone = [v.date for v in self.visits if not self.scene.IsNodePresent(v.node)]
        if gone:
            raise InputError(
                found=_("no segmentation of {dates} any more").format(dates=listed(gone)),
                expected=_("the segmentations that were chosen"),
                action=_("load them again, or compare without them"),
            )

    def _start_child(self, folder: Path) -> None:
        baseline = next((e.name for e in self.exported if e.visit.words.baseline), "")
        command = [
            *(*self._start, "follow", str(folder / TABLE), "--output", str(folder / "output")),
            *("--baseline", baseline, "--lesions", self.lesions),
            *("--progress", "json", *end_option()),
        ]
        self.process = SegmentationProcess(command, child_environment(), folder)
        self.process.start()


def _read(result: dict[str, Any]) -> tuple[dict[str, Any], str]:
    try:
        folder = Path(result["output"])
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(facts["format"])
        for visit in facts["visits"]:  # files that are about to go, and what nobody told
            del visit["place"], visit["segmentation"], visit["sequence"]
        return facts, (folder / PAGE).read_text(encoding="utf-8")
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ScriptedModelsError(
            found=_("a follow-up that cannot be read ({reason})").format(reason=error),
            action=_("nothing was imported, compare again"),
        ) from error
