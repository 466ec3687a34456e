"""The measurements run at their smallest sizes and print their tables; times are not tested."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from personal_fixtures import QUICK, write_start
from phantom_fixtures import write_doll
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model
from scripted_models.cases.phantom.phantom_case import write_phantom_case
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.preparation import doubts
from scripted_models.preparation.working_grids import moved_onto
from scripted_models.tasks.brains.case_split import usable_cases

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PHANTOM = ["--phantom-size", "24", "24", "8"]
SMALL = [*PHANTOM, "--threads", "1"]


@pytest.fixture
def table_of(monkeypatch, capsys):
    """Return a function that runs a measurement and returns the lines of its output."""

    def run(name, *arguments):
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        assert importlib.import_module(name).main(list(arguments)) == 0
        return capsys.readouterr().out.splitlines()

    return run


def row(lines, start):
    """Return the numbers at the end of the line that starts with some words."""
    (line,) = [line for line in lines if line.startswith(start)]
    return [float(word.rstrip("%")) for word in line[len(start) :].split()]


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory with `resource`")
def test_training_throughput_compares_dense_patches_with_literal_ones(table_of):
    arguments = (
        "--network LocalPathCNN --sizes 2 --batch 2 --patches 1 --phases 2 --rounds 1 --seconds 0"
    )
    lines = table_of("training_throughput", *arguments.split())
    rate, ratio, patches, peak = row(
        lines, f"    2  {'literal 33 x 33 patches, batch 2':48} float32"
    )
    assert ratio == 1
    assert patches == pytest.approx(rate, abs=0.6)
    assert peak > 50
    rate, ratio, patches, _ = row(lines, f"    2  {'dense patches, 2 x 2 out, batch 1':48} float32")
    assert rate == pytest.approx(4 * patches, abs=2)
    assert ratio > 0


def test_patch_sampling_prints_a_row_for_each_number_of_cases(table_of):
    lines = table_of("patch_sampling", "--cases", "1", "3", "--patches", "3", *PHANTOM)
    assert row(lines, "    1")[1::2] == [1.0, 1.0]
    assert all(value > 0 for value in row(lines, "    3"))


def test_dense_prediction_agrees_with_the_patch_wise_window(table_of):
    arguments = ["--networks", "TwoPathCNN", "--voxels", "3", "--rounds", "1", *SMALL]
    patchwise, dense, ratio, difference = row(
        table_of("dense_prediction", *arguments), "TwoPathCNN"
    )
    assert min(patchwise, dense, ratio) >= 0
    assert difference < 1e-4


def test_mixed_precision_shows_what_half_precision_does_to_the_output_layer(table_of):
    lines = table_of(
        "mixed_precision", "--slices", "1", "--size", "8", "--precisions", "bfloat16", *SMALL
    )
    exact = row(lines, "float32    float32 ")
    as_trained = row(lines, "bfloat16   float32 ")
    everything = row(lines, "bfloat16   bfloat16  ")
    assert exact[0] < as_trained[0] < everything[0]
    assert exact[0] < 1e-5


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory with `resource`")
def test_whole_brain_sets_the_forms_beside_each_other(table_of):
    arguments = [*SMALL, "--networks", "GlobalPathCNN", "--slices", "1", "--slices-of-volume", "5"]
    arguments += ["--slice-edge", "40", "--voxels", "2", "--rounds", "1"]
    arguments += ["--forms", "plain whole slices", "spectral"]
    lines = table_of("whole_brain", *arguments)
    assert row(lines, "GlobalPathCNN    plain whole slices ")[1] == 1
    seconds, ratio, peak = row(lines, "GlobalPathCNN    spectral ")
    assert seconds >= 0
    assert ratio > 0
    assert peak > 0.1
    (errors,) = [line for line in lines if line.startswith("GlobalPathCNN: error")]
    assert float(errors.split()[-1].rstrip(";")) < 1e-5
    assert any(": 0 differ between plain and spectral, 0 from" in line for line in lines)


def test_reproducibility_counts_the_labels_that_differ(table_of, tmp_path):
    write_doll(tmp_path, 1)
    lines = table_of("reproducibility", str(tmp_path), "--models", "TwoPathCNN")
    found = [line.strip("| ").split(" | ") for line in lines if line.startswith("| TwoPathCNN")]
    counts = {how: int(differ) for _, how, differ, _ in found}
    assert counts["once more"] == counts["threads: 1"] == 0
    assert counts["plain convolutions"] < 10


def test_unseen_cases_and_what_they_say_of_a_model(table_of, tmp_path):
    """The scores of cases, of fewer sequences too, become what a copy of the model says."""
    for seed in (1, 2):
        write_doll(tmp_path / "cases", seed)
    model = str(BENCHMARKS.parent / "scripted_models" / "bundle" / "shipped" / "fast")
    arguments = ["--data", str(tmp_path / "cases"), "--sequences", "--slice-step", "3"]
    scores, texts = tmp_path / "scores.csv", tmp_path / "texts.toml"
    lines = table_of("unseen_cases", model, *arguments, "--damage", "cut", "--output", str(scores))
    assert sum(line.startswith("| as it is | mean over groups") for line in lines) == 2
    rows = list(csv.DictReader(scores.open(encoding="utf-8")))
    assert len(rows) == 2 * (1 + 1 + 11)
    whole = [row for row in rows if row["damage"] == "as it is"]
    assert [row["case"] for row in whole] == sorted(usable_cases(tmp_path))
    alone = [row for row in rows if row["damage"] == "t1c"]

    texts.write_text('protocol = "Two phantoms"\nlimits = "Heads."\n', encoding="utf-8")
    arguments = ["--scores", str(scores), str(scores), "--texts", str(texts), "--slice-step", "3"]
    table_of("state_scores", model, str(tmp_path / "stated"), *arguments, "--name", "three")
    stated = load_model(str(tmp_path / "stated"))
    mean = lambda rows: round(np.mean([float(row["dice WT"]) for row in rows]), 4)  # noqa: E731
    said = stated.description
    assert said.scores["Two phantoms, 2 cases"]["WT"].dice == mean(whole)
    assert said.dice_by_sequences["t1c"]["WT"] == mean(alone)
    assert (said.name, said.limits, stated.network.slice_step) == ("three", "Heads.", 3)
    expected = load_model(model).network.state_dict()
    for key, value in stated.network.state_dict().items():
        torch.testing.assert_close(value, expected[key])


@pytest.fixture
def stripped_case(tmp_path, monkeypatch):
    """A stripped head of 0.3 times the size, in few voxels, with its labels; it passes for one."""
    path = write_phantom_case(tmp_path / "cases", 5, (48, 48, 27))
    for file in path.glob("*.nii.gz"):
        image = sitk.ReadImage(str(file))
        image.SetSpacing([0.3 * step for step in image.GetSpacing()])
        sitk.WriteImage(image, str(file))
    monkeypatch.setattr(doubts, "NO_BRAIN_ML", 20)
    (case,) = usable_cases(tmp_path / "cases").values()
    return case


@pytest.fixture
def moved_cases(monkeypatch):
    """The module that moves cases, for that head."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    own = importlib.import_module("moved_cases")
    monkeypatch.setattr(own, "REFERENCE_MM", 1.6)
    monkeypatch.setattr(own, "IN_PLANE_MM", (1.4, 1.8))
    monkeypatch.setattr(own, "FIELD_XY_MM", 76.0)
    monkeypatch.setattr(own, "FIELD_Z_MM", 70.0)
    return own


