"""My cases in the panel: corrected results are stored, and the true program learns from them."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from personal_fixtures import QUICK, START, store_cases, write_start
from slicer_fixtures import (
    add_volume,
    head,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    moved,
    oblique_matrix,
    rigid_matrix,
    save_and_reload,
    shifted,
)

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.geometry import Grid
from scripted_models.sequences import SEQUENCES

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from BrainTumorSegLib.resampling import ras_matrix  # noqa: E402
from slicer_desktop import qt_names  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)

pytestmark = pytest.mark.slicer
SIZE = (32, 36, 12)


@pytest.fixture
def segmented(window, slicer_scene):
    """A window after a run over a small skull-stripped head, and the segmentation."""
    return segment(window, slicer_scene, make_phantom(1, SIZE), oblique_matrix((1.0, 1.0, 2.0)))


def segment(window, slicer_scene, phantom, matrix):
    for sequence in SEQUENCES:
        values = np.rint(phantom.volumes[sequence]).astype(np.int16)
        add_volume(slicer_scene, f"Miller {sequence}", values, matrix)
    window.settle()
    window.acts("write")
    window.click("segmentButton")
    window.run_to_end()
    return window, window.parameters.segmentation


def choose_folder(window, folder):
    qt_names.FileDialog.answers = [str(folder)]
    window.click("casesFolderButton")


def wait(window):
    window.spin(lambda: window.module.cases.job is None)


def edit(node, volume):
    """Draw a block of enhancing tumor."""
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "enhancing", volume)
    mask[4:8, 10:20, 10:20] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", volume)


class TestAdd:
    def test_edited_labels_lie_beside_the_first_result(self, segmented, slicer_scene, tmp_path):
        window, node = segmented
        save_and_reload(slicer_scene, tmp_path)  # the first result goes with the scene
        window.settle()
        node = window.parameters.segmentation
        edit(node, window.parameters.t1c)
        choose_folder(window, tmp_path / "cases")
        window.click("addCaseButton")
        wait(window)
        assert window.dialogs.errors == []
        (case,) = find_cases(tmp_path / "cases")
        truth, grid = case.read_truth()
        first = sitk.ReadImage(str(tmp_path / "cases" / "case001" / "segmentation.nii.gz"))
        was = sitk.GetArrayViewFromImage(first)
        assert (truth[4:8, 10:20, 10:20] == 4).all()
        assert (was != truth).any()
        assert Grid.of(first).matches(grid)
        stored = sitk.ReadImage(str(case.images["t1c"].path))
        shown = slicer.util.arrayFromVolume(window.parameters.t1c)
        assert np.array_equal(sitk.GetArrayViewFromImage(stored), shown)
        provenance = json.loads((tmp_path / "cases" / "case001" / "provenance.json").read_text())
        assert provenance["changed_voxels"] == int((was != truth).sum())
        assert "Miller" not in "".join(
            path.read_text("latin-1") + str(path) for path in (tmp_path / "cases").rglob("*.*")
        )
        assert "Stored as case001" in window.ui.statusLabel.text
        assert window.ui.casesLabel.text == "1 cases"

    def test_the_same_volumes_are_stored_once(self, segmented, tmp_path):
        window, _node = segmented
        choose_folder(window, tmp_path / "cases")
        for _turn in range(2):
            window.click("addCaseButton")
            wait(window)
        assert "case001" in window.dialogs.errors[0]
        assert [p.name for p in (tmp_path / "cases").glob("case*")] == ["case001"]

    @pytest.mark.slow
    def test_what_was_prepared_for_the_run_is_prepared_again(self, window, slicer_scene, tmp_path):
        """The true program registers T2, as it did for the run that made the result."""
        phantom = head()
        window, node = segment(window, slicer_scene, phantom, ras_matrix(phantom.grid))
        report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
        report["preparation"] = {"reference": "t1c", "brain_extraction": "none needed"}
        node.SetAttribute("BrainTumorSeg.Report", json.dumps(report))
        edit(node, window.parameters.t1c)
        moved(slicer_scene, window.parameters.t2, shifted(4.0))
        choose_folder(window, tmp_path / "cases")
        window.click("addCaseButton")
        assert window.module.cases.job is not None
        wait(window)
        assert window.dialogs.errors == []
        (case,) = find_cases(tmp_path / "cases")
        images = {m: sitk.ReadImage(str(source.path)) for m, source in case.images.items()}
        truth, grid = case.read_truth()
        assert all(Grid.of(image).matches(grid) for image in images.values())
        assert grid.spacing_xyz_mm == pytest.approx((1.0, 1.0, 1.0))
        assert truth.any()

    def test_volumes_elsewhere_come_onto_the_grid_of_the_reference(
        self, segmented, slicer_scene, tmp_path
    ):
        from BrainTumorSegLib.case_data import labels_of, volumes_of

        window, node = segmented
        _labels, grid = labels_of(node)
        before = volumes_of(node, grid)
        flair = window.parameters.flair
        transform = slicer_scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = rigid_matrix(0.0, (2.0, 0.0, 0.0))
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        flair.SetAndObserveTransformNodeID(transform.GetID())
        after = volumes_of(node, grid)
        assert labels_of(node)[1].matches(grid)
        assert not np.array_equal(after["flair"], before["flair"])
        assert np.array_equal(after["t1"], before["t1"])


@pytest.fixture
def trained(window, tmp_path, monkeypatch):
    """A window over a folder of cases and a start model; the true program trains it for seconds."""
    from BrainTumorSegLib.panel import cases_section

    write_start(Path(os.environ["SCRIPTED_MODELS_HOME"]) / "models" / START)
    store_cases(tmp_path / "cases", range(6))
    options = ("--epochs", "2", "--threads", "1", "--set", *QUICK)
    job = partial(cases_section.TrainingJob, options=options)
    monkeypatch.setattr(cases_section, "TrainingJob", job)
    window.module.models.refresh()
    window.parameters.model = START
    window.module.models.refresh()
    choose_folder(window, tmp_path / "cases")
    return window


class TestTrain:
    def test_a_better_model_is_offered_with_its_scores(self, trained, slicer_scene):
        window, shown = trained, []
        window.click("trainButton")
        assert window.ui.trainButton.text == "Cancel"
        bar = window.ui.casesProgressBar
        window.spin(lambda: shown.append(bar.value) or window.module.cases.job is None)
        assert window.dialogs.errors == []
        assert "Add the new model start-personal to the list?" in window.dialogs.questions[0]
        assert " before, " in window.dialogs.questions[0]
        assert window.ui.modelComboBox.currentText == "start-personal"
        assert window.parameters.model == "start-personal"
        assert "| before |" in window.log
        assert len(set(shown)) > 2
        left = Path(os.environ["SCRIPTED_MODELS_HOME"]) / "personal"
        assert list(left.iterdir()) == []
        window.click("removeModelButton")
        assert "start-personal" in window.dialogs.questions[1]

    def test_a_model_that_is_not_better_is_an_answer_and_no_fault(
        self, trained, monkeypatch, slicer_scene
    ):
        from BrainTumorSegLib.panel import cases_section

        rates = ("learning_rate=1e-7", "final_learning_rate=1e-7", "steps_per_epoch=1")
        quiet = (*QUICK, "training.start_share=0.99", *(f"training.phase1.{r}" for r in rates))
        options = ("--epochs", "1", "--set", *quiet)
        job = partial(cases_section.TrainingJob.func, options=options)
        monkeypatch.setattr(cases_section, "TrainingJob", job)
        names = [entry.name for entry in trained.module.models.entries]
        trained.click("trainButton")
        wait(trained)
        assert trained.dialogs.errors == trained.dialogs.questions == []
        assert "no model was written" in trained.ui.statusLabel.text
        trained.module.models.refresh()
        assert [entry.name for entry in trained.module.models.entries] == names

    def test_a_cancelled_one_leaves_the_list_as_it_was(self, trained):
        trained.click("trainButton")
        trained.spin(lambda: trained.ui.casesProgressBar.value > 0)
        trained.click("trainButton")
        wait(trained)
        assert trained.dialogs.errors == trained.dialogs.questions == []
        assert "ancel" in trained.ui.statusLabel.text
        assert trained.ui.trainButton.text == "Train on my cases"

    def test_needs_three_cases(self, window, tmp_path):
        store_cases(tmp_path / "cases", range(2))
        choose_folder(window, tmp_path / "cases")
        assert not window.ui.trainButton.enabled
        assert "At least 3 cases" in window.ui.trainButton.toolTip
