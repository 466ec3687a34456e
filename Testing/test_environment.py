"""The program as a process of its own: folders, streams, variables and signals of any system."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from scripted_models.cli import main
from scripted_models.runtime import atomic_files, processor_cores
from scripted_models.runtime.atomic_files import write_file, write_together

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "scripted_models"]
SHADOWED = (
    *("numpy", "json", "torch", "ctypes", "argparse", "SimpleITK", "monai", "signal"),
    *("traceback", "filelock", "tomllib", "dataclasses", "pathlib"),
)
BY_PYTHON = ("runpy", "pkgutil", "contextlib")  # what ``python -m`` itself imports from there
posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


def environment(**changes):
    """Our variables without those that make Python or a locale safe."""
    left_out = ("PYTHONSAFEPATH", "PYTHONUTF8", "PYTHONIOENCODING", "LC_ALL", "LANG", "LC_CTYPE")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    kept["PYTHONPATH"] = str(ROOT)
    kept.update({name: value for name, value in changes.items() if value is not None})
    for name in [name for name, value in changes.items() if value is None]:
        kept.pop(name, None)
    return kept


def run(command, cwd=None, variables=None, **options):
    options = {"capture_output": True, "text": True, "encoding": "utf-8", **options}
    variables = environment() if variables is None else variables
    return subprocess.run(command, cwd=cwd, env=variables, timeout=120, check=False, **options)


def shell(text, cwd, **variables):
    """Run the program by a shell; `$P` is its command."""
    command = ["bash", "-o", "pipefail", "-c", text]
    return run(command, cwd, environment(P=" ".join(PROGRAM), **variables))


def spoil(folder, names):
    """Write modules that leave a mark and end the program."""
    for name in names:
        text = f"open({str(folder / 'was_run')!r}, 'a').write({name!r})\nraise SystemExit(77)"
        (folder / f"{name}.py").write_text(text, "utf-8")


def case_folder(folder, name):
    """A folder that looks like a case; its volumes are not read."""
    made = folder / name
    made.mkdir(parents=True)
    for sequence in ("t1", "t1ce", "t2", "flair"):
        (made / f"{name}_{sequence}.nii.gz").write_bytes(b"x")
    return made


class TestModulesInTheCurrentFolder:
    @pytest.fixture
    def trap(self, tmp_path):
        """A folder in which every module that the program needs is a stranger's."""
        spoil(tmp_path, SHADOWED)
        return tmp_path

    def test_are_not_run_by_the_program(self, trap):
        done = run([*PROGRAM, "models"], cwd=trap)
        assert done.returncode == 0, done.stderr
        assert not (trap / "was_run").exists()

    def test_are_not_run_with_pytorch_either(self, trap):
        case = case_folder(trap, "case")
        done = run([*PROGRAM, "segment", str(case), "--output", "out"], cwd=trap)
        assert done.returncode == 2, done.stderr
        assert "case_flair" in done.stderr or "case_t1" in done.stderr
        assert not (trap / "was_run").exists()

    def test_are_not_run_by_the_child_of_slicer(self, trap):
        pytest.importorskip("slicer")
        sys.path.insert(0, str(ROOT / "BrainTumorSeg"))
        try:
            from BrainTumorSegLib.python_child import child_environment, program
        finally:
            sys.path.pop(0)
        spoil(trap, BY_PYTHON)
        (trap / "scripted_models").mkdir()
        (trap / "scripted_models" / "__init__.py").write_text("raise SystemExit(78)", "utf-8")
        variables = child_environment(environment(PYTHONPATH=f".{os.pathsep}"))
        variables.pop("PYTHONSAFEPATH")  # Python 3.10 does not know it
        done = run([*program(sys.executable), "models", "--json"], cwd=trap, variables=variables)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0]["name"] == "default"
        assert not (trap / "was_run").exists()

    def test_the_package_itself_may_lie_there(self):
        done = run([*PROGRAM, "--version"], cwd=ROOT, variables=environment(PYTHONPATH=None))
        assert done.returncode == 0, done.stderr


@posix
class TestStreams:
    @pytest.mark.parametrize(
        ("closed", "command"),
        [
            ("2>&-", "models"),
            (">&-", "models --json"),
            ("<&- >&- 2>&-", "cases ."),
            (">&-", "--help"),
        ],
    )
    def test_closed_ones_end_nothing(self, tmp_path, closed, command):
        case_folder(tmp_path, "case")
        done = shell(f"$P {command} {closed}", tmp_path)
        assert done.returncode == 0, done
        assert "Traceback" not in done.stderr + done.stdout

    def test_a_closed_one_is_not_the_next_file(self, tmp_path):
        """Messages must not be written into a file that got the number of a closed stream."""
        out = tmp_path / "phantoms"
        done = shell(f"$P phantom --output {out} --size 24 24 8 >&- 2>&-", tmp_path)
        assert done.returncode == 0
        assert list(out.rglob("*.nii.gz"))
        for path in out.rglob("*.nii.gz"):
            assert path.read_bytes()[:2] == b"\x1f\x8b"

    @pytest.mark.parametrize("command", ["models --json", "--help", "segment --nonsense 2>&1"])
    def test_a_reader_that_goes_is_no_traceback(self, tmp_path, command):
        done = shell(f"$P {command} | head -c 1", tmp_path)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert "Broken" not in done.stderr

    def test_a_reader_of_errors_that_goes(self, tmp_path):
        done = shell("($P cases nowhere; echo $? >&3) 3>code 2>&1 | true", tmp_path)
        assert (tmp_path / "code").read_text().strip() in ("2", "130")
        assert done.stderr == ""

    def test_a_full_disk_behind_the_output_is_told(self, tmp_path):
        done = shell("$P models > /dev/full", tmp_path)
        assert done.returncode == 4
        assert "a full disk" in done.stderr or "cannot be written" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "variables",
        [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    )
    def test_any_locale_prints_any_name(self, tmp_path, variables):
        case_folder(tmp_path, "Ödem_脳")
        done = shell("$P cases . 2>&1", tmp_path, **variables)
        assert done.returncode == 0, done
        assert "1 complete" in done.stdout

    def test_bytes_that_are_no_text(self, tmp_path):
        os.mkdir(os.fsencode(tmp_path) + b"/\xff\xfe")
        done = shell("$P cases $'\\xff\\xfe' 2>&1", tmp_path)
        assert done.returncode == 2
        assert "\\udcff" in done.stdout


