"""The batch runner for test cases, which the processes of `torchrun` share."""

from collections.abc import Sequence
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.training import distributed


def segment_shared(
    segmenter: Segmenter, cases: Sequence[Case], output: Path, progress: Progress
) -> None:
    """Segment the cases that are not done yet; every process has its part of them.

    Args:
        segmenter: of this process.
        cases: the same in all processes.
        output: receives a folder of each case, labels in the internal coding.
        progress: of this process.

    Raises:
        InputError: cases that cannot be used.
    """
    progress.message(f"{segmenter.model.name}: segmenting {len(cases)} cases")
    batch = Batch(segmenter, output, resume=True, writer=distributed.only_writers)
    batch.run(distributed.share(cases), progress)
    distributed.wait_for_all()
