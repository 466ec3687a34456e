"""What headers leave open reaches the user, and rounding of headers makes no other grid."""

import numpy as np
import pytest
import SimpleITK as sitk
from training_fixtures import write_small_case
from volume_fixtures import RAMP, write_nifti

from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError
from scripted_models.evaluation.folder_scores import evaluate_folders
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.checks import Examined, grid_findings
from scripted_models.images.header_findings import header_findings
from scripted_models.images.volume_files import read_volume, write_labels
from scripted_models.images.voxel_facts import look_at
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.tasks.brains import case_preparation
from scripted_models.training.experiment_config import DataConfig, Experiment

EXACT = Grid((512, 512, 20), (0.46875, 0.46875, 6), (1, 2, 3))
ROUNDED = Grid((512, 512, 20), (0.4688, 0.4688, 6), (1, 2, 3))


def respaced(path, factor):
    """Multiply the spacing in the plane of a volume."""
    image = sitk.ReadImage(str(path))
    x, y, z = image.GetSpacing()
    image.SetSpacing((x * factor, y * factor, z))
    sitk.WriteImage(image, str(path))


def test_a_rounded_spacing_is_a_harmless_difference():
    assert 0.03 < EXACT.distance_mm(ROUNDED) < HARMLESS_MM
    assert not EXACT.matches(ROUNDED)
    assert EXACT.matches(ROUNDED, HARMLESS_MM)
    assert EXACT.difference(Grid((512, 512, 20), (0.47, 0.47, 6), (1, 2, 3)), HARMLESS_MM)


def test_the_thickness_of_one_slice_is_no_rounding():
    slice_, other = (Grid((40, 40, 1), (1, 1, thickness)) for thickness in (1, 1.05))
    assert "spacings" in slice_.difference(other, HARMLESS_MM)


def test_one_sentence_for_all_files_alike(tmp_path):
    files = {}
    for name in ("t1", "t2", "flair"):
        files[name] = write_nifti(tmp_path / f"{name}.nii", RAMP, codes=(0, int(name == "t2")))
    grid = Grid.of(read_volume(files["t1"]))
    here, aside = header_findings(files, grid)
    assert here.slots == ("t1", "flair")
    assert here.sentence.startswith("t1 and flair: found a NIfTI header with neither")
    assert aside.slots == ("t2",)  # it is stated, and lies elsewhere
    assert header_findings({"t2": files["t2"]}, Grid.of(read_volume(files["t2"]))) == []


def test_volumes_that_rounding_moved_are_put_on_the_first_grid(tmp_path):
    write_small_case(tmp_path, "BraTS18_a_1", 0)
    (path,) = tmp_path.rglob("*_t2.nii.gz")
    respaced(path, 1.001)
    (case,) = find_cases(tmp_path)
    images = read_on_one_grid(case)
    assert {image.GetSpacing() for image in images.values()} == {(1, 1, 1)}
    files = {sequence: source.path for sequence, source in case.images.items()}
    (finding,) = header_findings(files, Grid.of(images["t1"]))
    assert finding.slots == ("t2",)
    assert "lies 0.038 mm aside" in finding.found
    respaced(path, 1.01)
    with pytest.raises(InputError, match="another grid"):
        read_on_one_grid(case)


def test_training_takes_what_segment_takes(tmp_path):
    for name, factor in (("BraTS18_a_1", 1), ("BraTS18_b_1", 1.001)):
        write_small_case(tmp_path, name, 0)
        for path in tmp_path.glob(f"{name}/*"):
            respaced(path, 0.46875)
        respaced(tmp_path / name / f"{name}_t2.nii.gz", factor)
    data = DataConfig(validation_every=0, test_every=0)
    sources, _ = case_preparation.case_sources(Experiment(data=data), tmp_path, None)
    one, other = (source.make() for source in sources)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.target, other.target)


def test_evaluation_says_what_headers_leave_open(tmp_path):
    name, labels = "BraTS20_Training_001", np.zeros(EXACT.shape_zyx, np.uint8)
    labels[5:9, 100:200, 100:200] = 2
    (tmp_path / "truth" / name).mkdir(parents=True)
    (tmp_path / "model" / name).mkdir(parents=True)
    for kind in ("seg", "t1", "t1ce", "t2", "flair"):
        write_labels(tmp_path / "truth" / name / f"{name}_{kind}.nii.gz", labels, EXACT)
    prediction = tmp_path / "model" / name / "segmentation.nii.gz"
    write_labels(prediction, labels, ROUNDED)
    result = evaluate_folders(tmp_path / "model", tmp_path / "truth")
    assert result.mean["WT"]["dice"] == 1
    assert result.mean["WT"]["prediction_ml"] == result.mean["WT"]["truth_ml"]
    (said,) = [warning for warning in result.warnings if "aside" in warning]
    assert said.startswith(f"{prediction}: found a grid that lies 0.036 mm aside")


@pytest.mark.parametrize(
    ("spacing", "stopped"), [((1, 1, 12), False), ((21, 21, 21), True), ((100, 100, 300), True)]
)
def test_voxels_that_no_head_has_are_stopped_before_they_fill_the_memory(spacing, stopped):
    volume = Examined("T1c", look_at(np.zeros((2, 2, 2))), Grid((60, 60, 40), spacing))
    found = [f for f in grid_findings({"t1c": volume}, None, "t1c") if f.severity == "stop"]
    assert bool(found) == stopped
    assert not found or "at most 20 mm" in found[0].sentence
