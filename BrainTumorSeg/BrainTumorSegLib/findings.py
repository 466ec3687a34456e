"""Findings about volume nodes: how sentences name a volume, one constructor, and the sentence."""

from collections.abc import Iterable
from dataclasses import replace

from scripted_models.images.checks import Finding, Severity
from scripted_models.sequences import TITLES

from .slicer_types import VolumeNode
from .words import in_words, listed


def label(node: VolumeNode, sequence: str) -> str:
    """How sentences name a volume: sequence and node."""
    return f"{TITLES[sequence]} '{node.GetName()}'"


def volume_finding(
    severity: Severity, sequence: str, name: str, found: str, expected: str, action: str
) -> Finding:
    """Return a finding about one volume.

    Args:
        severity: as `Finding`.
        sequence: of the volume.
        name: as `label`.
        found, expected, action: as `Problem`.
    """
    return Finding(
        found=found,
        expected=expected,
        action=action,
        severity=severity,
        slots=(sequence,),
        volumes=(name,),
    )


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, those that say the same of different volumes as one."""
    said: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        words = (finding.severity, finding.found, finding.expected, finding.action)
        known = said.setdefault(words, finding)
        if known is not finding:
            slots = dict.fromkeys((*known.slots, *finding.slots))
            volumes = dict.fromkeys((*known.volumes, *finding.volumes))
            said[words] = replace(known, slots=tuple(slots), volumes=tuple(volumes))
    return list(said.values())


def finding_in_words(finding: Finding) -> str:
    """Return a finding as one sentence in the user's language."""
    return in_words(finding, listed(finding.volumes))
