"""What is wrong or noteworthy about the chosen volume nodes, found before a run.

The export (`volume_export`) asks the same functions, so that the panel announces what it does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import slicer
import slicer.util

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.missing_sequences import missing_finding, needs_one_of
from scripted_models.errors import InputError
from scripted_models.images.checks import (
    NOTE,
    STOP,
    WARNING,
    Examined,
    Finding,
    grid_findings,
    voxel_findings,
)
from scripted_models.images.training_space import TrainingSpace
from scripted_models.images.voxel_facts import VoxelFacts, look_at
from scripted_models.preparation.needs import REFERENCES, Needs
from scripted_models.sequences import SEQUENCES, TITLES

from .findings import label, merged, volume_finding
from .origin_check import origin_findings
from .place_check import place_findings, placement
from .raw_check import background_findings, hint_finding, preparation_findings, raw_needs
from .resampling import covering_grid, ijk_to_ras, world_grid
from .slicer_types import VolumeNode, VolumeNodes
from .translation import _
from .words import either, listed

SEVERITIES = (STOP, WARNING, NOTE)
MIN_VOXEL_MM3 = 1e-6


class InputCheck:
    """Checks chosen volumes; voxels are read once and again only after they have changed."""

    def __init__(self) -> None:
        self.needs: Needs | None = None  # of the volumes that were checked last
        self._facts: dict[str, tuple[int, VoxelFacts]] = {}

    def check(
        self,
        nodes: VolumeNodes,
        training_space: TrainingSpace | None = None,
        reference: str = "",
        description: ModelDescription | None = None,
        prepare: bool = False,
    ) -> list[Finding]:
        """Return what there is to say about the volumes: stops, then warnings, then notes.

        Args:
            nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode or None.
            training_space: what the model was trained on; None leaves spacings out.
            reference: sequence whose grid is used; by default what `reference_of` says.
            description: of the model, which tells what may be missing; None: nothing may.
            prepare: raw volumes will be prepared.
        """
        found = choice_findings(nodes, description)
        reference = reference or reference_of(nodes, description, prepare)
        volumes = {}
        for sequence, node in _readable(nodes).items():
            try:
                volumes[sequence] = self._examine(node, sequence)
            except InputError as error:
                found.append(Finding(**vars(error.problem), severity=STOP, slots=(sequence,)))
        self.needs = raw_needs(volumes, reference)
        chosen = {m: nodes[m] for m in volumes}
        if prepare and self.needs and not self.needs.nothing:
            found += _raw_findings(chosen, volumes, training_space, self.needs)
        else:
            sees_to = prepare and self.needs is not None
            found += _findings_as_they_are(chosen, volumes, training_space, reference, sees_to)
            if prepare and self.needs:
                found += background_findings(volumes, self.needs)
            elif self.needs and not self.needs.nothing:
                found.append(hint_finding(self.needs))
        return sorted(merged(found), key=lambda finding: SEVERITIES.index(finding.severity))

    def _examine(self, node: VolumeNode, sequence: str) -> Examined:
        grid, facts = world_grid(node), self._look(node)
        if grid is None:  # its voxels do not lie along the axes of the grid around it
            grid, facts = covering_grid(node), replace(facts, box=None)
        return Examined(label(node, sequence), facts, grid)

    def _look(self, node: VolumeNode) -> VoxelFacts:
        time = node.GetImageData().GetMTime()
        known = self._facts.get(node.GetID())
        if known is None or known[0] != time:
            known = (time, look_at(slicer.util.arrayFromVolume(node)))
            self._facts[node.GetID()] = known
        return known[1]


def _findings_as_they_are(
    nodes: VolumeNodes,
    volumes: Mapping[str, Examined],
    training_space: TrainingSpace | None,
    reference: str,
    prepared: bool,
) -> Iterator[Finding]:
    """Yield what there is to say of volumes that get onto one grid and nothing more."""
    yield from place_findings(volumes, reference)
    yield from voxel_findings(volumes, prepared)
    yield from origin_findings(nodes)
    yield from grid_findings(volumes, training_space, reference)
    if reference in volumes:
        grid = volumes[reference].grid
        notes = (placement(nodes[m], m, grid, reference) for m in volumes)
        yield from (note for note in notes if note)


def _raw_findings(
    nodes: VolumeNodes,
    volumes: Mapping[str, Examined],
    training_space: TrainingSpace | None,
    needs: Needs,
) -> Iterator[Finding]:
    """Yield what there is to say of volumes that will be prepared."""
    yield from voxel_findings(volumes, prepared=True)
    yield from origin_findings(nodes, registered=len(needs.unaligned) == len(volumes) - 1)
    yield from grid_findings(volumes, training_space, reference="")
    yield from preparation_findings(volumes, needs)
    notes = (placement(nodes[m], m, volume.grid, m) for m, volume in volumes.items())
    yield from (note for note in notes if note)


def reference_of(
    nodes: VolumeNodes, description: ModelDescription | None = None, prepare: bool = False
) -> str:
    """Return the sequence whose grid is used: T1c, or another one if T1c may be missing and is.

    Args:
        nodes: as for `InputCheck.check`.
        description: of the model.
        prepare: raw volumes will be prepared; then any volume can be the reference.
    """
    if prepare:
        return next((m for m in REFERENCES if nodes.get(m) is not None), "t1c")
    optional = ("t1c", *needs_one_of(description)) if needs_one_of(description) else ()
    chosen = (sequence for sequence in optional if nodes.get(sequence) is not None)
    return next(chosen, "t1c")


def check_choice(nodes: VolumeNodes, description: ModelDescription | None = None) -> None:
    """Check that the volumes which a model needs are chosen; cheap, reads no voxels.

    Raises:
        InputError: one sentence that says which sequence is missing or wrong.
    """
    _refuse(choice_findings(nodes, description))


def check_usable(
    nodes: VolumeNodes,
    reference: str,
    description: ModelDescription | None = None,
    prepare: bool = False,
) -> bool:
    """Check all that keeps the volumes from being exported; reads the voxels.

    Returns:
        True for raw volumes that will be prepared, False for those that only get onto one grid.

    Raises:
        InputError: the first finding that stops.
    """
    check = InputCheck()
    _refuse(check.check(nodes, None, reference, description, prepare))
    return prepare and check.needs is not None and not check.needs.nothing


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.severity == STOP:
            raise InputError.of(finding)


def choice_findings(
    nodes: VolumeNodes, description: ModelDescription | None = None
) -> list[Finding]:
    """Say which sequences are missing, chosen twice or no gray-value volumes."""
    missing = tuple(m for m in SEQUENCES if nodes.get(m) is None)
    found = _missing_findings(missing, description) if missing else []
    chosen: dict[object, list[str]] = {}
    for sequence in SEQUENCES:
        if sequence not in missing:
            chosen.setdefault(nodes[sequence], []).append(sequence)
    for slots in chosen.values():
        if len(slots) > 1:
            found.append(_chosen_twice(nodes[slots[0]], slots))
        if problem := _unreadable(nodes[slots[0]], slots[0]):
            found.append(problem)
    return found


def _chosen_twice(node: VolumeNode, slots: Sequence[str]) -> Finding:
    titles = listed([TITLES[m] for m in slots])
    return Finding(
        found=_("the same volume for {sequences}").format(sequences=titles),
        expected=_("four different volumes"),
        action=_("choose another one"),
        severity=STOP,
        slots=tuple(slots),
        volumes=(_("Volume '{name}'").format(name=node.GetName()),),
    )


def _missing_findings(
    missing: tuple[str, ...], description: ModelDescription | None
) -> list[Finding]:
    one_of, present = needs_one_of(description), set(SEQUENCES) - set(missing)
    if present.intersection(one_of):
        cost = missing_finding(description, present)
        return [cost] if cost else []
    titles = listed([TITLES[m] for m in missing])
    needed = either([TITLES[m] for m in one_of])
    stop = Finding(
        found=_("no volume for {sequences}").format(sequences=titles),
        expected=needed or _("all four sequences"),
        action=_("choose one"),
        severity=STOP,
        slots=missing,
    )
    return [stop]


def _unreadable(node: VolumeNode, sequence: str) -> Finding | None:
    image = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else None
    if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        expected = _("the {sequence} image").format(sequence=TITLES[sequence])
        parts = _("no image volume"), expected, _("choose another volume")
    elif image is None or image.GetNumberOfPoints() == 0:
        parts = _("no voxels"), _("an image"), _("load it again")
    elif (count := image.GetNumberOfScalarComponents()) != 1:
        found = _("{count} values per voxel").format(count=count)
        parts = found, _("one"), _("choose a gray-value volume")
    elif not _have_extent(ijk_to_ras(node)):
        action = _("correct its spacing and directions")
        parts = _("voxels without extent"), _("a size above 0"), action
    else:
        return None
    return volume_finding(STOP, sequence, label(node, sequence), *parts)


def _have_extent(matrix: np.ndarray) -> bool:
    return bool(np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > MIN_VOXEL_MM3)


def _readable(nodes: VolumeNodes) -> dict[str, VolumeNode]:
    """Nodes whose voxels can be looked at, each once."""
    first: dict[VolumeNode, str] = {}
    for sequence in SEQUENCES:
        node = nodes.get(sequence)
        if node is not None and not _unreadable(node, sequence):
            first.setdefault(node, sequence)
    return {sequence: node for node, sequence in first.items()}
