"""Raw cases on the command line: what `segment` and `prepare` do with them, and what they leave."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from head_fixtures import with_skull

from scripted_models.cases.case import Case, ImageSource
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.preparation.brain_extraction import brain_of, shown_part
from scripted_models.preparation.prepared_files import prepared_names
from scripted_models.preparation.working_grids import moved_onto
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.raw_cases import PreparationOptions, place_of, prepare_case
from scripted_models.segmentation.result_folders import PREPARED, replace_results

SMALL = 0.7  # of a head, which has few voxels at 1 mm
THICK = Grid((72, 72, 25), (2.1, 2.1, 4.5))


@pytest.fixture(scope="module")
def raw_case(tmp_path_factory):
    """A phantom whose T2 is turned, moved and has thick slices; options of the files."""
    folder = tmp_path_factory.mktemp("raw") / "patient"
    folder.mkdir()
    made = make_phantom(5, (72, 72, 54))
    x, y, z = (SMALL * step for step in made.grid.spacing_xyz_mm)
    grid = Grid(made.grid.size_xyz, (x, y, z), made.grid.origin_lps_mm)
    images = {m: grid.image_from(made.volumes[m]) for m in ("t1c", "t2")}
    turn = sitk.Euler3DTransform()
    middle = (np.array(made.grid.size_xyz) - 1) / 2
    turn.SetCenter(images["t2"].TransformContinuousIndexToPhysicalPoint(middle.tolist()))
    turn.SetRotation(0.05, -0.1, 0.15)
    turn.SetTranslation((6, -9, 4))
    thick = Grid(THICK.size_xyz, THICK.spacing_xyz_mm, made.grid.origin_lps_mm)
    images["t2"] = moved_onto(images["t2"], thick, turn)[0]
    paths = {m: folder / f"patient_{m}.nii.gz" for m in images}
    for m, image in images.items():
        sitk.WriteImage(image, str(paths[m]))
    return paths


def options_of(paths):
    return [part for m, path in paths.items() for part in (f"--{m}", str(path))]


def test_segment_brings_the_result_onto_the_native_reference(raw_case, tmp_path):
    command = ["segment", *options_of(raw_case), "--output", str(tmp_path), "--model", "fast"]
    command.append("--keep-prepared")
    assert main([*command, "--progress", "none"]) == 0
    folder = tmp_path / "patient"
    labels = sitk.ReadImage(str(folder / "segmentation.nii.gz"))
    assert Grid.of(labels).matches(Grid.of(sitk.ReadImage(str(raw_case["t1c"]))))
    report = json.loads((folder / "report.json").read_text())
    preparation = report["preparation"]
    assert preparation["reference"] == "t1c"
    assert preparation["registrations"]["t2"]["moved_mm"] > 5
    assert report["prepare"]["when"] == "auto"
    assert {"brain", "register", "resample", "network"} <= set(report["seconds"])
    assert any("registered and moved (t2" in text for text in report["warnings"])
    assert (folder / "preparation.png").exists()
    kept = folder / "prepared"
    assert {path.name for path in kept.iterdir()} <= set(prepared_names())
    brain, moved = (sitk.ReadImage(str(kept / f"{n}.nii.gz")) for n in ("brain_mask", "t2"))
    outside = sitk.GetArrayFromImage(brain) == 0
    assert not sitk.GetArrayFromImage(moved)[outside].any()
    assert sitk.ReadTransform(str(kept / "t2_to_t1c.tfm")).GetDimension() == 3
    native, working = report["volumes_ml"], preparation["volumes_ml_on_working_grid"]
    assert native["WT"] == pytest.approx(working["WT"], rel=0.25, abs=3)
    assert main([*command, "--continue", "--progress", "none"]) == 0
    again = json.loads((folder / "report.json").read_text())
    assert again["seconds"] == report["seconds"]  # not segmented once more


def test_places_of_a_result(raw_case):
    case = Case("patient", {m: ImageSource(path) for m, path in raw_case.items()})
    prepared = prepare_case(case, PreparationOptions(), Progress())
    for wanted in ("reference", "working", "t2"):
        place = place_of(prepared, wanted)
        assert place.brain.shape == place.grid.shape_zyx
        assert {volume.shape for volume in place.volumes.values()} == {place.grid.shape_zyx}
        inside = np.zeros((2, *prepared.working.shape_zyx), np.float32)
        inside[1] = sitk.GetArrayFromImage(prepared.brain)
        inside[0] = 1 - inside[1]
        there = place.bring(inside)[1] > 0.5
        both = (there & place.brain).sum() * 2 / (there.sum() + place.brain.sum())
        assert both > 0.97
    shown = sitk.GetArrayFromImage(sitk.ReadImage(str(raw_case["t2"]))) > 0
    brain = place_of(prepared, "t2").brain
    assert 2 * (shown & brain).sum() / (shown.sum() + brain.sum()) > 0.93


@pytest.mark.parametrize("kept_again", [True, False])
def test_former_prepared_files_go_with_their_result(tmp_path, kept_again):
    new, old = tmp_path / "new", tmp_path / "old"
    for folder, kept in ((new, kept_again), (old, True)):
        folder.mkdir()
        (folder / "report.json").write_text(folder.name)
        if kept:
            (folder / PREPARED).mkdir()
            (folder / PREPARED / "brain_mask.nii.gz").write_text(folder.name)
    (old / PREPARED / "t2_to_t1c.tfm").write_text("old")
    replace_results(new, old)
    left = {path.relative_to(old).as_posix() for path in old.rglob("*") if path.is_file()}
    assert left == {"report.json", *(["prepared/brain_mask.nii.gz"] if kept_again else [])}
    assert all((old / name).read_text() == "new" for name in left)
    assert (old / PREPARED).is_dir() == kept_again


def test_a_file_in_the_place_of_prepared_volumes_is_not_replaced(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    (new / PREPARED).mkdir(parents=True)
    old.mkdir()
    for name in ("report.json", PREPARED):
        (old / name).write_text("old")
    (new / "report.json").write_text("new")
    with pytest.raises(InputError, match="a folder for prepared volumes"):
        replace_results(new, old)
    assert {path.name: path.read_text() for path in old.iterdir()} == {
        "report.json": "old",
        PREPARED: "old",
    }


def test_prepare_writes_a_folder_to_check(raw_case, tmp_path):
    command = ["prepare", *options_of(raw_case), "--output", str(tmp_path), "--progress", "none"]
    assert main(command) == 0
    folder = tmp_path / "patient"
    assert {path.name for path in folder.iterdir()} == {
        *("t1c.nii.gz", "t2.nii.gz", "brain_mask.nii.gz", "t2_to_t1c.tfm"),
        *("preparation.json", "preparation.png", "check.html"),
    }
    page = (folder / "check.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "registered and moved" in page
    (folder / "preparation.json").write_text("{}")
    assert main(command) == 2  # files that are not known to be of this case


def test_a_mask_takes_the_place_of_an_extractor(raw_case, tmp_path):
    stripped = sitk.ReadImage(str(raw_case["t1c"]))
    mask, raw = brain_of(shown_part(stripped)), with_skull(stripped)
    paths = {"t1c": tmp_path / "patient_t1c.nii.gz", "flair": tmp_path / "patient_flair.nii.gz"}
    for path in paths.values():
        sitk.WriteImage(raw, str(path))
    sitk.WriteImage(mask, str(tmp_path / "mask.nii.gz"))
    command = ["segment", *options_of(paths), "--brain-mask", str(tmp_path / "mask.nii.gz")]
    command += ["--model", "fast", "--output", str(tmp_path / "out"), "--progress", "none"]
    assert main(command) == 0
    folder = tmp_path / "out" / "patient"
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "segmentation.nii.gz")))
    assert labels.any()
    assert not labels[sitk.GetArrayFromImage(mask) == 0].any()
    report = json.loads((folder / "report.json").read_text())
    assert report["preparation"]["brain_extraction"] == "a mask that was given"
    assert len(report["prepare"]["brain_mask_sha256"]) == 64


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--reference", "flair"], "no flair in case"),
        (["--result-grid", "t1"], "no t1 in case"),
    ],
)
def test_a_sequence_that_the_case_lacks(raw_case, tmp_path, capsys, options, says):
    command = ["segment", *options_of(raw_case), "--output", str(tmp_path / "out")]
    assert main([*command, "--model", "fast", "--progress", "none", *options]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
