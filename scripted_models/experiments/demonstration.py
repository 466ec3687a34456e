"""The embedded example: phantom, segmentation with the shipped weights, metrics, HTML report."""

from pathlib import Path

from scripted_models.bundle.weights import load_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.phantom.phantom_case import write_phantom_case
from scripted_models.evaluation.folders import comparison_table, evaluate_folders
from scripted_models.inference import place_network
from scripted_models.labels import CODINGS
from scripted_models.pictures.render import render_montage, render_overlay, write_png
from scripted_models.reporting.case_report import CaseReport
from scripted_models.reporting.html_report import write_html_report
from scripted_models.runtime.atomic_files import make_folder
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.outputs import picture_input, write_outputs
from scripted_models.segmentation.segmenter import segment_case


def run_demo(
    output: Path,
    seed: int,
    size_xyz: tuple[int, int, int],
    model_name: str,
    device_name: str,
    progress: Progress,
) -> tuple[Path, str]:
    """Make a phantom, segment it, score it and write a report.

    Args:
        output: folder; receives `case/`, `segmentation/`, `evaluation/`, `overlay.png`, `report.html`.
        seed: seed of the phantom.
        size_xyz: its voxels.
        model_name: shipped name or path of a model folder.
        device_name: 'auto', 'cpu' or 'cuda'.
        progress: told about stages.

    Returns:
        Path of the HTML report, and the table of scores beside the paper's.
    """
    model = load_model(model_name)
    _, reason = place_network(model.network, device_name)
    progress.stage("phantom", 0.0)
    folder = write_phantom_case(make_folder(output) / "case", seed, size_xyz)
    (case,) = find_cases(folder)
    result = segment_case(case, model, progress, span=(0.15, 0.9))
    report = write_outputs(
        output / "segmentation", case, result, model, reason, CODINGS["internal"]
    )
    progress.stage("score", 0.9)
    evaluation = evaluate_folders(output / "segmentation", folder, output / "evaluation")
    truth, _ = case.read_truth()
    volumes, labels, spacing, truth = picture_input(result, truth)
    page = CaseReport(
        name=case.name,
        picture=render_overlay(volumes, labels, spacing, truth),
        montage=render_montage(volumes["flair"], labels, spacing, truth),
        volumes_ml=report["volumes_ml"],
        measurements=report["measurements"],
        metrics=evaluation.cases[case.name],
        warnings=result.warnings,
        facts={"model": model.name, "device": reason, "seconds": result.seconds},
    )
    write_png(output / "overlay.png", page.picture)
    table = comparison_table(evaluation)
    path = write_html_report(output / "report.html", [page], "BrainTumorSeg demo", evaluation)
    return path, table
