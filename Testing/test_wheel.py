"""The package as built: what is in the wheel, and what it asks of the Python it comes to."""

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from slicer_fixtures import ROOT

import scripted_models

packaging = pytest.importorskip("packaging", reason="comes with pytest")
from packaging.requirements import Requirement  # noqa: E402
from packaging.version import Version  # noqa: E402

PACKAGE = ROOT / "scripted_models"
SOURCES = ("pyproject.toml", "LICENSE", "LICENSE-WEIGHTS.md")
DATA = ("py.typed", "experiments/recipes/**/*.toml", "bundle/shipped/**/*", "reporting/templates/*")
NO_CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")
BUILD = """
import sys, setuptools.build_meta as setuptools
folder = sys.argv[1]  # setuptools writes arguments of its own there
setuptools.build_sdist(folder), setuptools.build_wheel(folder)
"""
MODELS = ("default", "fast", "InputCascadeCNN", "TwoPathCNN")
# what Slicer's Python has: version of Slicer -> package -> version
IN_SLICER = {
    "5.10": {"numpy": "2.0.2", "SimpleITK": "2.5.0"},
    "5.12": {"numpy": "2.4.6", "SimpleITK": "2.5.5"},
    "5.10 on macOS, with PyTorch": {"numpy": "1.26.4", "SimpleITK": "2.5.0", "torch": "2.2.2"},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist and the wheel, built without a network from a copy."""
    setuptools = pytest.importorskip("setuptools")
    if Version(setuptools.__version__) < Version("77"):
        pytest.skip(f"setuptools {setuptools.__version__} cannot write license expressions")
    folder = tmp_path_factory.mktemp("built")
    copy = folder / "copy"
    shutil.copytree(PACKAGE, copy / "scripted_models", ignore=NO_CACHES)
    for name in SOURCES:
        shutil.copy(ROOT / name, copy / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, folder], cwd=copy, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(*built.glob("*.whl")) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def package_files():
    patterns = ("**/*.py", *DATA)
    found = {file for pattern in patterns for file in PACKAGE.glob(pattern) if file.is_file()}
    return {file.relative_to(ROOT).as_posix() for file in found if "__pycache__" not in file.parts}


def test_wheel_has_the_whole_package_and_nothing_else(wheel):
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == package_files()
    assert {f"scripted_models/bundle/shipped/{m}/models/model.pt" for m in MODELS} <= files


def test_source_archive_builds_the_same(built):
    with tarfile.open(*built.glob("*.tar.gz")) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert package_files() | {*SOURCES, "scripted_models/README.md"} <= names
    assert not [name for name in names if name.startswith(("Testing", "BrainTumorSeg", "docs"))]


def test_version_and_terms_are_in_the_metadata(wheel, metadata):
    assert metadata["Version"] == scripted_models.__version__
    assert metadata["License-Expression"] == "Apache-2.0 AND LicenseRef-BraTS-research-use"
    assert metadata.get_all("License-File") == ["LICENSE", "LICENSE-WEIGHTS.md"]
    licenses = f"scripted_models-{metadata['Version']}.dist-info/licenses/"
    for name in metadata.get_all("License-File"):
        assert wheel.read(licenses + name) == (ROOT / name).read_bytes()
    assert "CC BY-NC-SA 3.0" in metadata.get_payload()


@pytest.mark.parametrize("slicer", IN_SLICER)
def test_what_slicer_has_already_is_enough(metadata, slicer):
    """Else pip would replace it: it keeps what fits."""
    needed = {r.name: r for r in map(Requirement, metadata.get_all("Requires-Dist"))}
    for name, version in IN_SLICER[slicer].items():
        assert needed[name].specifier.contains(version)


def test_version_stands_in_one_place():
    others = ("pyproject.toml", "CITATION.cff", "CMakeLists.txt", "BrainTumorSeg/CMakeLists.txt")
    for file in [ROOT / name for name in others]:
        assert scripted_models.__version__ not in file.read_text(encoding="utf-8"), file
