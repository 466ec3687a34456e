"""A command prefix before every child: real wrappers, and the script of docs/another-machine.md."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from slicer_fixtures import (
    ROOT,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

from scripted_models.errors import ResourceError, ScriptedModelsError
from scripted_models.runtime.parent_process import is_running

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from slicer_desktop import qt_names  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    load_patient,
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
    segmentations,
    start,
)

pytestmark = [
    pytest.mark.slicer,
    pytest.mark.skipif(os.name == "nt", reason="shell scripts"),
]
SETTING = "BrainTumorSeg/CommandPrefix"
SSH = """#!{python}
# ssh -tt HOST COMMAND: a shell in a terminal of its own, which hangs up when this is killed
import os, pty, sys
assert sys.argv[1:3] == ["-tt", "gpu.example"] and len(sys.argv) == 4, sys.argv
pid, terminal = pty.fork()
if pid == 0:
    os.execve("/bin/sh", ["sh", "-c", sys.argv[3]], {{"CHILD_ACTS": os.environ["CHILD_ACTS"]}})
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
"""


@pytest.fixture
def wrapper(tmp_path, window):
    """Make a wrapper that notes what it was called with, and set it as the prefix."""
    folder = tmp_path / "with space"
    folder.mkdir()
    script, record = folder / "wrapper.sh", folder / "called.txt"

    def make(last_line='exec "$@"'):
        note = f'for part; do printf "%s\\n" "$part"; done >> "{record}"'
        script.write_text(f"#!/bin/sh\n{note}\n{last_line}\n", encoding="utf-8")
        script.chmod(0o755)
        slicer.app.userSettings().setValue(SETTING, f"'{script}'")
        return record

    return make


def called(record):
    return record.read_text(encoding="utf-8").splitlines()


def test_segment_runs_behind_it(window, slicer_scene, dialogs, wrapper):
    record = wrapper()
    start(window, slicer_scene, "steps", "write")
    window.run_to_end()
    assert dialogs.errors == []
    assert segmentations(slicer_scene) == 1
    words = called(record)
    assert words[0].endswith("PythonSlicer")
    assert "segment" in words
    assert "--end-with" not in words
    window.click("copyLogButton")
    assert "Command prefix: set" in slicer.app.clipboard().text()


def test_without_it_the_child_ends_with_slicer(window, slicer_scene):
    start(window, slicer_scene, "hang")
    window.spin(lambda: window.module.run.job.process is not None)
    command = window.module.run.job.process.command
    assert command[0].endswith("PythonSlicer")
    assert command[command.index("--end-with") + 1] == str(os.getpid())


def test_training_and_preparation_run_behind_it(window, slicer_scene, wrapper, tmp_path):
    from BrainTumorSegLib.own_cases import CaseJob, TrainingJob

    start(window, slicer_scene, "write")
    window.run_to_end()
    node = window.parameters.segmentation
    report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
    report["preparation"] = {"reference": "t1c"}
    node.SetAttribute("BrainTumorSeg.Report", json.dumps(report))
    record = wrapper()
    jobs = TrainingJob(tmp_path / "none", "fast", "mine"), CaseJob(node, tmp_path / "cases")
    for job, command in zip(jobs, ("personalise", "prepare"), strict=True):
        job.start()
        window.spin(lambda: record.exists() and "--progress" in called(record))
        job.close()
        assert command in called(record)
        assert "--end-with" not in called(record)
        record.unlink()


def test_import_runs_behind_it_whatever_a_wrapper_says_besides(wrapper, tmp_path):
    from BrainTumorSegLib.model_import import import_model

    from scripted_models.bundle.model_folders import SHIPPED

    answer = json.dumps({"path": str(SHIPPED / "fast")}, indent=2)
    record = wrapper(f"echo 'to gpu 7'; echo '{answer}'; echo 'good {{bye'")
    assert import_model(tmp_path / "my.zip").name == "fast"
    assert called(record)[-4:] == ["models", "--import", str(tmp_path / "my.zip"), "--json"]
    wrapper("echo 'no queue today'")
    with pytest.raises(ScriptedModelsError, match="last words are: no queue today"):
        import_model(tmp_path / "my.zip")


@pytest.mark.parametrize("last_line", ['exec "$@"', '"$@"', '"$@" &\nwait'])
@pytest.mark.parametrize("end", ["cancel", "unload"])
def test_the_end_of_the_wrapper_is_the_end_of_the_child(
    window, slicer_scene, dialogs, wrapper, last_line, end
):
    wrapper(last_line)
    start(window, slicer_scene, "grandchild", "hang")
    window.module.run.job.grace_s = 0.3
    window.spin(lambda: "grandchild" in window.log)
    pid = int(re.search(r"grandchild (\d+)", window.log)[1])
    if end == "cancel":
        window.click("segmentButton")
        window.run_to_end()
        assert window.ui.statusLabel.text == "Cancelled."
    else:
        window.module.cleanup()
    window.spin(lambda: not is_running(pid) or is_zombie(pid))


def is_zombie(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


class TestWrong:
    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ("/no/such.sh --fast", "found no program '/no/such.sh' to put before the command"),
            ("'/half", "found a command prefix without its second quotation mark ('/half)"),
        ],
    )
    def test_is_one_sentence_that_names_the_setting(
        self, window, slicer_scene, dialogs, setting, words
    ):
        slicer.app.userSettings().setValue(SETTING, setting)
        start(window, slicer_scene, "write")
        assert window.module.run.job is None
        assert words in dialogs.errors[0].replace("Found", "found")
        assert f"correct or empty the setting {SETTING}" in dialogs.errors[0]
        assert segmentations(slicer_scene) == 0
        dialogs.uncaught.clear()  # Slicer logs it as well

    def test_every_study_of_several_says_so(self, window, slicer_scene, dialogs):
        from test_slicer_batch import add_patient, column, settle, tip, wait

        slicer.app.userSettings().setValue(SETTING, "/no/such.sh")
        add_patient(slicer_scene, "Ann")
        window.ui.batchCollapsibleButton.collapsed = False
        settle(window)
        window.click("segmentAllButton")
        wait(window)
        assert column(window) == ["Failed"]
        assert SETTING in tip(window, 0)

    def test_one_that_goes_wrong_during_the_export(self, window, slicer_scene, dialogs, wrapper):
        record = wrapper()
        start(window, slicer_scene, "write")
        record.with_name("wrapper.sh").unlink()
        window.run_to_end()
        assert SETTING in dialogs.errors[0]

    def test_a_script_without_its_first_line(self, window, slicer_scene, dialogs, wrapper):
        record = wrapper()
        record.with_name("wrapper.sh").write_text('exec "$@"\n', encoding="utf-8")
        start(window, slicer_scene, "write")
        window.run_to_end()
        assert "a program that cannot be started" in dialogs.errors[0]
        assert SETTING in dialogs.errors[0]

    def test_a_training_and_an_import_say_so(self, window, dialogs, tmp_path):
        slicer.app.userSettings().setValue(SETTING, "/no/such.sh")
        for number in range(3):
            stored = tmp_path / "cases" / f"case{number}" / "provenance.json"
            stored.parent.mkdir(parents=True)
            stored.write_text("{}", encoding="utf-8")
        qt_names.FileDialog.answers = [str(tmp_path / "cases"), str(tmp_path / "model.zip")]
        window.click("casesFolderButton")
        window.click("trainButton")
        window.click("importZipButton")
        assert len(dialogs.errors) == 2
        assert all(SETTING in text for text in dialogs.errors)
        assert window.module.cases.job is None
        dialogs.uncaught.clear()


def test_an_empty_setting_is_none(dialogs):
    from BrainTumorSegLib.command_prefix import command_prefix

    settings = slicer.app.userSettings()
    for value in (None, "", "  "):
        settings.setValue(SETTING, value)
        assert command_prefix() == ()
    settings.setValue(SETTING, "sh -c 'a b'")
    assert command_prefix() == (shutil.which("sh"), "-c", "a b")
    settings.setValue(SETTING, "sh 'x")
    with pytest.raises(ResourceError):
        command_prefix()


class TestScriptOfTheDocumentation:
    @pytest.fixture
    def over_ssh(self, window, tmp_path, monkeypatch):
        """The script as it is documented, and a stand-in for ssh."""
        page = (ROOT / "docs" / "another-machine.md").read_text(encoding="utf-8")
        (text,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
        script, ssh = tmp_path / "on-gpu.sh", tmp_path / "bin" / "ssh"
        ssh.parent.mkdir()
        ssh.write_text(SSH.format(python=sys.executable), encoding="utf-8")
        script.write_text(text, encoding="utf-8")
        for file in (script, ssh):
            file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
        slicer.app.userSettings().setValue(SETTING, str(script))

    def test_gives_the_same_segmentation(self, over_ssh, window, slicer_scene, dialogs):
        start(window, slicer_scene, "steps", "write")
        window.run_to_end()
        assert dialogs.errors == []
        node = window.parameters.segmentation
        assert node.GetSegmentation().GetNumberOfSegments() == 4
        assert json.loads(node.GetAttribute("BrainTumorSeg.Report"))["model"]["name"] == "threshold"
        assert "Found a small brain" in window.log

    def test_its_end_is_the_end_of_the_remote_program(self, over_ssh, window, slicer_scene):
        start(window, slicer_scene, "grandchild", "hang")
        window.spin(lambda: "grandchild" in window.log)
        pid = int(re.search(r"grandchild (\d+)", window.log)[1])
        assert is_running(pid)
        window.click("segmentButton")
        window.run_to_end()
        window.spin(lambda: not is_running(pid) or is_zombie(pid))

    def test_failure_keeps_its_words_and_its_code(self, over_ssh, window, slicer_scene, dialogs):
        load_patient(slicer_scene)
        window.settle()
        window.acts("error")
        window.click("segmentButton")
        window.run_to_end()
        assert "damaged weights" in dialogs.errors[0]
