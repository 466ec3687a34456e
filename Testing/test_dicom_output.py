"""`segment --dicom-seg`: what lies beside the result, when it is done, and when it is refused."""

import ast
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_fixtures import NAMES, Writer, only_case, phantom_arrays
from dicom_readers import groups_of, labels_of, number_of
from head_fixtures import motion
from phantom_fixtures import write_doll

import scripted_models
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.preparation.working_grids import moved_onto
from scripted_models.runtime.progress import JsonProgress, Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.dicom_export.codes import PARTS
from scripted_models.segmentation.dicom_export.exported_files import SEG_FILE, SR_FILE
from scripted_models.segmentation.dicom_output import series_of_result
from scripted_models.segmentation.outputs import OutputOptions
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.segmenter import Segmenter

PACKAGE = Path(scripted_models.__file__).parent
ARRAYS = phantom_arrays(size=(40, 40, 14))
HEAD = {"spacing": (2.0, 2.0, 5.0)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study, and its only case."""
    writer = Writer(tmp_path_factory.mktemp("study") / "dvd")
    for name, array in ARRAYS.items():
        order = reversed(range(14)) if name == "t1c" else range(14)
        writer.sequence(name, NAMES["siemens"][name], array, order=list(order), **HEAD)
    return writer.folder, only_case(writer)


def command(folder, out, *more):
    return ["segment", str(folder), "--output", str(out), "--model", "fast", *more]


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    """The results of one run, to be copied."""
    out = tmp_path_factory.mktemp("done") / "out"
    assert main(command(study[0], out, "--dicom-seg", "--progress", "none")) == 0
    return out


@pytest.fixture
def results(done, tmp_path):
    return shutil.copytree(done, tmp_path / "out")


def test_seg_and_sr_say_what_the_other_files_say(study, done):
    (folder,) = done.iterdir()
    label_map = sitk.ReadImage(str(folder / "segmentation.nii.gz"))
    report = json.loads((folder / "report.json").read_text("utf-8"))
    found = labels_of(folder / SEG_FILE, Grid.of(label_map), report["known_labels"])
    assert found.any()
    assert np.array_equal(found, sitk.GetArrayFromImage(label_map))
    groups = groups_of(folder / SR_FILE)
    for key, volume_ml in report["volumes_ml"].items():
        value, _unit = number_of(groups[PARTS[key].name]["Volume"][0])
        assert value == pytest.approx(volume_ml, abs=1e-4)
    made = pydicom.dcmread(folder / SEG_FILE)
    source = study[1].images["t1c"].series
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == source.uid
    assert made.StudyInstanceUID == report["dicom"]["study_uid"]
    (algorithm,) = made.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == f"scripted-models {report['model']['name']}"
    assert report["model"]["weights_sha256"] in algorithm.AlgorithmParameters


def test_what_is_done_and_what_is_not(study, results):
    options = OutputOptions(dicom=True)
    batch = Batch(Segmenter.load("fast", "cpu"), results, options)
    assert batch.is_done(study[1])
    for name in (SEG_FILE, SR_FILE):
        path = results / study[1].name / name
        content = path.read_bytes()
        path.unlink()
        assert not batch.is_done(study[1])
        path.write_bytes(content)
    assert batch.is_done(study[1])


def test_a_run_without_them_leaves_no_old_ones(study, results):
    assert main(command(study[0], results, "--progress", "none")) == 0
    (folder,) = results.iterdir()
    assert not (folder / SEG_FILE).exists()
    assert not (folder / SR_FILE).exists()


class Vanishing(JsonProgress):
    """Takes a slice away once the network is done."""

    def __init__(self, path):
        super().__init__(io.StringIO())
        self.path = path

    def stage(self, name, fraction):
        if name == "write":
            self.path.unlink()
        super().stage(name, fraction)


def test_a_series_that_is_gone_in_the_end_leaves_nothing(study, tmp_path):
    copied = Writer(shutil.copytree(study[0], tmp_path / "dvd"))
    case = only_case(copied)
    batch = Batch(Segmenter.load("fast", "cpu"), tmp_path / "out", OutputOptions(dicom=True))
    with pytest.raises(InputError, match="cannot be read"):
        batch.run([case], Vanishing(case.images["t1c"].series.files[3]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sequence"),
    [
        ({}, "t1c"),
        ({"reference": "t2"}, "t2"),
        ({"result_grid": "flair"}, "flair"),
        ({"result_grid": "flair", "reference": "t2"}, "flair"),
    ],
)
def test_the_series_of_the_result(study, options, sequence):
    case = study[1]
    assert series_of_result(case, PreparationOptions(**options)) == case.images[sequence].series


def test_without_t1c_the_next_sequence_is_the_reference(study):
    case = study[1].without(["t1c"])
    assert series_of_result(case, PreparationOptions()) == case.images["t1"].series


class TestRefused:
    """One sentence, exit code 2, before anything is segmented."""

    def refused(self, capsys, out, *arguments):
        code = main(["segment", *map(str, arguments), "--output", str(out), "--dicom-seg"])
        assert code == 2
        assert not out.exists()
        said = capsys.readouterr().err
        assert "network" not in said
        return next(line for line in said.splitlines() if line.startswith("Error"))

    def test_volumes_that_are_no_dicom(self, capsys, tmp_path):
        write_doll(tmp_path / "in", 1)
        said = self.refused(capsys, tmp_path / "out", tmp_path / "in", "--model", "fast")
        assert "expected a DICOM series as t1c, to which a DICOM SEG can refer" in said

    def test_the_working_grid(self, capsys, study, tmp_path):
        more = ("--model", "fast", "--result-grid", "working")
        said = self.refused(capsys, tmp_path / "out", study[0], *more)
        assert "--dicom-seg with --result-grid working" in said

    def test_a_sequence_that_is_not_there(self, capsys, study, tmp_path):
        more = ("--model", "fast", "--without", "t2", "--reference", "t2")
        assert "found no t2" in self.refused(capsys, tmp_path / "out", study[0], *more)

    def test_without_highdicom(self, study, tmp_path):
        code = (
            "import sys; from importlib import util\n"
            "find = util.find_spec\n"
            "util.find_spec = lambda n, *a: None if n == 'highdicom' else find(n, *a)\n"
            "from scripted_models.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        arguments = command(study[0], tmp_path / "out", "--dicom-seg")
        program = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(program, capture_output=True, text=True)
        assert done.returncode == 2
        assert "no package highdicom" in done.stderr
        assert "pip install 'scripted-models[dicom]'" in done.stderr
        assert not (tmp_path / "out").exists()


def test_nothing_imports_what_writes_dicom_before_it_is_asked():
    """MONAI imports pydicom if it is there, so the sources are read."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [alias.name for alias in getattr(node, "names", ())]
            named = getattr(node, "module", None) or " ".join(names)
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not {"pydicom", "highdicom"} & set(named.replace(".", " ").split()), path


def test_of_several_cases_one_that_cannot_be_exported_is_skipped(study, tmp_path):
    """A disc with a study that lost its frame of reference."""
    case = study[1]
    other = Writer(shutil.copytree(study[0], tmp_path / "other"))
    for path in (tmp_path / "other").rglob("*.dcm"):
        data = pydicom.dcmread(path)
        del data.FrameOfReferenceUID
        data.PatientID = "OTHER"
        pydicom.dcmwrite(path, data)
    batch = Batch(Segmenter.load("fast", "cpu"), tmp_path / "out", OutputOptions(dicom=True))
    with pytest.raises(InputError, match="1 of 2 cases that were skipped"):
        batch.run([only_case(other), case], Progress())
    assert (tmp_path / "out" / case.name / SEG_FILE).is_file()
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_raw_series_are_segmented_on_the_native_grid_of_the_reference(tmp_path):
    """T2 is turned and has thicker slices than T1c; the SEG lies on the slices of T1c."""
    made = make_phantom(5, (72, 72, 54))
    x, y, z = (0.7 * step for step in made.grid.spacing_xyz_mm)
    images = {m: Grid((72, 72, 54), (x, y, z)).image_from(made.volumes[m]) for m in ("t1c", "t2")}
    thick = Grid((72, 72, 25), (2.1, 2.1, 4.5))
    images["t2"] = moved_onto(images["t2"], thick, motion(images["t2"], (3, -6, 9), (6, -9, 4)))[0]
    writer = Writer(tmp_path / "dvd")
    for name, image in images.items():
        array = sitk.GetArrayFromImage(image)
        array = np.rint(array * (1000 / array.max())).clip(0).astype(np.uint16)
        place = {"origin": (0, 0, 0), "spacing": image.GetSpacing()}
        writer.sequence(name, NAMES["siemens"][name], array, **place)
    out = tmp_path / "out"
    assert main(command(writer.folder, out, "--dicom-seg", "--progress", "none")) == 0
    (folder,) = out.iterdir()
    assert "preparation" in json.loads((folder / "report.json").read_text("utf-8"))
    series = only_case(writer).images["t1c"].series
    label_map = sitk.ReadImage(str(folder / "segmentation.nii.gz"))
    assert Grid.of(label_map).matches(series.grid)
    found = labels_of(folder / SEG_FILE, series.grid, (0, 1, 2, 3, 4))
    assert found.any()
    assert np.array_equal(found, sitk.GetArrayFromImage(label_map))
    referenced = pydicom.dcmread(folder / SEG_FILE).ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == series.uid
