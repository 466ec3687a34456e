"""Cases segmented one after the other into a folder."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.cases.patient_table import some
from scripted_models.errors import InputError
from scripted_models.labels import require_numbers
from scripted_models.runtime.atomic_files import only_writer
from scripted_models.runtime.file_identity import doubles
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.dicom_output import refuse_without_series
from scripted_models.segmentation.outputs import INTERNAL, OutputOptions, WrittenCase
from scripted_models.segmentation.result_form import CASE_FOLDERS, ResultForm
from scripted_models.segmentation.segmenter import STAGES, Segmenter


@dataclass(frozen=True)
class Batch:
    """A run over cases: one folder of results, written by nobody else meanwhile.

    Attributes:
        segmenter: segments the cases.
        output: receives a folder of each case.
        options: what is written of a case.
        resume: leave out cases that are done already (see `is_done`).
        writer: keeps other runs out of the output folder while this one writes, or with
            `one_of_writers` lets others write other cases.
        form: in which the results lie in the output folder.
    """

    segmenter: Segmenter
    output: Path
    options: OutputOptions = INTERNAL
    resume: bool = False
    writer: Callable[[Path], AbstractContextManager[Path]] = only_writer
    form: ResultForm = CASE_FOLDERS

    def is_done(self, case: Case) -> bool:
        """Tell whether the folder holds all that is wanted of a case, by this model.

        The inputs must have the same content; edited results count as results.
        """
        return self._is_written(case, CaseInputs.of(case))

    def _is_written(self, case: Case, inputs: CaseInputs) -> bool:
        model, preparation = self.segmenter.model, self.segmenter.preparation
        return self.form.is_written(self.output, case, model, self.options, inputs, preparation)

    def run(
        self,
        cases: Sequence[Case],
        progress: Progress,
        on_written: Callable[[WrittenCase], object] = lambda written: None,
    ) -> None:
        """Segment cases; of several those that cannot be used are skipped and told.

        Args:
            cases: those of this process, where several share the folder.
            progress: told about stages, warnings and skipped cases.
            on_written: called with each case that was written.

        Raises:
            InputError: cases that cannot be used; all others are written by then. Or a coding
                without a number for a label of the model; then nothing is written.
            ResourceError: too little memory, or a folder that cannot be written.
        """
        require_numbers(self.segmenter.model.known_labels, self.options.coding)
        refuse_shared_folders(cases)
        self.form.begin(self.output)
        skipped: list[str] = []
        with self.writer(self.output):
            for index, case in enumerate(cases):
                part = progress.part(index / len(cases), (index + 1) / len(cases))
                inputs = CaseInputs.of(case)
                if self.resume and self._was_done(case, inputs, part):
                    continue
                try:
                    written = self._segment(case, inputs, part)
                except InputError as error:
                    if len(cases) == 1:
                        raise
                    skipped.append(case.name)
                    progress.warning(f"{case.name} was skipped: {error}", **error.fields)
                else:
                    on_written(written)
                    del written  # its arrays, before the next case needs as much
                part.update(1.0)
        if skipped:
            raise InputError(
                found=f"{len(skipped)} of {len(cases)} cases that were skipped ({some(skipped)})",
                expected="usable ones",
                action="the reasons are above, fix them and run again"
                + ("" if self.resume else " with --continue"),
            )

    def _was_done(self, case: Case, inputs: CaseInputs, progress: Progress) -> bool:
        """Tell whether a case is done, and say so, or that it is done once more."""
        done = self._is_written(case, inputs)
        if done:
            progress.message(f"{case.name}: segmented before")
            progress.skip(1.0)
        elif self.form.folder(self.output, case).exists():
            progress.message(f"{case.name}: input, model or options differ, once more")
        return done

    def _segment(self, case: Case, inputs: CaseInputs, progress: Progress) -> WrittenCase:
        self.form.check(self.output, case, inputs)
        model, preparation = self.segmenter.model, self.segmenter.preparation
        if self.options.dicom:
            refuse_without_series(case, preparation, model)
        found = self.segmenter.segment(case, progress)
        progress.stage("write", STAGES["write"])
        for problem in found.problems:
            progress.warning(f"{case.name}: {problem.sentence}", **problem.fields)
        return self.form.write(self.output, case, found, model, self.options, inputs, preparation)


def refuse_shared_folders(cases: Sequence[Case]) -> None:
    """Refuse cases whose folders would be one, on some systems at least.

    Raises:
        InputError: there are some.
    """
    if names := doubles(case.name for case in cases):
        raise InputError(
            found=f"cases whose results would share a folder ({', '.join(names[:6])})",
            expected="names that differ in more than capitals and how accents are stored",
            action="rename one, or segment them into different folders",
        )
