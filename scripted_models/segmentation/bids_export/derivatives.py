"""Results of cases as a BIDS derivative: a form for `segmentation.batch`."""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scripted_models.bundle.weights import Model
from scripted_models.cases.bids.data_set import DESCRIPTION, find_data_set
from scripted_models.cases.case import Case
from scripted_models.cases.name_tokens import bids_stem, is_bids
from scripted_models.errors import InputError, ResourceError
from scripted_models.runtime.atomic_files import (
    BEGUN_RESULT,
    make_folder,
    put_in_place,
)
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.bids_export.contents import Sidecar, uri
from scripted_models.segmentation.bids_export.derivative_description import (
    check_output,
    write_description,
)
from scripted_models.segmentation.bids_export.derivative_files import (
    REPORT,
    write_lesions,
    write_pictures,
    write_report,
    write_tumor,
)
from scripted_models.segmentation.bids_export.names import (
    LESIONS,
    PICTURES,
    TUMOR,
    WORKING,
    DerivativeNames,
    own_files,
    sequence_of_grid,
)
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.outputs import OutputOptions, WrittenCase, case_report, is_of
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.result import Segmentation
from scripted_models.segmentation.result_folders import (
    check_target,
    put_folder,
    refuse_other_results,
)


@dataclass(frozen=True)
class Derivatives:
    """Results as BIDS has them, in sub-X[/ses-Y]/anat.

    Attributes:
        source: root of the raw data set.
    """

    source: Path

    @classmethod
    def of(cls, folder: Path | None, options: OutputOptions) -> "Derivatives":
        """Return the form for a data set.

        Raises:
            InputError: no data set, or something is wanted that BIDS has no name for.
        """
        unnamed = {
            "--uncertainty": options.uncertainty,
            "--keep-prepared": options.prepared,
            "--dicom-seg": options.dicom,
        }
        if asked := [option for option, is_asked in unnamed.items() if is_asked]:
            raise InputError(
                found=f"{asked[0]} with --bids",
                expected="files that BIDS has names for",
                action="leave one of both out; --probabilities writes the probabilities",
            )
        data_set = find_data_set(folder) if folder else None
        if data_set is None:
            raise InputError(
                path=folder,
                found=f"no {DESCRIPTION} with 'BIDSVersion'",
                expected="a BIDS data set with --bids",
                action="give the folder of the data set, or leave out --bids",
            )
        return cls(data_set.root)

    def begin(self, output: Path) -> None:
        """See `derivative_description.check_output`."""
        check_output(output, self.source)

    def folder(self, output: Path, case: Case) -> Path:
        """Return the folder of a case's results, which other data may share."""
        return output.joinpath(*case.name.split("_"), "anat")

    def check(self, output: Path, case: Case, inputs: CaseInputs) -> None:
        """Ask whether the results can be put in their place.

        Raises:
            InputError: they cannot, results of other data are there, or the case is none of BIDS.
        """
        if not is_bids(case.name) or bids_stem(case.name) != case.name:
            raise InputError(
                found="a case that is no subject and session of the data set",
                expected="names such as sub-01_ses-02_T1w in sub-01/ses-02/anat",
                action="rename its files, or leave out --bids",
                path=case.name,
            )
        folder = self.folder(output, case)
        check_target(folder)
        report = self._report_in(folder, case)
        refuse_other_results(folder, case, inputs, report, own_files(folder, case))

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
        folder = self.folder(output, case)
        sidecar, report = _sidecar_in(folder, case), self._report_in(folder, case)
        if sidecar is None or report is None:
            return False
        names = DerivativeNames.of_report(sidecar)
        kinds = [(TUMOR, "dseg"), (LESIONS, "dseg")]
        wanted = [
            names.file(of, f"{kind}.{end}") for of, kind in kinds for end in ("nii.gz", "tsv")
        ]
        if options.probabilities:
            wanted.append(names.file(TUMOR, "probseg.nii.gz"))
        here = all((folder / name).is_file() for name in wanted)
        return here and is_of(report, model, options, inputs, preparation)

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
        """Write the files of a case; where there were none they appear as a whole.

        Of former results the report is replaced first, the label map last, as in
        `outputs.write_outputs`.

        Raises:
            InputError: an input that has changed meanwhile, or another run writes the same case.
            ResourceError: the folder cannot be written.
        """
        started = time.monotonic()
        segmentation = replace(segmentation, necrosis=options.necrosis)
        write_description(output, self.source)
        names, target = DerivativeNames.of(case, segmentation), self.folder(output, case)
        try:
            with tempfile.TemporaryDirectory(prefix=BEGUN_RESULT, dir=output) as scratch:
                folder, pictures = Path(scratch) / target.name, Path(scratch) / "pictures"
                folder.mkdir()
                pictures.mkdir()
                sidecar = self._sidecar(case, segmentation, names)
                write_tumor(folder, sidecar, segmentation, options)
                write_lesions(folder, sidecar, segmentation)
                write_pictures(pictures, sidecar, segmentation)
                seconds = {**segmentation.seconds, "write": round(time.monotonic() - started, 3)}
                report = case_report(case, inputs, segmentation, model, options.coding, seconds)
                places = {m: uri(self._place(s.path)) for m, s in case.images.items()}
                write_report(folder, sidecar, {**report, "inputs": places})
                self._put(folder, pictures, output, names, case, inputs)
        except ResourceError as error:  # about a file that is gone by now
            raise error.at(target / Path(error.path or "").name) from error
        files = {
            "segmentation": target / names.file(TUMOR, "dseg.nii.gz"),
            "report": target / names.report,
            "overlay": output / PICTURES / names.file(TUMOR, "overlay.png"),
        }
        return WrittenCase(case, segmentation, target, seconds, files)

    def _put(
        self,
        folder: Path,
        pictures: Path,
        output: Path,
        names: DerivativeNames,
        case: Case,
        inputs: CaseInputs,
    ) -> None:
        """Move what was written to its places; former pictures go before what they show."""
        shelf, target = make_folder(output / PICTURES), self.folder(output, case)
        for picture in own_files(shelf, case):
            picture.unlink(missing_ok=True)
        make_folder(target.parent)
        put_folder(
            folder,
            target,
            lambda: self.check(output, case, inputs),
            lambda new, place: _replace(new, place, names, case),
        )
        put_in_place(pictures, shelf, ())

    def _sidecar(self, case: Case, segmentation: Segmentation, names: DerivativeNames) -> Sidecar:
        paths = {m: self._place(source.path) for m, source in case.images.items()}
        reference = paths[sequence_of_grid(case, segmentation)]
        return Sidecar(reference, tuple(paths.values()), names)

    def _place(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.source)).as_posix()

    def _report_in(self, folder: Path, case: Case) -> Mapping[str, object] | None:
        """Return the report of a case's results with the places of its inputs on this machine."""
        sidecar = _sidecar_in(folder, case)
        try:
            report = read_json(sidecar)[REPORT] if sidecar else None
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if not isinstance(report, dict):
            return None
        places = report.get("inputs")
        start = uri("")
        known = places.items() if isinstance(places, dict) else ()
        inputs = {m: str(self.source / str(place).removeprefix(start)) for m, place in known}
        return {**report, "inputs": inputs}


def _sidecar_in(folder: Path, case: Case) -> Path | None:
    """Return the sidecar of a case's label map; None where there is none, or more than one."""
    ends = (f"_seg-{TUMOR}_dseg.json", f"_seg-{TUMOR}_res-{WORKING}_dseg.json")
    found = [path for path in own_files(folder, case) if path.name.endswith(ends)]
    return found[0] if len(found) == 1 else None


def _replace(folder: Path, target: Path, names: DerivativeNames, case: Case) -> None:
    """Put new results in the place of former ones: the report first, the label map last."""
    for path in own_files(target, case):
        if path.name != names.report:
            path.unlink(missing_ok=True)
    (folder / names.report).replace(target / names.report)
    label_map = names.file(TUMOR, "dseg.nii.gz")
    (folder / label_map).rename(folder.parent / label_map)
    put_in_place(folder, target, ())
    (folder.parent / label_map).replace(target / label_map)
