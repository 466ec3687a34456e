"""What the parts of the Slicer module promise each other: lists, names, codes, layers, packaging."""

import ast
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from slicer_fixtures import MODULE, ROOT

# isort: split
from BrainTumorSegLib.segments import (
    BRAIN,
    CATEGORY,
    REGION_SEGMENTS,
    SEGMENTS,
    TERMINOLOGY_CONTEXT,
)

from scripted_models.labels import LABELS, REGIONS

SHOWN = SEGMENTS + REGION_SEGMENTS[:2]  # the enhancing region is the enhancing tumour again
LIBRARY = MODULE / "BrainTumorSegLib"
PACKAGE = ROOT / "scripted_models"
TERMINOLOGY = MODULE / "Resources" / "SegmentationCategoryTypeModifier-BrainTumorSeg.term.json"
UI = ElementTree.parse(MODULE / "Resources" / "UI" / "BrainTumorSeg.ui")
SOURCE = (MODULE / "BrainTumorSeg.py").read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
MODULE_FILES = [MODULE / "BrainTumorSeg.py", *sorted(LIBRARY.glob("*.py"))]


def cmake_list(name):
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    content = re.search(rf"set\({name}\n(.*?)\)", text, re.DOTALL).group(1)
    return sorted(content.replace("${MODULE_NAME}", "BrainTumorSeg").split())


def files_under(folder, *patterns):
    found = {p for pattern in patterns for p in folder.glob(pattern) if p.is_file()}
    return sorted(p.relative_to(folder).as_posix() for p in found if "__pycache__" not in p.parts)


def imports_of(tree, top_level_only=False):
    nodes = tree.body if top_level_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def class_named(name):
    return next(n for n in TREE.body if isinstance(n, ast.ClassDef) and n.name == name)


def test_cmake_lists_every_script_and_resource():
    assert cmake_list("MODULE_PYTHON_SCRIPTS") == files_under(MODULE, "**/*.py")
    assert cmake_list("MODULE_PYTHON_RESOURCES") == files_under(MODULE, "Resources/**/*")


def test_module_file_holds_the_four_classes():
    names = {node.name for node in TREE.body if isinstance(node, ast.ClassDef)}
    assert {f"BrainTumorSeg{part}" for part in ("", "Widget", "Logic", "Test")} <= names


def test_widgets_used_in_code_exist_in_the_ui():
    used = {
        node.attr
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "ui"
    }
    assert used
    assert used <= {element.get("name") for element in UI.iter("widget")}


def test_ui_parameters_are_those_of_the_parameter_class():
    declared = [
        node.target.id
        for node in class_named("BrainTumorSegParameterNode").body
        if isinstance(node, ast.AnnAssign)
    ]
    in_ui = [
        element.find("string").text
        for element in UI.iter("property")
        if element.get("name") == "SlicerParameterName"
    ]
    assert sorted(in_ui) == sorted(declared)


def test_every_node_selector_gets_the_scene():
    selectors = {w.get("name") for w in UI.iter("widget") if w.get("class") == "qMRMLNodeComboBox"}
    connected = {
        c.find("receiver").text
        for c in UI.iter("connection")
        if c.find("slot").text == "setMRMLScene(vtkMRMLScene*)"
    }
    assert len(selectors) == 5
    assert selectors == connected


def test_every_control_has_a_tool_tip():
    for widget in UI.iter("widget"):
        if widget.get("class") in ("QLabel", "ctkCollapsibleButton", "qMRMLWidget"):
            continue
        tips = [p for p in widget.findall("property") if p.get("name") == "toolTip"]
        assert tips, widget.get("name")


def test_terminology_file_holds_the_codes_names_and_colors_of_the_segments():
    content = json.loads(TERMINOLOGY.read_text(encoding="utf-8"))
    assert content["SegmentationCategoryTypeContextName"] == TERMINOLOGY_CONTEXT
    (category,) = content["SegmentationCodes"]["Category"]
    assert code_of(category) == (CATEGORY.scheme, CATEGORY.value, CATEGORY.meaning)
    assert category["showAnatomy"]
    entries = []
    for kind in category["Type"]:
        shown = kind.get("Modifier", [kind])
        entries += [(code_of(kind), code_of(e) if e is not kind else None, e) for e in shown]
    for segment, (kind, modifier, shown) in zip(SHOWN, entries, strict=True):
        code = segment.type_code
        assert kind == (code.scheme, code.value, code.meaning)
        code = segment.modifier_code
        assert modifier == ((code.scheme, code.value, code.meaning) if code.value else None)
        assert shown["3dSlicerLabel"] == segment.name
        assert tuple(shown["recommendedDisplayRGBValue"]) == segment.color_rgb


