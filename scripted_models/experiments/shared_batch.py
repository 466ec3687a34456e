"""The batch runner for test cases, which the processes of `torchrun` share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.runtime.atomic_files import only_writer
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
    batch = Batch(segmenter, output, resume=True, writer=_only_these_processes)
    batch.run(distributed.share(cases), progress)
    distributed.wait_for_all()


@contextmanager
def _only_these_processes(folder: Path) -> Iterator[Path]:
    """Keep other runs out of a folder that all processes of this one write."""
    with only_writer(folder) if distributed.rank() == 0 else nullcontext():
        distributed.wait_for_all()  # until the remains of killed runs are gone
        yield folder
        distributed.wait_for_all()
