"""The real checks and installations: crafted packages in child processes, pip on local wheels."""

import inspect
import json
import os
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest
from slicer_fixtures import MODULE, ROOT

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import diagnostics as report  # noqa: E402
from BrainTumorSegLib.child_errors import written_lines  # noqa: E402
from BrainTumorSegLib.dependencies import ensure as ensure_installed  # noqa: E402
from BrainTumorSegLib.packages import InstallationFailed, Package  # noqa: E402
from BrainTumorSegLib.slicer_installer import SlicerInstaller  # noqa: E402

from scripted_models.errors import ResourceError  # noqa: E402

pytestmark = pytest.mark.slicer
TORCH_AND_MONAI = {"torch": ("2.8.0+cpu", True), "monai": ("1.6.1", True), "numpy": ("2.4.6", True)}


def put_package(folder, name, version, module=True):
    """Write what pip leaves of a package; version None leaves metadata without their file."""
    metadata = folder / f"{name}-{version or '1'}.dist-info"
    metadata.mkdir(parents=True)
    if version is not None:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (metadata / "METADATA").write_text(text, encoding="utf-8")
    if module:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(
            f"raise SystemExit('{name} was imported')\n", encoding="utf-8"
        )


def in_child(folder, code):
    """Run code in a Python that sees only a folder of packages, the library and our package."""
    prelude = (
        f"import json, sys; sys.path += {[str(folder), str(MODULE), str(ROOT)]!r}\n"
        "from dataclasses import astuple\n"
        "from BrainTumorSegLib.dependencies import missing\n"
        "from BrainTumorSegLib.slicer_installer import SlicerInstaller\n"
    )
    command = [sys.executable, "-I", "-S", "-c", prelude + code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestWhatIsOnDisk:
    @pytest.mark.parametrize(
        ("version", "module", "found"),
        [
            ("2.0.1", True, ["2.0.1", False, ""]),
            ("2.13.0+cpu", True, ["2.13.0+cpu", False, ""]),
            ("2.8.0", False, ["2.8.0", True, ""]),
            (None, True, ["", True, ""]),
        ],
    )
    def test_package_is_judged_by_metadata_and_files_without_import(
        self, tmp_path, version, module, found
    ):
        put_package(tmp_path, "torch", version, module)
        assert in_child(tmp_path, SHOW_TORCH) == found

    def test_leftover_folder_of_a_removed_package_is_not_its_module(self, tmp_path):
        put_package(tmp_path, "torch", "2.8.0", module=False)
        (tmp_path / "torch" / "lib").mkdir(parents=True)
        assert in_child(tmp_path, SHOW_TORCH) == ["2.8.0", True, ""]

    def test_nothing_there_is_no_package(self, tmp_path):
        assert in_child(tmp_path, SHOW_TORCH) == ["", False, ""]

    def test_package_that_comes_later_is_seen_at_once_and_a_loaded_one_remembered(self, tmp_path):
        put_package(tmp_path / "later", "torch", "2.8.0")
        code = (
            "import os, types\n"
            "sys.modules['torch'] = types.SimpleNamespace(__version__='2.1.0')\n"
            f"installer, folder = SlicerInstaller(), {str(tmp_path)!r}\n"
            "states = [astuple(installer.package('torch'))]\n"
            "for name in os.listdir(folder + '/later'):\n"
            "    os.rename(f'{folder}/later/{name}', f'{folder}/{name}')\n"
            "states.append(astuple(installer.package('torch')))\n"
            "print(json.dumps(states))\n"
        )
        assert in_child(tmp_path, code) == [["", False, "2.1.0"], ["2.8.0", False, "2.1.0"]]

    def test_whole_set_is_complete(self, tmp_path):
        for name, (version, module) in TORCH_AND_MONAI.items():
            put_package(tmp_path, name, version, module)
        code = "print(json.dumps([str(need) for need in missing(SlicerInstaller())]))\n"
        assert in_child(tmp_path, code) == []

    def test_brain_extraction_without_its_weights_is_broken(self, tmp_path):
        put_package(tmp_path, "deepbet", "1.0.2", module=True)
        code = SHOW_TORCH.replace("torch", "deepbet")
        assert in_child(tmp_path, code) == ["1.0.2", True, ""]

    def test_extension_pytorch_is_found_by_its_module(self, tmp_path):
        code = "print(json.dumps(SlicerInstaller().has_pytorch_extension()))\n"
        assert in_child(tmp_path, code) is False
        (tmp_path / "PyTorchUtils.py").write_text("raise SystemExit(1)\n", encoding="utf-8")
        assert in_child(tmp_path, code) is True


SHOW_TORCH = "print(json.dumps(astuple(SlicerInstaller().package('torch'))))\n"


def write_wheel(folder, version):
    """Write a wheel of an empty monai that wants another numpy, as the true one might."""
    info = f"monai-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: monai\nVersion: {version}\nRequires-Dist: numpy<1\n"
    about = ("Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: true", "Tag: py3-none-any")
    files = {
        "monai/__init__.py": f'__version__ = "{version}"\n',
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "".join(f"{line}\n" for line in about),
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"monai-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Slicer's own way to pip over a PythonSlicer that installs into a folder of the test."""
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher.parent / "python"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    settings = {"TARGET": tmp_path / "site", "DISABLE_PIP_VERSION_CHECK": 1, "NO_INPUT": 1}
    for name, value in {**settings, "RETRIES": 1, "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))

    def pip_install(requirements):  # what slicer.util.pip_install does in Slicer 5.10
        slicer.util.executePythonModule("pip", ["install", *requirements])

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    return monkeypatch


@pytest.mark.skipif(sys.platform == "win32", reason="the launcher is a shell script")
class TestPip:
    def test_monai_comes_in_the_version_that_fits_and_brings_nothing_along(self, pip, tmp_path):
        for version in ("1.3.2", "1.5.2", "1.6.1"):
            write_wheel(tmp_path, version)
        pip.setenv("PIP_NO_INDEX", "1")
        pip.setenv("PIP_FIND_LINKS", str(tmp_path))
        SlicerInstaller().install("monai", ">=1.4,<1.6")
        folders = sorted(path.name for path in (tmp_path / "site").iterdir())
        assert folders == ["monai", "monai-1.5.2.dist-info"]
        pip.syspath_prepend(tmp_path / "site")
        found = SlicerInstaller().package("monai")
        assert (found.version, found.broken) == ("1.5.2", False)

    def test_what_pip_says_without_a_connection_becomes_a_sentence(self, pip, tmp_path, capsys):
        pip.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        installer = SlicerInstaller()
        pip.setattr(installer, "may_install", lambda: True, raising=False)
        pip.setattr(installer, "ask", lambda question: True, raising=False)
        known = {"torch": Package("2.8.0"), "numpy": Package("2.4.6")}
        pip.setattr(installer, "package", lambda name: known.get(name, Package()), raising=False)
        with pytest.raises(ResourceError, match="no connection to download MONAI") as caught:
            ensure_installed(installer)
        assert any("127.0.0.1" in line for line in written_lines(caught.value))
        assert "127.0.0.1" in capsys.readouterr().out  # and the Python console shows it as well


def test_slicer_512_is_called_with_the_arguments_it_knows(monkeypatch):
    calls = []

    def pip_install(
        requirements,
        constraints=None,
        no_deps_requirements=None,
        skip_packages=None,
        blocking=True,
        show_progress=True,
        requester=None,
        parent=None,
        logCallback=None,  # noqa: N803 - Slicer's name
        completedCallback=None,  # noqa: N803 - Slicer's name
    ):
        calls.append((requirements, blocking))

    monkeypatch.setitem(sys.modules, "slicer.packaging", SimpleNamespace(pip_install=pip_install))
    SlicerInstaller().install("monai", ">=1.4")
    ((arguments, blocking),) = calls
    assert blocking
    assert arguments[0] == "--no-deps"
    assert arguments[-1] == "monai>=1.4"


PYTORCH_UTILS = """
from pathlib import Path

class PyTorchUtilsLogic:
    def installTorch(self, askConfirmation=False, forceComputationBackend=None,
                     torchVersionRequirement=None, torchvisionVersionRequirement=None):
        assert not askConfirmation
        print("ltt install torch" + torchVersionRequirement)
        {then}
"""


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("return __name__", None),
        ("return None", "did not install PyTorch"),
        ("raise ImportError('DLL load failed')", "ImportError: DLL load failed"),
    ],
)
def test_torch_comes_through_the_extension_pytorch(tmp_path, monkeypatch, then, said):
    (tmp_path / "PyTorchUtils.py").write_text(PYTORCH_UTILS.format(then=then), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "PyTorchUtils", raising=False)
    screen = sys.stdout
    if said is None:
        SlicerInstaller().install("torch", ">=2.2")
    else:
        with pytest.raises(InstallationFailed) as caught:
            SlicerInstaller().install("torch", ">=2.2")
        assert caught.value.lines[0] == "ltt install torch>=2.2"
        assert said in caught.value.lines[-1]
    assert sys.stdout is screen
    sys.modules.pop("PyTorchUtils", None)


def test_nothing_may_be_installed_in_testing_mode_or_without_the_application(monkeypatch):
    assert not SlicerInstaller().may_install()
    for testing in (True, False):
        app = SimpleNamespace(testingEnabled=lambda testing=testing: testing)
        monkeypatch.setattr(slicer, "app", app, raising=False)
        assert SlicerInstaller().may_install() is not testing


def test_question_is_asked_with_slicers_dialog(monkeypatch):
    real = inspect.signature(slicer.util.confirmOkCancelDisplay)
    asked = []

    def dialog(*arguments, **options):
        asked.append(real.bind(*arguments, **options).arguments)
        return False

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", dialog)
    assert SlicerInstaller().ask("Install?") is False
    assert asked[0]["text"] == "Install?"


class TestDiagnostics:
    @pytest.fixture
    def home(self, tmp_path, monkeypatch):
        home = tmp_path / "users" / "jane.doe"
        for name, value in {"HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home / "l"}.items():
            monkeypatch.setenv(name, str(value))
        for name in ("SCRIPTED_MODELS_HOME", "XDG_DATA_HOME"):
            monkeypatch.delenv(name, raising=False)
        return home

    def test_versions_and_machine_are_told(self, home, monkeypatch):
        versions = {"applicationVersion": "5.12.3", "revision": "34567"}
        app = SimpleNamespace(**versions, userSettings=lambda: SimpleNamespace(value={}.get))
        monkeypatch.setattr(slicer, "app", app, raising=False)
        facts = dict(line.split(": ", 1) for line in report.diagnostics().splitlines())
        assert facts["Slicer"] == "5.12.3, revision 34567"
        assert facts["numpy"] == __import__("numpy").__version__
        assert facts["BrainTumorSeg"].endswith("(source tree)")
        assert {"torch", "monai", "SimpleITK", "Python", "System", "Memory", "Processors"} <= set(
            facts
        )

    def test_models_are_counted_and_the_user_is_not_named(self, home, monkeypatch):
        from scripted_models.bundle.model_folders import user_models_folder

        (user_models_folder() / "Smith_John").mkdir(parents=True)
        text = report.diagnostics()
        assert "4 shipped, 1 in ~/" in text
        elsewhere = home.parent / "jane.doe.models"
        monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(elsewhere))
        text += report.diagnostics()
        assert "0 in a folder outside the home folder" in text
        assert not any(secret in text for secret in ("jane", "Smith", str(home)))
