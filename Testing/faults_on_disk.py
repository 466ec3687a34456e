"""Faults 11 to 18: permissions, disks, paths, other programs."""

import os
import subprocess

import pytest
from fault_table import INPUT, fault

from scripted_models.images import volume_files
from scripted_models.runtime.atomic_files import only_writer


@fault(
    11,
    "a file that may not be read",
    2,
    "{t2}: found a file that cannot be opened (Permission denied), expected a readable image; "
    "check its name and permissions.",
)
def unreadable(inputs):
    inputs.paths["t2"].chmod(0)


@fault(
    12,
    "an output folder that may not be written",
    4,
    "{OUT}: found a folder that cannot be written (Permission denied), expected one for results; "
    "choose another --output.",
    INPUT,
)
def read_only_output(inputs):
    inputs.output.mkdir(mode=0o555)
    inputs.undo.append(lambda: inputs.output.rmdir())


@fault(
    13,
    "a disk of 8 KiB",
    4,
    "{OUT}/case/overlay.png: found no way to write the file (No space left on device); "
    "check that the folder exists, is writable and has space left.",
    INPUT,
)
def full_disk(inputs):
    inputs.output.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(inputs.output)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    inputs.undo.append(lambda: subprocess.run(["umount", str(inputs.output)], check=True))


@fault(
    13,
    "files that may not grow over 600 bytes",
    4,
    "{OUT}/case/overlay.png: found no way to write the file (File too large); "
    "check that the folder exists, is writable and has space left.",
    INPUT,
)
def file_size_limit(inputs):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, before[1]))
    inputs.undo.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))


@fault(
    14,
    "an output that is the folder of the input",
    2,
    "{ROOT}/in: found the input of case case where its result would lie, expected an --output "
    "where it replaces nothing; choose another folder.",
    INPUT,
)
def output_is_input(inputs):
    return ["segment", str(inputs.folder), "--output", str(inputs.folder.parent)]


@fault(
    14,
    "an output that is a file",
    4,
    "{OUT}: found a file, expected a folder or a new name; choose another --output.",
    INPUT,
)
def output_is_file(inputs):
    inputs.output.write_text("mine")
    inputs.undo.append(lambda: inputs.output.unlink())


@fault(15, "letters of other languages and blanks in the path", 0)
def foreign_letters(inputs):
    inputs.write("t2", inputs.image("t2"), "Ödem 脳腫瘍 T2.nii.gz")


@fault(
    15,
    "a name of 300 letters",
    2,
    "{t2}: found a file or folder that cannot be used (File name too long); check the path and its "
    "permissions.",
)
def long_name(inputs):
    inputs.paths["t2"] = inputs.folder / ("x" * 300 + ".nii.gz")


@fault(15, "~ that no shell has replaced", 0)
def tilde(inputs):
    home = os.environ.get("HOME")
    os.environ["HOME"] = str(inputs.folder)
    inputs.undo.append(lambda: os.environ.update(HOME=home))
    return [text.replace(str(inputs.folder), "~") for text in inputs.command()]


@fault(
    16,
    "a symbolic link to itself",
    2,
    "{t2}: found no such file, expected an image; check the path.",
)
def link_loop(inputs):
    inputs.paths["t2"].unlink()
    inputs.paths["t2"].symlink_to(inputs.paths["t2"])


@fault(
    17,
    "a file that is written while it is read",
    2,
    "{t2}: found a file that changed while it was read, expected one that is complete; "
    "wait until it is written and run again.",
)
def changing(inputs):
    path, read = inputs.paths["t2"], volume_files.read_header

    def read_before_a_change(of_path):
        header = read(of_path)
        if of_path == path:
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        return header

    volume_files.read_header = read_before_a_change
    inputs.undo.append(lambda: setattr(volume_files, "read_header", read))


@fault(
    18,
    "a second run into one output folder",
    4,
    "{OUT}: found another run that writes there, expected a folder of one run; "
    "wait for it, or choose another --output.",
    INPUT,
)
def second_run(inputs):
    first = only_writer(inputs.output)
    first.__enter__()
    inputs.undo.append(lambda: first.__exit__(None, None, None))
