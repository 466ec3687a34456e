"""What is wrong or noteworthy about the chosen volume nodes, found before a run.

The export (`volume_export`) asks the same functions, so that the panel announces what it does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import slicer
import slicer.util

from scripted_models.bundle.description import missing_finding, needs_one_of
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.checks import (
    NOTE,
    STOP,
    WARNING,
    Examined,
    Finding,
    Severity,
    VoxelFacts,
    grid_findings,
    listed,
    look_at,
    voxel_findings,
)
from scripted_models.images.training_space import TrainingSpace
from scripted_models.sequences import SEQUENCES, TITLES

from .resampling import covering_grid, ijk_to_ras, world_grid

SEVERITIES = (STOP, WARNING, NOTE)
MIN_COVERED = 0.9  # of the box around what the reference shows
MIN_TOGETHER = 0.75  # of the smaller of two such boxes; a head 35 mm aside has less
POINTS_PER_AXIS = 17
MIN_VOXEL_MM3 = 1e-6
FRAME_OF_REFERENCE = "0020,0052"
NO_MODEL: Mapping = MappingProxyType({})  # which needs all four sequences


class InputCheck:
    """Checks chosen volumes; voxels are read once and again only after they have changed."""

    def __init__(self):
        self._facts: dict[str, tuple[int, VoxelFacts]] = {}

    def check(
        self,
        nodes: Mapping[str, object],
        training_space: TrainingSpace | None = None,
        reference: str = "",
        description: Mapping = NO_MODEL,
    ) -> list[Finding]:
        """Return what there is to say about the volumes: stops, then warnings, then notes.

        Args:
            nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode or None.
            training_space: what the model was trained on; None leaves spacings out.
            reference: sequence whose grid is used; by default what `reference_of` says.
            description: content of the model's model.json, which tells what may be missing.
        """
        found = choice_findings(nodes, description)
        reference = reference or reference_of(nodes, description)
        volumes = {}
        for sequence, node in _readable(nodes).items():
            try:
                volumes[sequence] = self._examine(node, sequence)
            except InputError as error:
                found.append(Finding(**vars(error.problem), severity=STOP, slots=(sequence,)))
        found += _place_findings(volumes, reference)
        found += voxel_findings(volumes)
        found += _origin_findings({m: nodes[m] for m in volumes})
        found += grid_findings(volumes, training_space, reference)
        if reference in volumes:
            grid = volumes[reference].grid
            notes = (placement(nodes[m], m, grid, reference) for m in volumes)
            found += [note for note in notes if note]
        return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))

    def _examine(self, node, sequence: str) -> Examined:
        grid, facts = world_grid(node), self._look(node)
        if grid is None:  # its voxels do not lie along the axes of the grid around it
            grid, facts = covering_grid(node), replace(facts, box=None)
        return Examined(label(node, sequence), facts, grid)

    def _look(self, node) -> VoxelFacts:
        time = node.GetImageData().GetMTime()
        known, facts = self._facts.get(node.GetID(), (None, None))
        if known != time:
            facts = look_at(slicer.util.arrayFromVolume(node))
            self._facts[node.GetID()] = (time, facts)
        return facts


def reference_of(nodes: Mapping[str, object], description: Mapping = NO_MODEL) -> str:
    """Return the sequence whose grid is used: T1c, or where that may be and is missing, another one."""
    optional = ("t1c", *needs_one_of(description)) if needs_one_of(description) else ()
    chosen = (sequence for sequence in optional if nodes.get(sequence) is not None)
    return next(chosen, "t1c")


def check_choice(nodes: Mapping[str, object], description: Mapping = NO_MODEL) -> None:
    """Check that the volumes which a model needs are chosen; cheap, reads no voxels.

    Raises:
        InputError: one sentence that says which sequence is missing or wrong.
    """
    _refuse(choice_findings(nodes, description))


def check_usable(
    nodes: Mapping[str, object], reference: str, description: Mapping = NO_MODEL
) -> None:
    """Check all that keeps the volumes from being exported; reads the voxels.

    Raises:
        InputError: the first finding that stops.
    """
    _refuse(InputCheck().check(nodes, reference=reference, description=description))


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.severity == STOP:
            raise InputError.of(finding)


def label(node, sequence: str) -> str:
    """How sentences name a volume: sequence and node."""
    return f"{TITLES[sequence]} '{node.GetName()}'"


def choice_findings(nodes: Mapping[str, object], description: Mapping = NO_MODEL) -> list[Finding]:
    """Say which sequences are missing, chosen twice or no gray-value volumes."""
    missing = tuple(m for m in SEQUENCES if nodes.get(m) is None)
    found = _missing_findings(missing, description) if missing else []
    chosen: dict[object, list[str]] = {}
    for sequence in SEQUENCES:
        if sequence not in missing:
            chosen.setdefault(nodes[sequence], []).append(sequence)
    for slots in chosen.values():
        if len(slots) > 1:
            titles = listed([f"for {TITLES[m]}" for m in slots])
            twice = Finding(
                found=f"the same volume {titles}",
                expected="four different volumes",
                action="choose another one",
                severity=STOP,
                slots=tuple(slots),
                volumes=(f"Volume '{nodes[slots[0]].GetName()}'",),
            )
            found.append(twice)
        if problem := _unreadable(nodes[slots[0]], slots[0]):
            found.append(problem)
    return found


def _missing_findings(missing: tuple[str, ...], description: Mapping) -> list[Finding]:
    one_of, present = needs_one_of(description), set(SEQUENCES) - set(missing)
    if present.intersection(one_of):
        cost = missing_finding(description, present)
        return [cost] if cost else []
    stop = Finding(
        found=f"no volume for {listed([TITLES[m] for m in missing])}",
        expected=" or ".join(TITLES[m] for m in one_of) if one_of else "all four sequences",
        action="choose one",
        severity=STOP,
        slots=missing,
    )
    return [stop]


def _unreadable(node, sequence: str) -> Finding | None:
    image = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else None
    if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        expected = f"the {TITLES[sequence]} image"
        parts = "no image volume", expected, "choose another volume"
    elif image is None or image.GetNumberOfPoints() == 0:
        parts = "no voxels", "an image", "load it again"
    elif (count := image.GetNumberOfScalarComponents()) != 1:
        parts = f"{count} values per voxel", "one", "choose a gray-value volume"
    elif not _have_extent(ijk_to_ras(node)):
        parts = "voxels without extent", "a size above 0", "correct its spacing and directions"
    else:
        return None
    return _about(STOP, sequence, label(node, sequence), *parts)


def _about(
    severity: Severity, sequence: str, name: str, found: str, expected: str, action: str
) -> Finding:
    """A finding about one volume."""
    return Finding(
        found=found,
        expected=expected,
        action=action,
        severity=severity,
        slots=(sequence,),
        volumes=(name,),
    )


def _have_extent(matrix: np.ndarray) -> bool:
    return bool(np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > MIN_VOXEL_MM3)


def _readable(nodes: Mapping[str, object]) -> dict[str, object]:
    """Nodes whose voxels can be looked at, each once."""
    first = {}
    for sequence in SEQUENCES:
        node = nodes.get(sequence)
        if node is not None and not _unreadable(node, sequence):
            first.setdefault(node, sequence)
    return {sequence: node for node, sequence in first.items()}


def lies_on(node, grid: Grid) -> bool:
    """True when the node's voxels lie on a grid in the world, transforms applied."""
    own = world_grid(node)
    return own is not None and own.matches(grid)