@pytest.mark.parametrize("headers_right", [True, False])
def test_a_moved_case_knows_where_its_head_is(stripped_case, moved_cases, tmp_path, headers_right):
    random = np.random.default_rng(1)
    copy = moved_cases.moved_case(stripped_case, tmp_path, random, 2, headers_right)
    images = {m: source.read() for m, source in copy.case.images.items()}
    grid = Grid.of(images["t1c"])
    brains = {
        m: [sitk.GetArrayFromImage(moved_onto(i, grid, way)[0]) > 0 for way in (None, true)]
        for m, i, true in ((m, i, copy.motions[m]) for m, i in images.items())
    }
    losses = []
    for sequence in ("t1", "t2", "flair"):
        by_header, by_motion = (overlap(brain, brains["t1c"][0]) for brain in brains[sequence])
        assert by_motion > 0.85
        losses.append(by_motion - by_header)
        own = Grid.of(images[sequence])
        assert own.spacing_xyz_mm[2] == pytest.approx(2)
        assert own.direction != grid.direction
    assert (max(losses) < 1e-6) == headers_right
    truth = copy.truth_on(grid)
    labels, old = stripped_case.read_truth()
    ml = (labels > 0).sum() * old.voxel_volume_ml
    assert (truth > 0).sum() * grid.voxel_volume_ml == pytest.approx(ml, rel=0.15)
    assert brains["t1c"][0][truth > 0].mean() > 0.98