@posix
def test_names_do_not_reach_the_terminal_raw(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    name = "x\x1b[31m\u202e\ny"
    case_folder(tmp_path / "data", name)
    (tmp_path / "data" / name / "notes\x1b]0;title\x07.txt").write_text("x")
    for command in (
        ["cases", "data"],
        ["segment", "data", "--output", "out"],
        ["segment", f"data/{name}", "--output", "out", "--progress", "json"],
        ["evaluate", "--predictions", "data", "--truth", f"data/{name}", "--output", "out"],
        [f"no{name}"],
        ["train", f"no{name}.toml", "--data", "data", "--output", "out"],
    ):
        with suppress(SystemExit):
            main(command)
        said = "".join(capfd.readouterr())
        assert "Traceback" not in said, said
        assert not set("\x1b\x07\u202e") & set(said), command


@posix
@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_without_a_home(tmp_path, home):
    done = run([*PROGRAM, "models", "--json"], tmp_path, environment(HOME=home))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) >= 4


@posix
def test_a_home_of_nobody_is_a_sentence(tmp_path):
    done = run([*PROGRAM, "cases", "~nobodyatall/data"], cwd=tmp_path)
    assert done.returncode == 2
    assert "no home folder" in done.stderr
    assert "Traceback" not in done.stderr


@posix
class TestModes:
    @pytest.fixture(params=[0o022, 0o077, 0o027, 0o002])
    def umask(self, request):
        before = os.umask(request.param)
        yield request.param
        os.umask(before)

    def mode(self, path):
        return stat.S_IMODE(path.stat().st_mode)

    def test_new_files_get_what_open_gives(self, umask, tmp_path):
        open(tmp_path / "plain", "w").close()
        write_file(tmp_path / "ours", "x")
        write_together(tmp_path / "folder", {"table.csv": "x"})
        (tmp_path / "plain_folder").mkdir()
        assert self.mode(tmp_path / "ours") == self.mode(tmp_path / "plain")
        assert self.mode(tmp_path / "folder" / "table.csv") == self.mode(tmp_path / "plain")
        assert self.mode(tmp_path / "folder") == self.mode(tmp_path / "plain_folder")

    @pytest.mark.parametrize("kept", [0o600, 0o640, 0o664, 0o644])
    def test_files_that_are_replaced_keep_theirs(self, umask, tmp_path, kept):
        path = tmp_path / "table.csv"
        path.write_text("old")
        path.chmod(kept)
        write_file(path, "new")
        assert (path.read_text(), self.mode(path)) == ("new", kept)
        write_together(tmp_path, {"table.csv": "newer"})
        assert (path.read_text(), self.mode(path)) == ("newer", kept)

    def test_all_that_a_command_writes(self, tmp_path):
        umask, wanted = 0o077, 0o600
        done = shell("umask 077; $P phantom --output out --size 24 24 8", tmp_path)
        assert done.returncode == 0
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert {path.name: self.mode(path) for path in files} == {p.name: wanted for p in files}
        folders = [path for path in (tmp_path / "out").rglob("*") if path.is_dir()]
        assert all(self.mode(path) == 0o777 & ~umask for path in folders)


@posix
class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    def test_end_a_run_without_remains(self, tmp_path, number):
        out = tmp_path / "out"
        command = ["phantom", "--output", str(out), "--cases", "1000", "--size", "48", "48", "48"]
        process = subprocess.Popen(
            [*PROGRAM, *command],
            env=environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL if number == 1 else _default),
        )
        deadline = time.monotonic() + 240
        while not (out.exists() and list(out.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 130
        assert "Traceback" not in said
        assert not [path for path in out.rglob("*") if path.name.startswith(atomic_files.BEGUN)]

    def test_nohup_is_obeyed(self, tmp_path):
        done = shell("nohup $P models > out", tmp_path)
        assert done.returncode == 0


_default = signal.default_int_handler


class TestThreads:
    def test_variables_are_lowered_to_the_cores(self, monkeypatch):
        cores = processor_cores.usable_cores()
        for stated, becomes in {"1000000": str(cores), "1": "1", "4,2": "4,2", "": ""}.items():
            monkeypatch.setenv("OMP_NUM_THREADS", stated)
            processor_cores.limit_thread_variables()
            assert os.environ["OMP_NUM_THREADS"] == becomes

    def test_a_number_of_the_cores_is_taken(self):
        cores = processor_cores.usable_cores()
        assert processor_cores.useful_threads(cores, "--threads") == (cores, None)
        assert processor_cores.useful_threads(cores + 1, "--threads")[0] == cores