def placement(node, sequence: str, grid: Grid, reference: str) -> Finding | None:
    """Say what brings a volume onto the grid in the world that all volumes get.

    Args:
        node: vtkMRMLScalarVolumeNode.
        sequence: its sequence.
        grid: that of the reference in the world.
        reference: sequence of the reference.

    Returns:
        A note; None for a volume without transform whose voxels lie there already.
    """
    own, parent = world_grid(node), node.GetParentTransformNode()
    name = label(node, sequence)
    transform = f"the transform '{parent.GetName()}'" if parent else ""
    if lies_on(node, grid):
        action = "its place there is used and its voxels stay unchanged"
        return _about(NOTE, sequence, name, transform, "", action) if parent else None
    if own is not None:
        under = f"{transform} and " if parent else ""
        found = f"{under}another grid ({own.difference(grid)})"
    elif parent:
        found = f"{transform}, which bends or shears it"
    else:
        found = "axes that are not perpendicular"
    onto = "a regular grid" if sequence == reference else f"the grid of {TITLES[reference]}"
    action = f"it is resampled (linear, in physical space) onto {onto}"
    return _about(NOTE, sequence, name, found, "", action)


def covered_share(grid: Grid, other: Grid) -> float:
    """Share of a grid that lies inside another one, from up to 17 points along each axis."""
    axes = [np.linspace(0, n - 1, min(n, POINTS_PER_AXIS)) for n in grid.size_xyz]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) * grid.spacing_xyz_mm
    points = steps @ np.reshape(grid.direction, (3, 3)).T + grid.origin_lps_mm
    along = (points - other.origin_lps_mm) @ np.reshape(other.direction, (3, 3))
    index = along / other.spacing_xyz_mm
    inside = (index >= -0.5) & (index <= np.array(other.size_xyz) - 0.5)
    return float(inside.all(axis=1).mean())


