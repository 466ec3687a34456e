"""An artificial patient in Slicer's Sample Data, made on this computer: no download, no patient."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from scripted_models import __version__
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.sequences import SEQUENCES, TITLES

from .resampling import ras_matrix
from .slicer_types import Node, Scene, VolumeNode
from .translation import _

CATEGORY = _("Brain Tumor Segmentation")
SAMPLE = "BrainTumorPhantom"
THUMBNAIL = Path(__file__).resolve().parent.parent / "Resources" / "SampleData" / f"{SAMPLE}.png"
SEED = 5
SIZE_XYZ = (160, 160, 104)  # 1.5 mm; two seconds, a third of the time at 1 mm
# with the version, because Slicer keeps what it has copied once
FILE_NAMES = tuple(f"{SAMPLE}-{__version__}-{sequence}.nrrd" for sequence in SEQUENCES)


class PhantomAddresses(list[str]):
    """Addresses of files that are made when they are asked for, and gone when that is over.

    `SampleData.downloadSample` copies and loads what addresses say, and knows no other way.
    """

    def __iter__(self) -> Iterator[str]:
        phantom = make_phantom(SEED, SIZE_XYZ)
        with tempfile.TemporaryDirectory(prefix=f"{SAMPLE}-") as folder:
            for name, sequence in zip(FILE_NAMES, SEQUENCES, strict=True):
                file = Path(folder) / name
                values = np.rint(phantom.volumes[sequence]).astype(np.int16)
                sitk.WriteImage(phantom.grid.image_from(values), str(file))
                yield file.as_uri()


def register() -> None:
    """Add the artificial patient to the module Sample Data; call it when Slicer has started."""
    from SampleData import SampleDataLogic

    if SampleDataLogic.sampleDataSourcesByCategory(CATEGORY):
        return  # registered before; to compare the two would make both
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        uris=PhantomAddresses(FILE_NAMES),
        fileNames=list(FILE_NAMES),
        nodeNames=[f"Phantom {TITLES[sequence]}" for sequence in SEQUENCES],
        thumbnailFileName=str(THUMBNAIL),
        customDownloader=download,
    )


def download(source: object = None) -> list[VolumeNode]:
    """Add the artificial patient to Slicer's scene and show it; the button in Sample Data calls it.

    Args:
        source: the SampleDataSource, not needed.

    Returns:
        vtkMRMLScalarVolumeNodes of T1, T1c, T2, FLAIR.
    """
    nodes: list[VolumeNode] = []
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made."), waitCursor=True):
        nodes = add_phantom(slicer.mrmlScene)
        slicer.util.setSliceViewerLayers(background=nodes[-1], fit=True)
    return nodes


def add_phantom(
    scene: Scene, seed: int = SEED, size_xyz: tuple[int, int, int] = SIZE_XYZ
) -> list[VolumeNode]:
    """Add the four volumes of an artificial patient, in one study of the subject hierarchy.

    Args:
        scene: vtkMRMLScene; with a subject hierarchy or without.
        seed: of the head.
        size_xyz: voxels; the field of view stays 240 x 240 x 155 mm.

    Returns:
        vtkMRMLScalarVolumeNodes (int16) of T1, T1c, T2, FLAIR.

    Raises:
        InputError: no phantom of that seed or size; the scene is as it was.
    """
    phantom = make_phantom(seed, size_xyz)
    matrix = slicer.util.vtkMatrixFromArray(ras_matrix(phantom.grid))
    nodes = []
    for sequence in SEQUENCES:
        name = scene.GenerateUniqueName(f"Phantom {TITLES[sequence]}")
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        values = np.rint(phantom.volumes[sequence]).astype(np.int16)
        slicer.util.updateVolumeFromArray(node, values)
        node.SetIJKToRASMatrix(matrix)
        node.CreateDefaultDisplayNodes()
        nodes.append(node)
    _put_into_study(scene, nodes, f"Phantom {seed}")
    return nodes


def _put_into_study(scene: Scene, nodes: list[Node], name: str) -> None:
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if hierarchy is None:
        return
    subject = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    study = hierarchy.CreateStudyItem(subject, "MRI")
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(study, node)
        hierarchy.SetItemParent(item, study)
