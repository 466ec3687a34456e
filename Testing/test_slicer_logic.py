"""Volume nodes to a segmentation node through a real child process, in a real scene."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
from slicer_fixtures import (
    ROOT,
    SEQUENCES,
    add_linear_transform,
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    rigid_matrix,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import logic, python_child, resampling, run_folder  # noqa: E402
from BrainTumorSegLib.child_errors import written_lines  # noqa: E402
from BrainTumorSegLib.segments import SEGMENTS  # noqa: E402
from BrainTumorSegLib.words import stage_in_words  # noqa: E402

from scripted_models.errors import (  # noqa: E402
    Cancelled,
    InputError,
    ModelError,
    ScriptedModelsError,
)

pytestmark = pytest.mark.slicer


@pytest.fixture
def volumes(slicer_scene):
    """Four oblique volumes with a block of 800 around a block of 1000."""
    array = np.full((12, 14, 16), 500, np.float32)
    array[2:9, 3:11, 4:13] = 800
    array[4:7, 5:9, 6:10] = 1000
    matrix = oblique_matrix()
    return {
        m: add_volume(slicer_scene, f"p {m}", array + i, matrix) for i, m in enumerate(SEQUENCES)
    }


def counts(node, reference):
    arrays = [
        slicer.util.arrayFromSegmentBinaryLabelmap(node, entry.segment_id, reference)
        for entry in SEGMENTS[:4]
    ]
    return [int(array.sum()) for array in arrays]


def node_ids(mrml):
    return [mrml.GetNthNode(i).GetID() for i in range(mrml.GetNumberOfNodes())]


def test_four_nodes_become_a_segmentation(slicer_scene, volumes, child):
    events = []
    transform = add_linear_transform(slicer_scene, rigid_matrix())
    for node in volumes.values():
        node.SetAndObserveTransformNodeID(transform.GetID())
    node = logic.segment(volumes, events.append, environment=child("steps", "write"))
    assert counts(node, volumes["t1c"]) == [0, 7 * 8 * 9 - 3 * 4 * 4, 0, 3 * 4 * 4]
    assert node.GetName() == "p t1c tumor"
    assert node.GetAttribute("BrainTumorSeg.Model") == "threshold"
    assert node.GetAttribute("BrainTumorSeg.Version") == "9.9"
    assert json.loads(node.GetAttribute("BrainTumorSeg.Report"))["model"]["name"] == "threshold"
    assert json.loads(node.GetAttribute("BrainTumorSeg.Inputs"))["flair"] == "p flair"
    (told,) = (e.text for e in events if "found the transform 'linear'" in e.text)
    assert told.startswith("T1 'p t1', T1c 'p t1c', T2 'p t2' and FLAIR 'p flair': ")
    assert [e.kind for e in events].count("progress") == 10


@pytest.mark.parametrize(
    ("acts", "error", "words"),
    [
        (["steps", "error"], ModelError, "damaged"),
        (["traceback"], ScriptedModelsError, "thing went wrong"),
        (["steps", "result"], ScriptedModelsError, "a result that cannot be read"),
        (["steps"], ScriptedModelsError, "without a result"),
    ],
)
def test_failed_run_leaves_the_scene_as_it_was(slicer_scene, volumes, child, acts, error, words):
    before = node_ids(slicer_scene)
    with pytest.raises(error, match=words):
        logic.segment(volumes, environment=child(*acts))
    assert node_ids(slicer_scene) == before


def test_failure_carries_the_log(volumes, child):
    with pytest.raises(ScriptedModelsError) as caught:
        logic.segment(volumes, environment=child("traceback"))
    assert any("ValueError" in line for line in written_lines(caught.value))


def test_cancelled_run_leaves_the_scene_as_it_was(slicer_scene, volumes, child):
    before = node_ids(slicer_scene)
    asked = threading.Event()

    def on_event(event):
        if event.kind == "stage":
            asked.set()

    with pytest.raises(Cancelled):
        logic.segment(
            volumes, on_event, asked.is_set, environment=child("grandchild", "hang"), grace_s=0.3
        )
    assert node_ids(slicer_scene) == before


def test_unusable_volumes_start_nothing(slicer_scene, volumes, child):
    volumes["t2"] = volumes["t1"]
    job = logic.SegmentationJob(volumes, environment=child("hang"))
    with pytest.raises(InputError, match="four different volumes"):
        job.start()
    assert job.process is None


def test_polled_job_fills_the_chosen_segmentation(slicer_scene, volumes, child):
    target = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    job = logic.SegmentationJob(volumes, target=target, environment=child("steps", "write"))
    job.start()
    while job.outcome is None:
        job.poll()
        time.sleep(0.01)
    assert job.finish() is target
    assert counts(target, volumes["t1c"])[3] == 48


def test_reference_removed_during_the_run_still_gives_a_segmentation(slicer_scene, volumes, child):
    job = logic.SegmentationJob(volumes, environment=child("write"))
    job.start()
    slicer_scene.RemoveNode(volumes["t1c"])
    job.wait()
    node = job.finish()
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is None
    assert counts(node, volumes["t2"])[3] == 48


def test_another_reference_gives_its_grid(slicer_scene, volumes, child):
    job = logic.SegmentationJob(volumes, reference="flair", environment=child("write"))
    job.start()
    job.wait()
    assert job.exported.grid == resampling.world_grid(volumes["flair"])
    assert job.finish().GetName() == "p flair tumor"


def test_python_and_environment_inside_slicer(tmp_path, monkeypatch):
    """PythonSlicer of the application is taken, in the environment from before its start."""
    home = tmp_path / "Slicer"
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / name).write_text("", encoding="utf-8")

    class Variables(dict):
        def value(self, key):
            return self[key]

    class App:
        slicerHome = str(home)  # noqa: N815 - Slicer's name

        def startupEnvironment(self):  # noqa: N802 - Slicer's name
            return Variables(PATH="x", PYTHONPATH=os.path.abspath("mine") + os.pathsep + ".")

    monkeypatch.setattr(slicer, "app", App(), raising=False)
    assert python_child.find_python() == str(home / "bin" / name)
    environment = python_child.child_environment()
    assert environment["PATH"] == "x"
    assert environment["PYTHONPATH"] == os.pathsep.join([str(ROOT), os.path.abspath("mine")])


def test_the_true_program_segments_a_phantom(slicer_scene, tmp_path, monkeypatch):
    """The whole path with a network: volumes under a transform, the true child process."""
    from scripted_models.cases.phantom.phantom_case import make_phantom

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    phantom = make_phantom(5, (40, 40, 14))
    matrix = np.diag([-2.0, -2.0, 3.0, 1.0])  # a doll's head, in which the model sees a tumor
    moved = add_linear_transform(slicer_scene, rigid_matrix())
    volumes = {}
    for sequence in SEQUENCES:
        array = phantom.volumes[sequence]
        volumes[sequence] = add_volume(slicer_scene, f"phantom {sequence}", array, matrix)
        volumes[sequence].SetAndObserveTransformNodeID(moved.GetID())
    events = []
    node = logic.segment(volumes, events.append, model="default", device="cpu")
    report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
    found = counts(node, volumes["t1c"])
    expected = [report["volumes_ml"][entry.segment_id] for entry in SEGMENTS[:4]]
    voxel_ml = 2 * 2 * 3 / 1000
    assert [count * voxel_ml for count in found] == pytest.approx(expected, abs=5e-4)
    assert sum(found) > 0
    stages = {event.stage for event in events if event.stage}
    assert all(stage_in_words(name) != name for name in stages), stages
    fractions = [e.fraction for e in events if e.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert node.GetAttribute("BrainTumorSeg.Version") == report["versions"]["scripted_models"]
    assert list(tmp_path.iterdir()) == []


def test_child_ends_when_slicer_is_killed(tmp_path):
    """A stand-in for Slicer starts a program that watches it, and is killed; both are gone."""
    watching = (
        "import sys, time; from scripted_models.runtime.parent_process import end_with; "
        "end_with(int(sys.argv[1])); print('watching', flush=True); time.sleep(60); print('slept')"
    )
    starting = (
        "import os, subprocess, sys, time\n"
        "command = [sys.executable, '-c', sys.argv[1], str(os.getpid())]\n"
        "subprocess.Popen(command, start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", starting, watching]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout.readline() == "watching\n"
        killed.kill()
        killed.wait()
        assert killed.stdout.read() == ""  # ends when the program, too, has let go of the pipe


def test_only_abandoned_folders_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f"BrainTumorSeg-{gone.pid}-old", f"BrainTumorSeg-{gone.pid}-new"]
    names += [f"BrainTumorSeg-{os.getpid()}-mine", "BrainTumorSeg-x-y", "Other-1-old"]
    for name in names:
        (tmp_path / name).mkdir()
        if not name.endswith("-new"):
            os.utime(tmp_path / name, (1, 1))
    run_folder.remove_abandoned_folders()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