@pytest.mark.usefixtures("moved_cases")
def test_a_repeated_scan_shows_the_same_brain_elsewhere(stripped_case, tmp_path):
    repeats = importlib.import_module("repeat_scans")
    first = stripped_case.images["t1c"].read()
    copy = repeats.repeated(stripped_case, tmp_path, np.random.default_rng(2), 2)
    second = copy.images["t1c"].read()
    assert second.GetSpacing()[2] == pytest.approx(2 * first.GetSpacing()[2])
    brains = [(sitk.GetArrayFromImage(image) > 0) for image in (first, second)]
    ml = [
        b.sum() * Grid.of(i).voxel_volume_ml for b, i in zip(brains, (first, second), strict=True)
    ]
    assert ml[1] == pytest.approx(ml[0], rel=0.1)
    assert set(copy.images) == {"t1", "t1c", "t2", "flair"}


def test_the_coefficient_of_repeatability(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    repeats = importlib.import_module("repeat_scans")
    # variances 2 and 0: 1.96 * sqrt(2 * 1); volumes below 1 mL have no percentage
    assert repeats.repeatability([[10, 12], [0.5, 0.5]]).split(" | ")[::2] == ["2.77", "1"]
    assert repeats.repeatability([[0.1, 0.1]]) == "0.00 | - | 0"


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.usefixtures("moved_cases")
def test_raw_route_sets_moved_cases_beside_the_untouched_one(stripped_case, table_of):
    folder = str(stripped_case.images["t1"].path.parent)
    lines = table_of("raw_route", folder, "--slices", "5", "--headers", "right", "--masks", "1")
    means = lines[[line.startswith("means of 1 cases") for line in lines].index(True) :]
    untouched = row(means, "untouched ")
    assert untouched[3:] == [0, 0, 0]
    what = "5 mm, headers right"
    for form in ("carried over", "1 mm, native grid", "1 mm, working grid", "native route"):
        scores = row(means, f"{what:24} {form:20}")
        np.testing.assert_allclose(np.subtract(scores[:3], untouched[:3]), scores[3:], atol=1.1e-3)
    small, large = (row(means, f"{what:24} mask {size} mm{'':10}") for size in ("-1", "+1"))
    assert small[0] != large[0]
    assert row(means, f"{what:24} carried over")[0] > untouched[0] - 0.1
    assert any(line.startswith("3 registrations: mean ") for line in means)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_raw_heads_tell_masks_and_stages(stripped_case, table_of):
    folder = stripped_case.images["t1"].path.parent
    image = stripped_case.images["t1c"].read()
    sitk.WriteImage(sitk.Cast(image > 0, sitk.sitkUInt8), str(folder / "x_t1c_mask.nii.gz"))
    lines = table_of("raw_heads", str(folder), "--models", "fast", "--threads", "1")
    assert row(lines, "t1c ")[0] > 0.99
    (stages,) = [line for line in lines if line.startswith("start ")]
    assert "network " in stages
    (peak,) = [line for line in lines if line.startswith("peak ")]
    assert float(peak.split()[1]) > 0.1


def test_what_a_personal_model_gains_and_forgets(table_of, tmp_path):
    """Two sites of small cases; the base has seen none of them, and learns quickly."""
    base = write_start(tmp_path / "start")
    names = [f"Brats18_{site}_{n}_1" for site in ("A", "B") for n in range(5)]
    for seed, name in enumerate(names):
        write_small_case(tmp_path / "cases", name, seed)
    lines = [f"{name},{name[:9]}" for name in names]
    (tmp_path / "groups.csv").write_text("\n".join(["case,site", *lines]), "utf-8")
    scores = tmp_path / "scores.csv"
    options = [
        *(str(base), "--data", str(tmp_path / "cases"), "--groups", str(tmp_path / "groups.csv")),
        *("--site", "Brats18_A", "--counts", "3", "--others", "2", "--epochs", "1"),
        *("--output", str(scores), "--device", "cpu", "--set", *QUICK),
    ]
    printed = table_of("personalise", *options)
    assert [line.split(" | ")[1] for line in printed[2:4]] == [
        "same site, 2 cases",
        "other sites, 2 cases",
    ]
    rows = list(csv.DictReader(scores.open(encoding="utf-8")))
    assert all(float(row["after WT"]) > float(row["before WT"]) for row in rows)
    with pytest.raises(InputError, match="expected a site that it never saw"):
        table_of("personalise", *options, "--site", "Brats18_C")
    with pytest.raises(InputError, match="so that some are left"):
        table_of("personalise", *options, "--counts", "5")