def code_of(entry):
    return entry["CodingSchemeDesignator"], entry["CodeValue"], entry["CodeMeaning"]


def test_segments_are_the_labels_and_regions_in_order():
    assert [(s.labels, s.segment_id) for s in SEGMENTS] == [
        ((label,), name) for label, name in LABELS.items() if label
    ]
    assert [(s.segment_id, s.labels) for s in REGION_SEGMENTS] == [
        (f"region-{name}", labels) for name, labels in REGIONS.items()
    ]
    assert len({s.terminology for s in SHOWN}) == len({s.color_rgb for s in SHOWN}) == len(SHOWN)
    for segment in SEGMENTS + REGION_SEGMENTS:
        parts = segment.terminology.split("~")
        assert len(parts) == 7
        assert parts[5] == str(BRAIN)


@pytest.mark.slicer
def test_slicer_reads_the_terminology_and_finds_the_segments():
    slicer = pytest.importorskip("slicer")
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    assert logic.LoadTerminologyFromFile(str(TERMINOLOGY)) == TERMINOLOGY_CONTEXT
    for index, segment in enumerate(SHOWN):
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(segment.terminology, entry)
        category, shown = entry.GetCategoryObject(), slicer.vtkSlicerTerminologyType()
        context = entry.GetTerminologyContextName()
        assert logic.GetNthTypeInTerminologyCategory(context, category, index, shown)
        assert shown.GetCodeValue() == entry.GetTypeObject().GetCodeValue()
        if segment.modifier_code.value:
            kind, shown = shown, slicer.vtkSlicerTerminologyType()
            assert logic.GetNthTypeModifierInTerminologyType(context, category, kind, 0, shown)
        assert shown.GetSlicerLabel() == segment.name
        assert tuple(shown.GetRecommendedDisplayRGBValue()) == segment.color_rgb


@pytest.mark.parametrize("file", MODULE_FILES, ids=lambda file: file.name)
def test_module_imports_respect_the_layers(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = imports_of(tree)
    assert "imp" not in imported
    bundled = set(sys.stdlib_module_names) | {"slicer", "vtk", "numpy", "SimpleITK"}
    allowed = bundled | {"scripted_models", "BrainTumorSegLib"}
    if file.name == "BrainTumorSeg.py":
        allowed |= {"qt", "ctk"}
        assert imports_of(tree, top_level_only=True) <= set(sys.stdlib_module_names) | {
            "slicer",
            "vtk",
            "qt",
        }
    assert imported <= allowed


@pytest.mark.parametrize("name", ["runner.py", "protocol.py", "process_tree.py"])
def test_runner_needs_only_the_standard_library(name):
    tree = ast.parse((LIBRARY / name).read_text(encoding="utf-8"))
    assert imports_of(tree) <= set(sys.stdlib_module_names)


def test_package_knows_nothing_of_slicer():
    for file in PACKAGE.rglob("*.py"):
        imported = imports_of(ast.parse(file.read_text(encoding="utf-8")))
        assert not imported & {"slicer", "vtk", "qt", "ctk", "BrainTumorSegLib"}, file


def test_strings_are_translated_without_f_strings():
    calls = [
        n for n in ast.walk(TREE) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "_"
    ]
    assert len(calls) > 10
    assert all(isinstance(call.args[0], ast.Constant) for call in calls)


@pytest.mark.parametrize(
    "file",
    [
        MODULE / "Resources" / "Icons" / "BrainTumorSeg.png",
        ROOT / "Resources" / "BrainTumorSeg.png",
    ],
)
def test_icons_are_png_of_128_pixels(file):
    header = file.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(header[i : i + 4], "big") for i in (16, 20)] == [128, 128]


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


def test_installed_extension_carries_the_whole_package(installed):
    expected = files_under(PACKAGE, "**/*.py", "experiments/*.toml", "models/**/*")
    for place in installed:
        found = files_under(place / "scripted_models", "**/*")
        assert found == expected
    assert files_under(installed[1], "BrainTumorSegLib/*.py") == files_under(
        MODULE, "BrainTumorSegLib/*.py"
    )


def test_package_is_importable_from_the_installed_extension(installed):
    place = installed[1]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import BrainTumorSegLib, scripted_models.labels\n"
        "print(BrainTumorSegLib.package_parent()); print(scripted_models.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(place)], capture_output=True, text=True, check=True
    )
    parent, package = (Path(line) for line in done.stdout.split())
    assert parent == place
    assert package == place / "scripted_models" / "__init__.py"
