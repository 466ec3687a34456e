"""Studies of a scene segmented one after the other, each by a `SegmentationJob`. Needs no Qt."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scripted_models.errors import Cancelled, InputError
from scripted_models.images.checks import STOP, WARNING

from .child_errors import written_lines
from .findings import finding_in_words, label
from .input_check import InputCheck
from .logic import SegmentationJob, description_of
from .protocol import LOG, Event
from .scene_studies import SceneStudy
from .slicer_types import Scene, SegmentationNode
from .translation import _
from .words import error_in_words, in_words

WAITING: Final = "waiting"
CHECKING: Final = "checking"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
GOES_ON = (WAITING, CHECKING, RUNNING)


@dataclass(eq=False)
class StudyRun:
    """One study in a batch.

    Attributes:
        study: what is segmented.
        settings: of its run, as `run_settings` gives them.
        state: ``WAITING``, ``CHECKING``, ``RUNNING``, ``DONE``, ``FAILED`` or ``CANCELLED``.
        fraction: part of the run that is done, 0-1.
        warnings: sentences about it.
        sentence: why it failed, or was not begun.
        segmentation: its result.
    """

    study: SceneStudy
    settings: Mapping[str, Any]
    state: str = WAITING
    fraction: float = 0.0
    warnings: list[str] = field(default_factory=list)
    sentence: str = ""
    segmentation: SegmentationNode = None

    def end(self, state: str, sentence: str = "") -> None:
        """Note how it ended."""
        self.state, self.sentence = state, sentence


class StudyBatch:
    """Checks all studies, then segments one after the other; driven by `poll`.

    Nothing that a study fails at stops the others.

    Args:
        studies: with the volumes that they are segmented from.
        scene: vtkMRMLScene.
        settings: model, device, prepare and options of every run.
        ensure: called once, after the checks, with whether skulls will be stripped; sees to the
            packages. What it raises ends the batch before the first run.
    """

    def __init__(
        self,
        studies: Iterable[SceneStudy],
        scene: Scene,
        settings: Mapping[str, Any],
        ensure: Callable[[bool], None],
    ):
        self.runs = [StudyRun(study, settings) for study in studies]
        self.scene, self.settings, self.ensure = scene, settings, ensure
        self.job: SegmentationJob | None = None
        self._checks: Iterator[None] | None = self._check_all()
        self._needs_extraction = False
        self._cancelled = False

    @property
    def over(self) -> bool:
        """True when nothing is left to do."""
        return not any(run.state in GOES_ON for run in self.runs)

    @property
    def cancelling(self) -> bool:
        """True from the request to end until all has ended."""
        return self._cancelled and not self.over

    def poll(self) -> list[tuple[StudyRun, str]]:
        """Do the next piece of work; return what is to be logged, and of which study."""
        if self.over:
            return []
        if self._checks is not None:
            next(self._checks, None)
            return []
        run = next(run for run in self.runs if run.state in GOES_ON)
        try:
            return [(run, line) for line in self._advance(run)]
        except Cancelled:
            run.end(CANCELLED)
        except Exception as error:  # a fault in one study is no fault in the others
            run.end(FAILED, error_in_words(error))
            return [(run, line) for line in (run.sentence, *written_lines(error))]
        finally:
            if run.state not in GOES_ON and self.job is not None:
                self.job.close()
                self.job = None
        return []

    def cancel(self) -> None:
        """End what runs, go on polling until all is over; what is done stays."""
        self._cancelled = True
        for run in self.runs:
            if run.state in (WAITING, CHECKING):
                run.end(CANCELLED)
        if self.job is not None:
            self.job.cancel()

    def close(self) -> None:
        """End what runs at once and leave nothing of it behind."""
        if self.job is not None:
            self.job.close()
            self.job = None
        for run in self.runs:
            if run.state in GOES_ON:
                run.end(CANCELLED)

    def _check_all(self) -> Iterator[None]:
        """Check one study at a time, and then see to the packages."""
        for run in self.runs:
            if run.state == WAITING:
                run.state = CHECKING
                yield
                self._check(run)
                yield
        self._checks = None
        waiting = [run for run in self.runs if run.state == WAITING]
        if not waiting:
            return
        try:
            self.ensure(self._needs_extraction)
        except Exception as error:
            for run in waiting:
                state = CANCELLED if isinstance(error, Cancelled) else FAILED
                run.end(state, error_in_words(error))

    def _check(self, run: StudyRun) -> None:
        if run.state != CHECKING:  # cancelled meanwhile
            return
        try:
            _require_nodes(run.study, self.scene)
            needed = self._look(run)
        except Exception as error:
            run.end(FAILED, error_in_words(error))
        else:
            self._needs_extraction = self._needs_extraction or needed
            run.state = WAITING

    def _look(self, run: StudyRun) -> bool:
        """Read the volumes, keep the warnings; tell whether a skull will be stripped."""
        prepare, check = self.settings["prepare"], InputCheck()
        description = description_of(self.settings["model"])
        space = description.training_space if description is not None else None
        for finding in check.check(
            run.study.nodes, space, description=description, prepare=prepare
        ):
            if finding.severity == STOP:
                raise InputError.of(finding)
            if finding.severity == WARNING:
                run.warnings.append(finding_in_words(finding))
        return bool(prepare and check.needs is not None and check.needs.with_skull)

    def _advance(self, run: StudyRun) -> list[str]:
        _require_nodes(run.study, self.scene)
        if self.job is None:
            self.job = SegmentationJob(run.study.nodes, self.scene, **self.settings)
            run.state = RUNNING
            self.job.start()
            return [*run.study.reasons, *run.warnings]
        lines = [line for event in self.job.poll() if (line := _heard(run, event))]
        run.fraction = max(run.fraction, self.job.fraction)
        if self.job.outcome is not None:
            run.segmentation = self.job.finish()
            run.end(DONE)
        return lines


def _require_nodes(study: SceneStudy, scene: Scene) -> None:
    gone = [label(node, m) for m, node in study.nodes.items() if not scene.IsNodePresent(node)]
    if gone:
        raise InputError(
            found=_("no volume {names} any more").format(names=", ".join(gone)),
            expected=_("the volumes that the run began with"),
            action=_("load them again and segment the study anew"),
        )


def _heard(run: StudyRun, event: Event) -> str:
    """Return what the log says of an event; keep warnings."""
    if event.kind not in ("message", "warning", LOG):
        return ""
    text = event.text if event.problem is None else in_words(event.problem)
    if event.kind == "warning":
        run.warnings.append(text)
    return text
