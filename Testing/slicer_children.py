"""A real child process that speaks the module's protocol; each word of the command line is one act.

Run as ``python slicer_children.py ACT ...``. It also takes the command lines of
``scripted_models segment`` and ``follow`` and stands in for the true program (see
`make_child_environment`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def emit(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def act_slow():
    act_steps(pause_s=0.05)


def act_steps(pause_s=0.0):
    emit(event="stage", stage="read", fraction=0.0)
    emit(event="message", text="model default on CPU")
    for step in range(1, 11):
        time.sleep(pause_s)
        emit(event="progress", stage="network", fraction=step / 10, remaining_s=10 - step)
    parts = {"found": "a small brain", "action": "check the millimeters"}
    emit(event="warning", text="Found a small brain; check the millimeters.", **parts)


def act_result():
    emit(event="result", case="c", segmentation="s", report="r", overlay="o", volumes_ml={})


def act_garbage():
    sys.stdout.write("no JSON\n{broken\n[1, 2]\n{}\n")
    sys.stdout.write('{"event": "progress", "fraction": NaN}\n{"event": "dance"}\n')
    sys.stdout.write('{"event": "progress", "fraction": "half"}\n')
    sys.stdout.flush()
    sys.stdout.buffer.write(bytes(range(256)) * 2000 + b"\n")
    sys.stdout.buffer.write(b'{"event": "stage", "stage": "x", "fraction": 7}\n')
    sys.stdout.flush()
    sys.stderr.write("Traceback: something odd\n")


def act_error():
    text = "m/model.pt: found damaged weights, expected whole ones; get it again."
    parts = {"found": "damaged weights", "expected": "whole ones", "action": "get it again"}
    emit(event="error", code="model", text=text, **parts, path="m/model.pt")
    sys.exit(3)


HOSTILE = '<img src="file://host/share/x.png"><a href="http://host/">y</a>\x1b[31m\u202e'


def act_hostile():
    emit(event="stage", stage=HOSTILE, fraction=0.1)
    emit(event="message", text=HOSTILE)
    emit(event="warning", text=HOSTILE, found=HOSTILE, path=HOSTILE)
    sys.stderr.write(HOSTILE + "\n")
    emit(event="error", code="input", text=HOSTILE, found=HOSTILE, path=HOSTILE)
    sys.exit(2)


def act_sentence():
    text = "The model folder is damaged."
    emit(event="error", code="model", text=text, found=text)
    sys.exit(3)


def act_traceback():
    raise ValueError("thing went wrong")


def act_segv():
    sys.stderr.write("about to crash\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)


def act_hang():
    emit(event="stage", stage="network", fraction=0.2)
    time.sleep(600)


def act_stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    act_hang()


def act_grandchild():
    """A child of the child that ignores polite requests and keeps the pipes open."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code])
    emit(event="message", text=f"grandchild {child.pid}")


def act_polite():
    """End on request the way the true program does: an error event and exit code 130."""

    def leave(*_):
        emit(event="error", code="cancelled", text="Cancelled.")
        sys.exit(130)

    signal.signal(signal.SIGTERM, leave)
    act_hang()


def act_flood():
    for number in range(30000):
        sys.stdout.write(f"line {number}\n")
    sys.stdout.flush()


FLAGS = ("--uncertainty", "--probabilities", "--keep-prepared")


def write_labels(arguments):
    """Threshold T1c at 900 (label 4) and 700 (label 2) and write what the true program writes."""
    import SimpleITK as sitk

    values = [part for part in arguments if part not in FLAGS]
    options = dict(zip(values[::2], values[1::2], strict=True))
    image = sitk.ReadImage(options["--t1c"])
    folder = Path(options["--output"]) / options["--case-name"]
    folder.mkdir(parents=True)
    labels = sitk.Cast(image > 700, sitk.sitkUInt8) * 2 + sitk.Cast(image > 900, sitk.sitkUInt8) * 2
    sitk.WriteImage(labels, str(folder / "segmentation.nii.gz"))
    if "--uncertainty" in arguments:
        doubt = sitk.Cast(labels > 0, sitk.sitkFloat32) * 0.5
        sitk.WriteImage(doubt, str(folder / "uncertainty.nii.gz"))
    grid = {
        "size_xyz": image.GetSize(),
        "spacing_xyz_mm": image.GetSpacing(),
        "origin_lps_mm": image.GetOrigin(),
        "direction": image.GetDirection(),
    }
    report = {"model": {"name": "threshold"}, "versions": {"scripted_models": "9.9"}}
    report |= {"grid": grid, "doubtful_slices": [4, 17, 30]}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    emit(event="stage", stage="write", fraction=0.9)
    paths = {"segmentation": "segmentation.nii.gz", "report": "report.json"}
    emit(event="result", case="c", **{k: str(folder / name) for k, name in paths.items()})


def main(arguments):
    stands_in = arguments[:1] in (["segment"], ["follow"])
    acts = os.environ.get("CHILD_ACTS", "write").split() if stands_in else arguments
    for act in acts:
        if act == "write":
            write_labels(arguments[1:])
        else:
            globals()[f"act_{act}"]()


if __name__ == "__main__":
    main(sys.argv[1:])
