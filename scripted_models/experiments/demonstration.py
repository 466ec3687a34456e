"""The embedded example: phantom, segmentation with shipped weights, metrics, HTML report."""

from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.phantom.phantom_case import write_phantom_case
from scripted_models.evaluation.folder_scores import Scores, evaluate_folders
from scripted_models.evaluation.paper_tables import markdown_table
from scripted_models.measurement.lesion_table import lesion_record
from scripted_models.pictures.render import (
    picture_input,
    render_montage,
    render_overlay,
    write_png,
)
from scripted_models.reporting.case_report import CaseReport
from scripted_models.reporting.html_report import write_html_report
from scripted_models.runtime.atomic_files import make_folder
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.outputs import WrittenCase, measurement_table
from scripted_models.segmentation.result_folders import OVERLAY
from scripted_models.segmentation.segmenter import Segmenter

NO_PATIENT = (
    "The case is a phantom, made by a program. Its scores show that everything runs; they do not "
    "tell how good the model is on patients."
)


def run_demo(
    output: Path,
    seed: int,
    size_xyz: tuple[int, int, int],
    model_name: str,
    device: str,
    progress: Progress,
) -> tuple[Path, str]:
    """Make a phantom, segment it, score it and write a report.

    Args:
        output: folder; receives `case`, `segmentation`, `overlay.png` and `report.html`.
        seed: seed of the phantom.
        size_xyz: its voxels.
        model_name: shipped name or path of a model folder.
        device: 'auto', 'cpu' or 'cuda'.
        progress: told about stages.

    Returns:
        Path of the HTML report, and the Dice of the phantom as Markdown.
    """
    segmenter = Segmenter.load(model_name, device)
    progress.stage("phantom", 0.0)
    folder = write_phantom_case(make_folder(output) / "case", seed, size_xyz)
    (case,) = find_cases(folder)
    written: list[WrittenCase] = []
    batch = Batch(segmenter, output / "segmentation")
    batch.run([case], progress.part(0.15, 0.9), written.append)
    progress.stage("score", 0.9)
    scores = evaluate_folders(output / "segmentation", folder).cases[case.name]
    page = _page(case, written[0], segmenter.model.name, scores, output / OVERLAY)
    facts = {"case": NO_PATIENT}
    path = write_html_report(output / "report.html", [page], "BrainTumorSeg demo", facts)
    dice = [f"{row['dice']:.2f}" for row in scores.values()]
    return path, f"{NO_PATIENT}\n\n{markdown_table(['', *scores], [['Dice', *dice]])}"


def _page(
    case: Case, written: WrittenCase, model_name: str, scores: Scores, overlay: Path
) -> CaseReport:
    """Return what the report says of the case; its picture is written, too."""
    found = written.segmentation
    truth, _ = case.read_truth()
    volumes, labels, spacing, true_labels = picture_input(
        found.volumes, found.labels, found.grid, truth
    )
    picture = render_overlay(volumes, labels, spacing, true_labels)
    write_png(overlay, picture)
    return CaseReport(
        name=case.name,
        picture=picture,
        montage=render_montage(volumes["flair"], labels, spacing, true_labels),
        volumes_ml=found.volumes_ml,
        measurements=measurement_table(found),
        lesions=lesion_record(found.lesions),
        metrics=scores,
        warnings=found.warnings,
        facts={
            "model": model_name,
            "device": found.placement.reason,
            "seconds": written.seconds,
        },
    )