def _place_findings(volumes: Mapping[str, Examined], reference: str) -> Iterable[Finding]:
    """Volumes that lie away from the reference, cover part of it or show something elsewhere."""
    if reference not in volumes:
        return
    base, title = volumes[reference], TITLES[reference]
    for sequence, volume in volumes.items():
        shown, base_shown = _shown(volume), _shown(base)
        if _together(volume.grid, base.grid) == 0:
            parts = f"no overlap with {title}", "", "register the volumes or choose another one"
            yield _about(STOP, sequence, volume.name, *parts)
        elif base_shown and (covered := covered_share(base_shown, volume.grid)) < MIN_COVERED:
            found = f"only {covered:.0%} of what {title} shows"
            action = "choose a volume of the whole head, or it counts as 0 in the rest"
            yield _about(WARNING, sequence, volume.name, found, "", action)
        elif base_shown and shown and _together(shown, base_shown) < MIN_TOGETHER:
            found = f"a head at another place than in {title}"
            action = "check the patient and register the volumes, it is used where it lies"
            yield _about(WARNING, sequence, volume.name, found, "", action)


def _together(first: Grid, second: Grid) -> float:
    return max(covered_share(first, second), covered_share(second, first))


def _shown(volume: Examined) -> Grid | None:
    """The part of a volume's grid that is not background; None where a transform warps it."""
    box, grid = volume.facts.box, volume.grid
    if box is None:
        return None
    first, last = np.array(box)[::-1].T
    shift = np.reshape(grid.direction, (3, 3)) @ (first * grid.spacing_xyz_mm)
    origin = tuple((shift + grid.origin_lps_mm).tolist())
    return replace(grid, size_xyz=tuple((last - first + 1).tolist()), origin_lps_mm=origin)


def _origin_findings(nodes: Mapping[str, object]) -> Iterable[Finding]:
    """Volumes of different patients or DICOM frames of reference, as far as the scene knows them."""
    patients = _grouped(nodes, _patient)
    if len(patients) > 1:
        groups = [f"'{who}' ({listed(names)})" for (_, who), names in patients.items()]
        found = f"volumes of different patients: {listed(groups)}"
        action = "choose volumes of one patient, or they are used together"
        yield Finding(found=found, action=action, severity=WARNING, slots=tuple(nodes))
    frames = _grouped(nodes, _frame_of_reference)
    if len(frames) > 1:
        groups = [f"({listed(names)})" for names in frames.values()]
        found = f"volumes of different DICOM frames of reference: {listed(groups)}"
        action = "check that they are registered, they are used where they lie in the world"
        yield Finding(found=found, action=action, severity=WARNING, slots=tuple(nodes))


def _grouped(nodes: Mapping[str, object], key) -> dict[object, list[str]]:
    groups: dict[object, list[str]] = {}
    for sequence, node in nodes.items():
        if value := key(node):
            groups.setdefault(value, []).append(label(node, sequence))
    return groups


def _hierarchy_item(node) -> tuple[object, int]:
    scene = node.GetScene()  # None when the volume was removed meanwhile
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") if scene else None
    return hierarchy, hierarchy.GetItemByDataNode(node) if hierarchy else 0


def _patient(node) -> tuple[int, str] | None:
    hierarchy, item = _hierarchy_item(node)
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    patient = hierarchy.GetItemAncestorAtLevel(item, level) if item else 0
    return (patient, hierarchy.GetItemName(patient)) if patient else None


def _frame_of_reference(node) -> str:
    """UID of the frame, from the subject hierarchy or from the DICOM database; '' when not known."""
    hierarchy, item = _hierarchy_item(node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMFrameOfReferenceUIDAttributeName()
    stated = hierarchy.GetItemAttribute(item, name) if item else ""
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if stated or not instances or database is None:
        return stated
    return database.instanceValue(instances[0], FRAME_OF_REFERENCE)
