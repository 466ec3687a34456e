"""In which form the results of cases lie in an output folder: what a batch asks of it."""

from pathlib import Path
from typing import Protocol

from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.outputs import (
    OutputOptions,
    WrittenCase,
    is_written,
    write_outputs,
)
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.result import Segmentation
from scripted_models.segmentation.result_folders import check_place, refuse_others


class ResultForm(Protocol):
    """Where the results of a case lie, how they are written, and when they are whole."""

    def begin(self, output: Path) -> None:
        """Ask before the first case whether the folder can hold results; it may not be there."""

    def folder(self, output: Path, case: Case) -> Path:
        """Return the folder of a case's results."""

    def check(self, output: Path, case: Case, inputs: CaseInputs) -> None:
        """Ask before the work whether the results of a case can be put in their place.

        Raises:
            InputError: they cannot, or other results are there.
        """

    def is_written(
        self,
        output: Path,
        case: Case,
        model: Model,
        options: OutputOptions,
        inputs: CaseInputs,
        preparation: PreparationOptions,
    ) -> bool:
        """Tell whether all that is wanted of a case is there, see `outputs.is_written`."""

    def write(
        self,
        output: Path,
        case: Case,
        segmentation: Segmentation,
        model: Model,
        options: OutputOptions,
        inputs: CaseInputs,
        preparation: PreparationOptions,
    ) -> WrittenCase:
        """Write the results of a case, see `outputs.write_outputs`."""


class CaseFolders:
    """A folder of each case, by its name."""

    def begin(self, output: Path) -> None:
        """Any folder will do."""

    def folder(self, output: Path, case: Case) -> Path:
        """Return the folder of a case's results."""
        return output / case.name

    def check(self, output: Path, case: Case, inputs: CaseInputs) -> None:
        """See `check_place` and `refuse_others`."""
        check_place(output, case)
        refuse_others(output, case, inputs)

    is_written = staticmethod(is_written)
    write = staticmethod(write_outputs)


CASE_FOLDERS: ResultForm = CaseFolders()
