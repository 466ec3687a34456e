"""Findings about volume nodes: how sentences name a volume, one constructor, and the sentence."""

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


def finding_in_words(finding: Finding) -> str:
    """Return a finding as one sentence in the user's language."""
    return in_words(finding, listed(finding.volumes))
