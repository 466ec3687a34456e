"""Every fault of the table is really done, and answered as the table says."""

import json
import tempfile
from importlib import import_module
from pathlib import Path

import pytest
from fault_table import (
    FAULTS,
    OTHERS,
    RESULT,
    make_inputs,
    markdown,
    without_rights_of_root,
)
from faults_elsewhere import ELSEWHERE

from scripted_models.cli import main

HERE, PAGE = Path(__file__).parent, "FAULTS.md"
for rows in sorted(HERE.glob("faults_*.py")):
    import_module(rows.stem)  # fills the table


def snapshot(folder: Path) -> dict:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_symlink()
    }


@pytest.fixture
def inputs():
    with tempfile.TemporaryDirectory() as root:
        inputs = make_inputs(Path(root))
        yield inputs
        while inputs.undo:
            inputs.undo.pop()()


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{f.number}-{f.spoil.__name__}" for f in FAULTS])
def test_fault(fault, inputs, capsys):
    command = fault.spoil(inputs) or inputs.command()
    before = snapshot(inputs.folder)
    capsys.readouterr()
    with without_rights_of_root():
        code = main([*command, *([] if "--import" in command else ["--progress", "json"])])
    text = capsys.readouterr()
    events = [json.loads(line) for line in text.out.splitlines()]
    wanted = "error" if fault.code else "warning"
    said = [e["text"] for e in events if e["event"] == wanted]
    said += [line.removeprefix("Error: ") for line in text.err.splitlines()]
    print(code, said, text.err)
    assert code == fault.code, said
    assert "Traceback" not in text.err
    if fault.says:
        assert inputs.named(fault.says) in said
    assert snapshot(inputs.folder) == before
    for undo in reversed(inputs.undo):
        undo()
    inputs.undo.clear()
    written = snapshot(inputs.output) if inputs.output.exists() else {}
    assert bool(written) == (fault.left in (RESULT, OTHERS))
    assert all(not Path(name).name.startswith(".") for name in written)


def test_no_number_of_the_list_is_left_out():
    numbers = {row.number for row in (*FAULTS, *ELSEWHERE)}
    assert numbers == set(range(1, max(numbers) + 1))


@pytest.mark.parametrize("row", ELSEWHERE, ids=[f"{e.number}-{e.what[:30]}" for e in ELSEWHERE])
def test_tests_of_other_files_exist(row):
    file, _, name = row.test.partition("::")
    assert row.test.startswith("none: ") or f"def {name}(" in (HERE / file).read_text("utf-8")


def test_the_page_shows_the_table():
    assert (HERE / PAGE).read_text(encoding="utf-8") == markdown(), (
        "run python Testing/test_faults.py"
    )


if __name__ == "__main__":
    (HERE / PAGE).write_text(markdown(), encoding="utf-8")
