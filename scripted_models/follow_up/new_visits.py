"""Case folders among the visits are segmented first, beside the follow-up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripted_models.follow_up.visit_source import VisitSource
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.segmenter import Segmenter

VISITS = "visits"  # subfolder with their results


def segment_new(
    sources: Sequence[VisitSource], output: Path, segmenter: Segmenter, progress: Progress
) -> list[VisitSource]:
    """Segment the visits that are cases; what the same model has done there before is left.

    Args:
        sources: all visits.
        output: of the follow-up; results come into its subfolder `VISITS`.
        segmenter: for the cases.
        progress: of this part.

    Returns:
        The visits, all with a result.

    Raises:
        InputError: a case that cannot be segmented; the others are by then.
        ResourceError: too little memory, or a folder that cannot be written.
    """
    cases = [source.case for source in sources if source.case]
    folder = output / VISITS
    Batch(segmenter, folder, resume=True).run(cases, progress)
    return [
        replace(source, folder=folder / source.case.name, case=None) if source.case else source
        for source in sources
    ]
