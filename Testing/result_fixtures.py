"""Folders of results as `segment` leaves them, made without segmenting."""

import json
from pathlib import Path

from scripted_models.labels import LABELS, REGIONS
from scripted_models.segmentation.result_folders import OVERLAY, REPORT, SEGMENTATION

MODEL = {"name": "default", "weights_sha256": "a" * 64, "method_sha256": "b" * 64}


def write_result(output: Path, name: str, number: int = 0, **changed) -> Path:
    """Write the result of one case; `number` tells its inputs and volumes apart from others."""
    volumes = {label: 1.5 * n + number for n, label in LABELS.items() if n}
    report = {
        "case": name,
        "inputs": {"t1": f"/data/{name}_t1.nii.gz"},
        "inputs_sha256": {"t1": f"{number:064x}"},
        "missing": ["t2"],
        "model": MODEL,
        "coding": "internal",
        "volumes_ml": volumes | {region: 20.5 + number for region in REGIONS},
        "measurements": {"ET": {"volume_ml": 3.0, "longest_mm": 31.5, "perpendicular_mm": 27.25}},
        "estimated_dice": {"WT": 0.91, "TC": 0.82},
        "lesions": {
            "region": "ET",
            "items": [
                {"number": 1, "volume_ml": 2.5, "measurable": True},
                {"number": 2, "volume_ml": 0.5, "measurable": False},
            ],
        },
        "seconds": {"read": 0.5, "network": 4.25},
        "warnings": [],
        "versions": {"scripted_models": "0.1.0"},
        **changed,
    }
    folder = output / name
    folder.mkdir(parents=True)
    text = json.dumps({key: value for key, value in report.items() if value is not None})
    (folder / REPORT).write_text(text, encoding="utf-8")
    for file in (SEGMENTATION, OVERLAY):
        (folder / file).touch()
    return folder
