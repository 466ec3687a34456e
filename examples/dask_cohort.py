"""Segments a folder of cases on the workers of Dask (pip install distributed).

    python dask_cohort.py CASES OUTPUT --workers 2                       # on this machine
    python dask_cohort.py CASES OUTPUT --scheduler tcp://node1:8786      # on a cluster

A task is one case, and each worker loads the model once. What is done already is left out, so a
task whose worker was lost may run again on another one. The workers need one thread each, this
package, and both folders under the same names.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from dask.distributed import Client, LocalCluster, as_completed, get_worker

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import one_of_writers
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.segmenter import Segmenter


def main(arguments: Sequence[str] | None = None) -> int:
    """Segment all cases; print those that could not be, and return 2 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scheduler", help="address; without it workers are started here")
    options = parser.parse_args(arguments)
    cases = find_cases(options.cases)
    cluster = options.scheduler or LocalCluster(
        n_workers=options.workers, threads_per_worker=1, dashboard_address=None
    )
    with Client(cluster) as client:
        failed = 0
        for done, sentence in enumerate(segment_all(client, cases, options), start=1):
            failed += bool(sentence)
            print(f"{done} of {len(cases)} {sentence}".rstrip(), flush=True)
    if not options.scheduler:
        cluster.close()
    return 2 if failed else 0


def segment_all(
    client: Client, cases: Sequence[Case], options: argparse.Namespace
) -> Iterator[str]:
    """Give for each case that has ended an empty text, or why it has no result."""
    output = options.output.absolute()
    tasks = as_completed(client.map(segment, cases, output=output, model=options.model, pure=False))
    for task in tasks:
        yield task.result()
        task.release()


def segment(case: Case, output: Path, model: str) -> str:
    """Segment one case on a worker."""
    worker = get_worker()
    if not hasattr(worker, "segmenter"):
        worker.segmenter = Segmenter.load(model)
    batch = Batch(worker.segmenter, output, resume=True, writer=one_of_writers)
    try:
        batch.run([case], Progress())
    except InputError as error:
        return f"{case.name}: {error}"
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
