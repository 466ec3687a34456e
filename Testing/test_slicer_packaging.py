"""The extension as built and installed: lists, catalog entry, pictures, a run from it alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from slicer_fixtures import MODULE, ROOT, SEQUENCES

from scripted_models.cases.phantom.phantom_case import make_phantom

PACKAGE = ROOT / "scripted_models"
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
CATALOG_ENTRY = ROOT / "Resources" / "BrainTumorSeg.json"
# Slicer/Slicer, Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json: property -> type
ENTRY_TYPES = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "tier": int,
}
# those that could be ours, from Slicer/ExtensionsIndex, scripts/check_description_files.py
CATEGORIES = ("Analysis", "Neuroimaging", "Quantification", "Segmentation", "Training")
MARK = "+installed"  # in the version of the installed package, so that its reports tell it apart


def cmake_list(name):
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    content = re.search(rf"set\({name}\n(.*?)\)", text, re.DOTALL).group(1)
    return sorted(content.replace("${MODULE_NAME}", "BrainTumorSeg").split())


def files_under(folder, *patterns):
    found = {p for pattern in patterns for p in folder.glob(pattern) if p.is_file()}
    return sorted(p.relative_to(folder).as_posix() for p in found if "__pycache__" not in p.parts)


def extension(variable):
    return re.search(rf'set\(EXTENSION_{variable} "([^"]*)"\)', CMAKE).group(1)


def size_of_png(file):
    header = file.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return [int.from_bytes(header[i : i + 4], "big") for i in (16, 20)]


def test_cmake_lists_every_script_and_resource():
    assert cmake_list("MODULE_PYTHON_SCRIPTS") == files_under(MODULE, "**/*.py")
    assert cmake_list("MODULE_PYTHON_RESOURCES") == files_under(MODULE, "Resources/**/*")


@pytest.mark.parametrize(
    "file",
    [
        MODULE / "Resources" / "Icons" / "BrainTumorSeg.png",
        ROOT / "Resources" / "BrainTumorSeg.png",
    ],
)
def test_icons_are_png_of_128_pixels(file):
    assert size_of_png(file) == [128, 128]


def test_icon_and_screenshot_urls_are_pictures_of_this_repository():
    raw = extension("HOMEPAGE").replace("github.com", "raw.githubusercontent.com") + "/main/"
    screenshots = extension("SCREENSHOTURLS").split()
    assert screenshots
    for url in [extension("ICONURL"), *screenshots]:
        assert url.startswith(raw)
        assert min(size_of_png(ROOT / url.removeprefix(raw))) >= 128


def test_catalog_entry_fits_the_schema_and_the_cmake_project():
    content = CATALOG_ENTRY.read_bytes()
    assert b"\r" not in content
    assert content.endswith(b"}\n")
    entry = json.loads(content)
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert {"$schema", "category", "scm_url"} <= set(entry)
    for key, value in entry.items():
        assert type(value) is ENTRY_TYPES[key], key
    assert CATALOG_ENTRY.stem == re.search(r"project\((\w+)\)", CMAKE).group(1)
    assert entry["category"] in CATEGORIES
    assert entry["build_dependencies"] == extension("DEPENDS").split()
    assert entry["scm_url"] == extension("HOMEPAGE")
    assert entry["scm_url"].rpartition("/")[2] == f"Slicer{CATALOG_ENTRY.stem}"
    assert not CATALOG_ENTRY.stem.lower().startswith("slicer")
    assert entry["scm_url"].startswith("https://")
    assert 1 <= entry["tier"] <= 5


def test_license_lies_where_the_catalog_looks_for_it():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


SLICER_STAND_IN = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/Use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/Empty.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/Empty.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/modules)
"""
MACRO_STAND_IN = """
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${file} does not exist")
    endif()
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${file} DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/${folder})
  endforeach()
endmacro()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The extension configured, built and installed against a stand-in for Slicer's CMake files."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("extension")
    slicer = folder / "slicer"
    slicer.mkdir()
    (slicer / "SlicerConfig.cmake").write_text(SLICER_STAND_IN, encoding="utf-8")
    (slicer / "Use.cmake").write_text(MACRO_STAND_IN, encoding="utf-8")
    (slicer / "Empty.cmake").write_text("", encoding="utf-8")
    build = folder / "build"
    cmake = [
        ["cmake", "-S", ROOT, "-B", build, f"-DSlicer_DIR={slicer}", "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", build],
        ["cmake", "--install", build, "--prefix", folder / "installed"],
    ]
    for command in cmake:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "lib" / "modules", folder / "installed" / "lib" / "modules"


@pytest.fixture(scope="module")
def place(installed):
    """The folder of the installed extension; its package bears a mark in its version."""
    init = installed[1] / "scripted_models" / "__init__.py"
    text = re.sub(r'(__version__ = "[^"+]+)"', rf'\1{MARK}"', init.read_text(encoding="utf-8"))
    assert MARK in text
    init.write_text(text, encoding="utf-8")
    return installed[1]


def environment(place, home, **others):
    """What a child gets in a bare shell: the installed folder alone on the path."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    own = {"PYTHONPATH": str(place), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **own, "HOME": str(home), "OMP_NUM_THREADS": "1", **others}


