"""Fault 68: results of other inputs, and the same input judged by too little."""

import shutil

from fault_table import MODEL, OTHERS, fault

from scripted_models.cli import main


@fault(
    68,
    "a second folder of the same name into one output",
    2,
    "{OUT}/case: found results of another input, {ROOT}/other/case/case_t1.nii.gz, expected a "
    "folder for the results of case, empty or with former ones of it; choose another --output, or "
    "move this folder away.",
    OTHERS,
)
def same_name(inputs):
    other = inputs.root / "other" / "case"
    shutil.copytree(inputs.folder, other)
    for name in inputs.paths:
        inputs.change(name, lambda volume: volume * 2)
    start = ["segment", str(other), "--model", MODEL, "--output", str(inputs.output)]
    assert main([*start, "--progress", "none"]) == 0


@fault(
    68,
    "a label map drawn by hand where the result would lie",
    2,
    "{OUT}/case: found segmentation.nii.gz without a report that says of what, expected a folder "
    "for the results of case, empty or with former ones of it; choose another --output, or move "
    "this folder away.",
    OTHERS,
)
def drawn_by_hand(inputs):
    (inputs.output / "case").mkdir(parents=True)
    (inputs.output / "case" / "segmentation.nii.gz").write_bytes(b"hours of work")


@fault(
    68,
    "the output of `crf` is one of its inputs",
    2,
    "Found --output {ROOT}/in/case/link.nii.gz, which would replace an input or a result of "
    "`segment`, expected another file; choose another name.",
)
def crf_over_its_input(inputs):
    (inputs.folder / "link.nii.gz").symlink_to(inputs.paths["t2"])
    images = [str(path) for path in inputs.paths.values()]
    return ["crf", str(inputs.folder), *images, "--output", str(inputs.folder / "link.nii.gz")]


@fault(
    68,
    "an output of `train` that is the folder of the data",
    2,
    "{IN}: found the run folder in the place of the data, expected a folder of its own; choose "
    "another --output.",
)
def run_in_the_data(inputs):
    (inputs.root / "e.toml").write_text('name = "mine"\n')
    places = ["--data", str(inputs.folder), "--output", str(inputs.folder)]
    return ["train", str(inputs.root / "e.toml"), *places]
