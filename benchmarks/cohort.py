"""How discovery, `--continue` and `collect` grow with the number of cases: seconds and memory.

    python benchmarks/cohort.py --cases 100 3000

makes small files that are named as cases, and results of them, in a temporary folder. It prints for
each number of cases the processor seconds of each step and by how much it raises the memory of its
process, which has imported the program and loaded the model before. Linux only.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.skipped_files import skipped_files
from scripted_models.labels import LABELS, REGIONS
from scripted_models.reporting.cohort_table import collect_results
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.result_folders import OVERLAY, REPORT, SEGMENTATION
from scripted_models.segmentation.segmenter import Segmenter

MODEL = "TwoPathCNN"
TITLES = ("step", "cases", "CPU s", "seconds", "MB more", "CPU s/case", "ratio")
WARNINGS = [
    "t1: found a contrast-to-noise ratio of 3.1, expected at least 5; check the volume.",
    "Found an estimated Dice of 0.61 for WT, expected at least 0.79; check the result.",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[100, 3000])
    parser.add_argument("--kb", type=int, default=1, help="size of each volume, for --continue")
    options = parser.parse_args(arguments)
    segmenter = Segmenter.load(MODEL, "cpu")
    first: dict[str, float] = {}
    print("  ".join(title.rjust(10) for title in TITLES))
    for count in options.cases:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            cases = make_cases(root / "data", count, options.kb)
            make_results(root / "out", cases, segmenter.model)
            batch = Batch(segmenter, root / "out", resume=True)
            steps = {
                "discovery": lambda root=root: discover(root / "data"),
                "--continue": lambda batch=batch, cases=cases: batch.run(cases, Progress()),
                "collect": lambda root=root: collect(root / "out"),
            }
            for name, step in steps.items():
                cpu, wall, memory = measured(step)
                each = cpu / count
                ratio = each / first.setdefault(name, each)
                values = (
                    f"{cpu:.2f}",
                    f"{wall:.2f}",
                    f"{memory:.1f}",
                    f"{each:.5f}",
                    f"{ratio:.2f}",
                )
                print("  ".join(text.rjust(10) for text in (name, str(count), *values)))
            page = root / "out" / "cases.html"
            print(f"the page about {count} cases has {page.stat().st_size / 1e6:.2f} MB")
    return 0


def make_cases(folder: Path, count: int, kb: int) -> list[Case]:
    """Write files of the names of cases; no two have the same content."""
    for number in range(count):
        case = folder / f"BraTS2021_{number:05d}"
        case.mkdir(parents=True)
        for kind in ("t1", "t1ce", "t2", "flair", "seg"):
            content = f"{number} {kind} ".encode().ljust(1024 * kb, b".")
            (case / f"{case.name}_{kind}.nii.gz").write_bytes(content)
    return find_cases(folder)


def make_results(output: Path, cases: Sequence[Case], model: Model) -> None:
    """Write a result of each case, with a report as `segment` writes it."""
    identity = {"name": model.name, "weights_sha256": model.checksum}
    volumes = dict.fromkeys((*list(LABELS.values())[1:], *REGIONS), 12.3456)
    lesions = [{"number": n, "volume_ml": 8.0 / n, "measurable": n < 3} for n in range(1, 6)]
    for number, case in enumerate(cases):
        inputs = CaseInputs.of(case)
        report = {
            "case": case.name,
            "inputs": inputs.paths,
            "inputs_sha256": inputs.contents,
            "missing": [],
            "model": identity | {"method_sha256": model.method_checksum},
            "coding": "internal",
            "volumes_ml": volumes,
            "measurements": {"ET": {"longest_mm": 31.4159, "perpendicular_mm": 27.1828}},
            "estimated_dice": dict.fromkeys(REGIONS, 0.8765),
            "lesions": {"region": "ET", "necrosis": "excluded", "items": lesions},
            "seconds": {"read": 0.5, "network": 4.25, "write": 0.75},
            "warnings": WARNINGS[: number % 3],
        }
        folder = output / case.name
        folder.mkdir(parents=True)
        (folder / REPORT).write_text(json.dumps(report, indent=2), encoding="utf-8")
        for name in (SEGMENTATION, OVERLAY):
            (folder / name).touch()


def discover(folder: Path) -> None:
    """Find cases, and what is in none, as `segment` does."""
    skipped_files(folder, find_cases(folder))


def collect(folder: Path) -> None:
    """Write the table and the page."""
    found = collect_results(folder, folder / "cases.csv", folder / "cases.html")
    if found.faults:
        raise SystemExit(f"found faults in made results: {found.sentences}")


def measured(step: Callable[[], None]) -> tuple[float, float, float]:
    """Run a step in a fork; return its CPU seconds, its seconds, and the MB that it needs."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(step, there))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def _measure(step: Callable[[], None], pipe) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, cpu, wall = _megabytes("VmRSS"), time.process_time(), time.perf_counter()
    step()
    spent = time.process_time() - cpu, time.perf_counter() - wall
    pipe.send((*spent, _megabytes("VmHWM") - before))


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    raise SystemExit(main())