def test_installed_extension_carries_the_whole_package(installed):
    data = ("experiments/recipes/**/*.toml", "bundle/shipped/**/*", "reporting/templates/*")
    expected = files_under(PACKAGE, "**/*.py", *data)
    for folder in installed:
        assert files_under(folder / "scripted_models", "**/*") == expected
    everything = files_under(installed[1], "*", "BrainTumorSegLib/**/*", "Resources/**/*")
    assert everything == sorted(
        cmake_list("MODULE_PYTHON_SCRIPTS") + cmake_list("MODULE_PYTHON_RESOURCES")
    )


def test_segmentation_runs_from_the_installed_extension_alone(place, tmp_path):
    files = small_case(tmp_path)
    inputs = [text for m, file in files.items() for text in (f"--{m}", str(file))]
    command = [sys.executable, "-m", "scripted_models", "segment", *inputs, "--case-name", "case"]
    done = subprocess.run(
        [*command, "--output", "out", "--device", "cpu", "--progress", "json"],
        env=environment(place, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "case" / "report.json").read_text(encoding="utf-8"))
    assert report["versions"]["scripted_models"].endswith(MARK)
    labels = sitk.ReadImage(str(tmp_path / "out" / "case" / "segmentation.nii.gz"))
    assert labels.GetSize() == sitk.ReadImage(str(files["t1"])).GetSize()


def small_case(folder):
    """Four volumes of a phantom: a few of its slices, as a small head that is fast."""
    volumes = make_phantom(1, (40, 40, 14)).volumes
    files = {m: folder / f"{m}.nrrd" for m in SEQUENCES}
    for sequence, file in files.items():
        sitk.WriteImage(sitk.GetImageFromArray(volumes[sequence][6:9].astype(np.int16)), str(file))
    return files


@pytest.mark.slicer
def test_installed_library_starts_its_child_with_the_installed_package(place, tmp_path):
    pytest.importorskip("slicer")
    code = (
        "import os, subprocess, sys\n"
        "import BrainTumorSegLib\n"
        "from BrainTumorSegLib.python_child import child_environment, segment_command\n"
        "from BrainTumorSegLib import diagnostics, sample_data\n"
        "from BrainTumorSegLib.dependencies import missing\n"
        "from BrainTumorSegLib.slicer_installer import SlicerInstaller\n"
        "print(BrainTumorSegLib.__file__); print(BrainTumorSegLib.package_parent())\n"
        "print([str(need) for need in missing(SlicerInstaller())])\n"
        "print(sample_data.THUMBNAIL.is_file(), *{'torch', 'monai'} & set(sys.modules))\n"
        "print(diagnostics.diagnostics().splitlines()[0])\n"
        "command = segment_command(sys.executable, {}, 'out', 'case')[:3] + ['--version']\n"
        "sys.stdout.flush()\n"
        "subprocess.run(command, env=child_environment(os.environ), check=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(place, tmp_path),
        cwd=ROOT,  # a scripted_models in the working folder must not be taken
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    library, parent, needs, pictured, about, version = done.stdout.splitlines()
    assert Path(library).parent == place / "BrainTumorSegLib"
    assert Path(parent) == place
    assert needs == "[]"
    assert pictured == "True"  # and neither torch nor monai was imported
    assert about.endswith(f"{MARK} (installed extension)")
    assert version.endswith(MARK)
