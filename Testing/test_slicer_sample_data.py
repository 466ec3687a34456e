"""The phantom of the module Sample Data in a real scene, and its entry there."""

import inspect
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlretrieve

import numpy as np
import pytest
import SimpleITK as sitk
from slicer_fixtures import make_slicer_scene  # noqa: F401 - the fixture slicer_scene

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import sample_data  # noqa: E402
from BrainTumorSegLib.logic import SegmentationJob  # noqa: E402
from BrainTumorSegLib.resampling import world_grid  # noqa: E402

from scripted_models.cases.phantom.phantom_case import make_phantom, phantom_grid  # noqa: E402
from scripted_models.errors import InputError  # noqa: E402
from scripted_models.geometry import Grid  # noqa: E402
from scripted_models.sequences import SEQUENCES  # noqa: E402

pytestmark = pytest.mark.slicer
SIZE = (32, 32, 12)
NAMES = ["Phantom T1", "Phantom T1c", "Phantom T2", "Phantom FLAIR"]


def add_hierarchy(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def test_phantom_becomes_four_volumes_where_its_grid_is(slicer_scene):
    nodes = sample_data.add_phantom(slicer_scene, 1, SIZE)
    truth = make_phantom(1, SIZE)
    assert [node.GetName() for node in nodes] == NAMES
    for sequence, node in zip(SEQUENCES, nodes, strict=True):
        values = slicer.util.arrayFromVolume(node)
        assert values.dtype == np.int16
        assert np.abs(values - truth.volumes[sequence]).max() <= 0.5
        assert world_grid(node).matches(truth.grid)
        assert node.GetDisplayNode() is not None
        assert node.GetStorageNode() is None  # no file is behind it


def test_phantom_can_be_segmented_as_it_comes(slicer_scene):
    nodes = dict(zip(SEQUENCES, sample_data.add_phantom(slicer_scene, 1, SIZE), strict=True))
    job = SegmentationJob(nodes, slicer_scene)
    job.start()
    notes = [event.text for event in job.poll() if event.text]
    job.close()
    assert notes == []  # the volumes lie on one grid: nothing has to be done to them


def test_phantom_lies_in_one_study_of_the_hierarchy(slicer_scene):
    hierarchy = add_hierarchy(slicer_scene)
    nodes = sample_data.add_phantom(slicer_scene, 1, SIZE)
    parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes}
    assert len(parents) == 1
    study = parents.pop()
    assert hierarchy.GetItemLevel(study) == "Study"
    assert hierarchy.GetItemLevel(hierarchy.GetItemParent(study)) == "Patient"


def test_second_phantom_gets_names_and_a_study_of_its_own(slicer_scene):
    hierarchy = add_hierarchy(slicer_scene)
    first = sample_data.add_phantom(slicer_scene, 1, SIZE)
    second = sample_data.add_phantom(slicer_scene, 2, SIZE)
    names = {node.GetName() for node in (*first, *second)}
    assert len(names) == 8
    items = [hierarchy.GetItemByDataNode(node) for node in (first[0], second[0])]
    assert len({hierarchy.GetItemParent(item) for item in items}) == 2


def test_impossible_phantom_leaves_the_scene_alone(slicer_scene):
    before = slicer_scene.GetNumberOfNodes()
    with pytest.raises(InputError):
        sample_data.add_phantom(slicer_scene, 1, (4, 4, 4))
    assert slicer_scene.GetNumberOfNodes() == before


class Source:
    """What SampleData.SampleDataSource keeps and checks in Slicer 5.12."""

    FIELDS = (
        "sampleName",
        "uris",
        "fileNames",
        "nodeNames",
        "customDownloader",
        "thumbnailFileName",
    )

    def __init__(self, **fields):
        assert sorted(fields) == sorted(self.FIELDS)
        assert isinstance(fields["uris"], list | tuple)
        if not len(fields["uris"]) == len(fields["fileNames"]) == len(fields["nodeNames"]):
            raise ValueError("All fields of sample data source must have the same length")
        self.__dict__.update(fields)


@pytest.fixture
def sources(monkeypatch):
    """The registered sources by category, as Sample Data keeps them."""
    registered = {}

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(category="Custom", **fields):  # noqa: N802
            registered.setdefault(category, []).append(Source(**fields))

        @staticmethod
        def sampleDataSourcesByCategory(category):  # noqa: N802
            return registered.get(category, [])

    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=SampleDataLogic))
    return registered


def test_entry_in_sample_data_makes_the_phantom_and_shows_it(slicer_scene, sources, monkeypatch):
    shown = []

    @contextmanager
    def try_with_error_display(message=None, show=True, waitCursor=False):  # noqa: N803
        yield

    monkeypatch.setattr(slicer.util, "tryWithErrorDisplay", try_with_error_display)
    real = inspect.signature(slicer.util.setSliceViewerLayers)
    monkeypatch.setattr(
        slicer.util, "setSliceViewerLayers", lambda *a, **k: shown.append(real.bind(*a, **k))
    )
    make = sample_data.add_phantom
    monkeypatch.setattr(sample_data, "add_phantom", lambda scene: make(scene, 1, SIZE))
    sample_data.register()
    ((category, (source,)),) = sources.items()
    assert category == "Brain Tumor Segmentation"
    nodes = source.customDownloader(source)
    assert [node.GetName() for node in nodes] == NAMES
    assert shown[0].arguments["background"] is nodes[-1]


def test_phantom_can_be_had_without_the_button(slicer_scene, sources, tmp_path, monkeypatch):
    """As SampleDataLogic.downloadFromSource gets it: copies of what the addresses name."""
    monkeypatch.setattr(sample_data, "SIZE_XYZ", SIZE)
    sample_data.register()
    sample_data.register()  # when the developer reloads the module
    ((source,),) = sources.values()
    nodes = dict(zip(NAMES, sample_data.add_phantom(slicer_scene, 5, SIZE), strict=True))
    copied = {}
    for uri, file, name in zip(source.uris, source.fileNames, source.nodeNames, strict=True):
        made = urlretrieve(uri, tmp_path / file)[0]
        copied[name] = sitk.ReadImage(str(made))
    assert not list(Path(tempfile.gettempdir()).glob("BrainTumorPhantom-*"))
    assert list(copied) == NAMES
    for name, image in copied.items():
        assert np.array_equal(
            sitk.GetArrayFromImage(image), slicer.util.arrayFromVolume(nodes[name])
        )
        assert Grid.of(image).matches(world_grid(nodes[name]))


def test_thumbnail_is_a_small_picture_in_the_module(sources):
    sample_data.register()
    ((source,),) = sources.values()
    header = Path(source.thumbnailFileName).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(header[i : i + 4], "big") for i in (16, 20)] == [280, 260]


def test_size_of_the_phantom_has_nearly_cubic_voxels():
    spacing = phantom_grid(sample_data.SIZE_XYZ).spacing_xyz_mm
    assert max(spacing) / min(spacing) < 1.02
