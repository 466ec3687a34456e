"""Fault 75: folders, options and names that a system allows."""

import os

from fault_table import MODEL, OTHERS, fault


@fault(75, "a folder inside --output that may not be read", 0)
def closed_neighbor(inputs):
    closed = inputs.output / "another" / "deeper"
    closed.mkdir(parents=True)
    closed.chmod(0)
    inputs.undo.append(closed.rmdir)
    closed.parent.chmod(0)
    inputs.undo.append(lambda: closed.parent.chmod(0o755))
    inputs.undo.reverse()


@fault(
    75,
    "a folder of former results that may not be read",
    2,
    "{OUT}/case: found a place that cannot hold the result (Permission denied), expected a "
    "folder of former results, or none; move it away, change its permissions, or choose another "
    "--output.",
)
def closed_place(inputs):
    place = inputs.output / "case"
    place.mkdir(parents=True)
    place.chmod(0)
    inputs.undo.append(lambda: place.rmdir())


@fault(
    75,
    "a case of several whose place may not be written",
    2,
    "Found 1 of 2 cases that were skipped (b), expected usable ones; the reasons are above, fix "
    "them and run again with --continue.",
    OTHERS,
)
def one_closed_place(inputs):
    for name in "ab":
        folder = inputs.root / "cases" / name
        folder.mkdir(parents=True)
        for sequence, path in inputs.paths.items():
            (folder / f"{name}_{sequence}.nii.gz").write_bytes(path.read_bytes())
    place = inputs.output / "b"
    place.mkdir(parents=True)
    place.chmod(0o555)
    inputs.undo.append(lambda: place.chmod(0o755))
    command = ["segment", str(inputs.root / "cases"), "--output", str(inputs.output)]
    return [*command, "--model", MODEL]


@fault(
    75,
    "the place of a result is a link to itself",
    2,
    "{OUT}/case: found a place that cannot hold the result (Too many levels of symbolic links), "
    "expected a folder of former results, or none; move it away, change its permissions, or "
    "choose another --output.",
)
def looped_place(inputs):
    inputs.output.mkdir()
    (inputs.output / "case").symlink_to("case")


@fault(
    75,
    "an output that is a link to itself",
    4,
    "{OUT}: found a file, expected a folder or a new name; choose another --output.",
)
def looped_output(inputs):
    inputs.output.symlink_to("out")
    inputs.undo.append(inputs.output.unlink)


@fault(
    75,
    "a case whose name is too long for a folder",
    2,
    "{OUT}/" + "n" * 300 + ": found a place that cannot hold the result (File name too long), "
    "expected a folder of former results, or none; move it away, change its permissions, or "
    "choose another --output.",
)
def long_case_name(inputs):
    return [text if text != "case" else "n" * 300 for text in inputs.command()]


@fault(
    75,
    "a case name with a terminal escape",
    2,
    "Found --case-name \\x1b[2Jcase, expected the name of a folder, without control characters.",
)
def escape_in_name(inputs):
    return [text if text != "case" else "\x1b[2Jcase" for text in inputs.command()]


@fault(
    75,
    "a million threads",
    0,
    "Found --threads 1000000, expected at most {CORES}, the cores of this machine; {CORES} are "
    "used.",
)
def million_threads(inputs):
    inputs.options = ["--threads", "1000000"]


@fault(
    75,
    "less than no threads",
    2,
    "Found --threads -3, expected a number of at least 1; leave it out for all cores.",
)
def negative_threads(inputs):
    inputs.options = ["--threads=-3"]


def pipe_at(inputs, name):
    path = inputs.root / name
    path.parent.mkdir(exist_ok=True, parents=True)
    os.mkfifo(path)
    return path


@fault(
    75,
    "an experiment that is a pipe",
    2,
    "{ROOT}/experiment.toml: found no readable TOML ([Errno 22] It is a pipe or device, not a "
    "file: '{ROOT}/experiment.toml'), expected an experiment; correct it.",
)
def piped_experiment(inputs):
    path = pipe_at(inputs, "experiment.toml")
    data = ["--data", str(inputs.folder), "--output", str(inputs.output)]
    return ["train", str(path), *data]


@fault(
    75,
    "an experiment of 100,000 lists inside each other",
    2,
    "{ROOT}/experiment.toml: found no readable TOML (more than 64 tables or lists inside each "
    "other), expected an experiment; correct it.",
)
def deep_experiment(inputs):
    path = inputs.root / "experiment.toml"
    path.write_text("a = " + "[" * 10**5 + "]" * 10**5)
    data = ["--data", str(inputs.folder), "--output", str(inputs.output)]
    return ["train", str(path), *data]


def voc(inputs):
    root = inputs.root / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    return root


def scored(inputs, root, *options):
    (inputs.root / "predicted").mkdir()
    paths = ["--predictions", str(inputs.root / "predicted"), "--output", str(inputs.output)]
    return ["evaluate", "--voc", str(root), *paths, *options]


@fault(
    75,
    "a list of images that is a pipe",
    2,
    "{ROOT}/VOC2012/ImageSets/Segmentation/val.txt: found no readable list of images ([Errno 22] "
    "It is a pipe or device, not a file: '{ROOT}/VOC2012/ImageSets/Segmentation/val.txt'), "
    "expected text in UTF-8; name another, or save it as UTF-8.",
)
def piped_list(inputs):
    root = voc(inputs)
    os.mkfifo(root / "ImageSets" / "Segmentation" / "val.txt")
    return scored(inputs, root, "--split", "val")


@fault(
    75,
    "a label map of a picture that is a pipe",
    2,
    "{ROOT}/VOC2012/SegmentationClass/a.png: found a label map that cannot be read ([Errno 22] It "
    "is a pipe or device, not a file: '{ROOT}/VOC2012/SegmentationClass/a.png'), expected a PNG of "
    "classes; get the file again.",
)
def piped_picture(inputs):
    root = voc(inputs)
    (root / "JPEGImages" / "a.jpg").write_bytes(b"x")
    os.mkfifo(root / "SegmentationClass" / "a.png")
    command = scored(inputs, root)
    (inputs.root / "predicted" / "a.png").write_bytes(b"x")
    return command
