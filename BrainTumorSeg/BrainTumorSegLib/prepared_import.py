"""What a preparation of raw volumes made becomes nodes: transforms, brain mask, prepared volumes.

The transforms are left for the user to apply. No volume of the user is put under one here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from scripted_models.errors import ScriptedModelsError
from scripted_models.geometry import Grid
from scripted_models.preparation.prepared_files import BRAIN_MASK, FACTS, transform_name
from scripted_models.sequences import SEQUENCES

from .candidates import OWN_PREFIX
from .resampling import LPS_RAS
from .result_import import read_on
from .segmentation_node import brain_layers, fill_node, place_beside
from .slicer_types import Scene, VolumeNode, VolumeNodes
from .translation import _
from .volume_nodes import add_volume_node

PREPARED_ATTRIBUTE = f"{OWN_PREFIX}prepared"  # keeps prepared volumes out of the slots


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """What a preparation wrote, as arrays.

    Attributes:
        reference: sequence to which the others were registered.
        grid: working grid in the world.
        brain: uint8 (z, y, x), 0 or 1.
        volumes: sequence -> float32 (z, y, x), 0 outside of the brain.
        moves: sequence -> 4x4, RAS mm: from its place in the world to its place on the reference;
            of those that were registered.
    """

    reference: str
    grid: Grid
    brain: np.ndarray
    volumes: Mapping[str, np.ndarray]
    moves: Mapping[str, np.ndarray]


def read_prepared(folder: Path) -> PreparedCase:
    """Read what `prepared_files.write_prepared` wrote, before the scene is touched.

    Raises:
        ScriptedModelsError: a file is missing or cannot be read.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        reference = str(facts["reference"])
        mask = sitk.ReadImage(str(folder / BRAIN_MASK))
        grid, moved = Grid.of(mask), tuple(facts["registrations"])
        transforms = {m: folder / transform_name(m, reference) for m in moved}
        volumes = {m: folder / f"{m}.nii.gz" for m in SEQUENCES}
        return PreparedCase(
            reference=reference,
            grid=grid,
            brain=sitk.GetArrayFromImage(mask).astype(np.uint8),
            volumes={m: read_on(f, grid) for m, f in volumes.items() if f.is_file()},
            moves={m: back_matrix(sitk.ReadTransform(str(f))) for m, f in transforms.items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise ScriptedModelsError(
            found=_("prepared volumes that cannot be read ({reason})").format(reason=error),
            action=_("nothing was imported, segment again"),
        ) from error


def back_matrix(transform: sitk.Transform) -> np.ndarray:
    """Return the inverse of an affine transform between LPS points as a 4x4 matrix of RAS points.

    ITK maps points of the reference to points of the volume; Slicer moves the volume.
    """
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(transform.TransformPoint(tuple(axis))) - origin for axis in np.eye(3)]
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = np.transpose(axes), origin
    return LPS_RAS @ np.linalg.inv(lps) @ LPS_RAS


def import_prepared(
    scene: Scene,
    prepared: PreparedCase,
    nodes: VolumeNodes,
    places: Mapping[str, np.ndarray | None],
    reference_node: VolumeNode = None,
) -> None:
    """Add transform nodes, the brain as a segmentation, and the prepared volumes to the scene.

    A volume that is put under its transform node lies on the reference. The node holds what the
    volume's own transform did when it was exported; where that bends, the node belongs above it.

    Args:
        scene: vtkMRMLScene.
        prepared: as `read_prepared` returns it.
        nodes: sequence -> volume node; gives the names.
        places: as of `ExportedVolumes`.
        reference_node: volume node whose study all join; None when it is gone.
    """
    names = {m: node.GetName() for m, node in nodes.items()}
    to = names[prepared.reference]
    _add_transforms(scene, prepared, names, places, reference_node)
    brain = scene.AddNewNodeByClass(
        "vtkMRMLSegmentationNode", _("{volume} brain").format(volume=to)
    )
    layers = brain_layers(prepared.brain, prepared.grid)
    fill_node(brain, layers, prepared.grid, reference_node)
    brain.GetDisplayNode().SetVisibility(False)  # it would cover the tumor
    place_beside(scene, brain, reference_node)
    for sequence, values in prepared.volumes.items():
        name = _("{volume} prepared").format(volume=names[sequence])
        node = add_volume_node(scene, name, values, prepared.grid, reference_node)
        node.SetAttribute(PREPARED_ATTRIBUTE, sequence)


def _add_transforms(
    scene: Scene,
    prepared: PreparedCase,
    names: Mapping[str, str],
    places: Mapping[str, np.ndarray | None],
    reference_node: VolumeNode,
) -> None:
    to = names[prepared.reference]
    for sequence, matrix in prepared.moves.items():
        place = places.get(sequence)
        name = _("{volume} to {reference}").format(volume=names[sequence], reference=to)
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        whole = matrix if place is None else matrix @ place
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(whole))
        node.SetDescription(_hint(names[sequence], place is None))
        place_beside(scene, node, reference_node)


def _hint(name: str, bends: bool) -> str:
    if bends:
        return _("Put the transform of '{volume}' under this one.").format(volume=name)
    return _("Put '{volume}' under this transform, in place of its own if it has one.").format(
        volume=name
    )
