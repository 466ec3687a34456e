"""What the parts of the Slicer module promise each other: lists, names, codes, layers."""

import ast
import json
import sys
import xml.etree.ElementTree as ElementTree
from graphlib import TopologicalSorter

import pytest
from slicer_fixtures import MODULE, ROOT

# isort: split
from BrainTumorSegLib.segments import (
    BRAIN,
    CATEGORY,
    REGION_SEGMENTS,
    SEGMENTS,
    TERMINOLOGY_CONTEXT,
    serialized,
)

from scripted_models.labels import LABELS, REGIONS

SHOWN = SEGMENTS + REGION_SEGMENTS[:2]  # the third region is the enhancing tumor again
LIBRARY = MODULE / "BrainTumorSegLib"
PACKAGE = ROOT / "scripted_models"
TERMINOLOGY = MODULE / "Resources" / "SegmentationCategoryTypeModifier-BrainTumorSeg.term.json"
UI = ElementTree.parse(MODULE / "Resources" / "UI" / "BrainTumorSeg.ui")
SOURCE = (MODULE / "BrainTumorSeg.py").read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
PANEL = sorted((LIBRARY / "panel").glob("*.py"))
MODULE_FILES = [MODULE / "BrainTumorSeg.py", *sorted(LIBRARY.rglob("*.py"))]
WITH_QT = [MODULE / "BrainTumorSeg.py", *PANEL]
PANEL_TREES = [ast.parse(file.read_text(encoding="utf-8")) for file in WITH_QT]


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


def test_module_file_holds_the_four_classes():
    names = {node.name for node in TREE.body if isinstance(node, ast.ClassDef)}
    assert {f"BrainTumorSeg{part}" for part in ("", "Widget", "Logic", "Test")} <= names


def test_widgets_used_in_code_exist_in_the_ui():
    used = {
        node.attr
        for tree in PANEL_TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ends_with_ui(node.value)
    }
    assert len(used) > 15
    assert used <= {element.get("name") for element in UI.iter("widget")}


def ends_with_ui(node):
    return getattr(node, "attr", getattr(node, "id", "")) == "ui"


def test_ui_parameters_are_those_of_the_parameter_class():
    declared = [
        node.target.id
        for kind in ast.parse((LIBRARY / "parameters.py").read_text(encoding="utf-8")).body
        if isinstance(kind, ast.ClassDef)
        for node in kind.body
        if isinstance(node, ast.AnnAssign)
    ]
    in_ui = [
        element.find("string").text
        for element in UI.iter("property")
        if element.get("name") == "SlicerParameterName"
    ]
    by_hand = {"table", "model", "emptied", "follow_up", "lesions_of", "radiotherapy"}
    assert sorted(in_ui) == sorted(set(declared) - by_hand)


def test_every_node_selector_gets_the_scene():
    kinds = ("qMRMLNodeComboBox", "qMRMLSegmentsTableView")
    selectors = {w.get("name") for w in UI.iter("widget") if w.get("class") in kinds}
    connected = {
        c.find("receiver").text
        for c in UI.iter("connection")
        if c.find("slot").text == "setMRMLScene(vtkMRMLScene*)"
    }
    assert len(selectors) == 6
    assert selectors == connected


def test_every_control_has_a_tool_tip():
    for widget in UI.iter("widget"):
        if widget.get("class") in ("QLabel", "ctkCollapsibleButton", "qMRMLWidget"):
            continue
        tips = [p for p in widget.findall("property") if p.get("name") == "toolTip"]
        assert tips, widget.get("name")


def test_screen_readers_have_a_name_for_every_control():
    """Where a control shows no text of its own, or a sign."""
    silent = ("QLabel", "ctkCollapsibleButton", "qMRMLWidget")
    for widget in UI.iter("widget"):
        told = {p.get("name"): p.findtext("string") or "" for p in widget.findall("property")}
        speaks = any(word.isalpha() for word in told.get("text", ""))
        if widget.get("class") not in silent and not speaks:
            assert told.get("accessibleName"), widget.get("name")


def test_terminology_file_holds_the_codes_names_and_colors_of_the_segments():
    content = json.loads(TERMINOLOGY.read_text(encoding="utf-8"))
    assert content["SegmentationCategoryTypeContextName"] == TERMINOLOGY_CONTEXT
    (category,) = content["SegmentationCodes"]["Category"]
    assert code_of(category) == (CATEGORY.scheme, CATEGORY.value, CATEGORY.meaning)
    assert category["showAnatomy"]
    for segment, shown in zip(SHOWN, category["Type"], strict=True):
        assert code_of(shown) == (segment.code.scheme, segment.code.value, segment.code.meaning)
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
        assert parts[5] == serialized(BRAIN)


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
        assert shown.GetSlicerLabel() == segment.name
        assert tuple(shown.GetRecommendedDisplayRGBValue()) == segment.color_rgb


@pytest.mark.parametrize("file", MODULE_FILES, ids=lambda file: file.name)
def test_module_imports_respect_the_layers(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    bundled = set(sys.stdlib_module_names) | {"slicer", "vtk", "numpy", "SimpleITK"}
    allowed = bundled | {"scripted_models", "BrainTumorSegLib", "SampleData"}
    assert imports_of(tree) <= allowed | ({"qt", "ctk"} if file in WITH_QT else set())
    assert not {"imp", "SampleData"} & imports_of(tree, top_level_only=True)
    if file.name == "BrainTumorSeg.py":
        light = set(sys.stdlib_module_names) | {"slicer", "vtk", "qt"}
        assert imports_of(tree, top_level_only=True) <= light


@pytest.mark.parametrize("name", ["segmentation_process.py", "protocol.py", "process_tree.py"])
def test_process_needs_no_slicer(name):
    tree = ast.parse((LIBRARY / name).read_text(encoding="utf-8"))
    assert imports_of(tree) <= set(sys.stdlib_module_names) | {"scripted_models"}


def test_library_has_no_import_cycle_and_its_panel_is_on_top():
    imports = {}
    for file in LIBRARY.rglob("*.py"):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        relative = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.level]
        name = ".".join(file.relative_to(LIBRARY).with_suffix("").parts)
        imports[name] = {node.module or alias.name for node in relative for alias in node.names}
    assert set(imports) <= set(TopologicalSorter(imports).static_order())
    below = [modules for name, modules in imports.items() if not name.startswith("panel.")]
    assert not any(module.startswith("panel") for modules in below for module in modules)


def test_no_two_modules_have_one_name():
    files = [*LIBRARY.rglob("*.py"), *PACKAGE.rglob("*.py")]
    names = [file.stem for file in files if file.stem != "__init__"]
    own = {file.stem for file in LIBRARY.rglob("*.py")} - {"__init__"}
    assert [name for name in own if names.count(name) > 1] == []


def test_package_knows_nothing_of_slicer():
    for file in PACKAGE.rglob("*.py"):
        imported = imports_of(ast.parse(file.read_text(encoding="utf-8")))
        assert not imported & {"slicer", "vtk", "qt", "ctk", "BrainTumorSegLib"}, file
