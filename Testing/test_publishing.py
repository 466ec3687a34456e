"""What others see of the repository: size of a clone, citation, workflows, supported versions."""

import re
import shutil
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from slicer_fixtures import MODULE, ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

yaml = pytest.importorskip("yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOI = "10.1016/j.media.2016.05.004"
LARGEST_CLONE = 100 * 10**6  # bytes; the index refuses larger ones, history included


def loaded(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_clone_without_history_is_small_enough_for_the_index(tmp_path):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git, or no clone")
    clone = ["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), tmp_path / "clone"]
    done = subprocess.run(clone, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert 10**7 < size < LARGEST_CLONE / 2  # room for later versions of the weights


def test_citation_names_the_program_and_the_paper():
    citation = loaded(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert [reference["doi"] for reference in citation["references"]] == [DOI]
    for page in ("README.md", "scripted_models/README.md", "BrainTumorSeg/BrainTumorSeg.py"):
        assert DOI in (ROOT / page).read_text(encoding="utf-8"), page


def lowest(requirements):
    parsed = [Requirement(text) for text in requirements]
    return {r.name: s.version for r in parsed for s in r.specifier if s.operator == ">="}


def test_oldest_versions_that_are_tested_are_those_that_are_promised():
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    promised = lowest(PROJECT["dependencies"])
    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    slicer = lowest(line for line in lines if line and not line.startswith("#"))
    assert set(tested) == {"torch", "monai", "numpy", "SimpleITK"}
    for name, version in tested.items():
        assert Version(promised[name]).release == Version(version).release[:2]
        assert slicer.get(name, promised[name]) == promised[name]


def test_files_of_the_oldest_versions_exist():
    names = (ROOT / ".ci" / "oldest_tests.txt").read_text(encoding="utf-8").split()
    assert [name for name in names if not (ROOT / name).is_file()] == []


class TestWorkflows:
    @pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
    def test_actions_have_a_version_and_the_token_may_read_alone(self, file):
        workflow = loaded(file)
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            assert job["timeout-minutes"]
            used = [step["uses"] for step in job["steps"] if "uses" in step]
            assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", name) for name in used)

    def test_all_tests_run_on_three_systems_and_every_python(self):
        job = loaded(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]
        matrix = job["strategy"]["matrix"]
        assert {name.partition("-")[0] for name in matrix["system"]} == {
            *("ubuntu", "windows", "macos")
        }
        assert matrix["python"][0] == lowest([f"x{PROJECT['requires-python']}"])["x"]
        assert "bash .ci/run" in [step.get("run") for step in job["steps"]]

    @pytest.mark.parametrize(
        "file", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda file: file.name
    )
    def test_files_are_yaml(self, file):
        assert isinstance(loaded(file), dict)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts stand in for other programs")
class TestRun:
    """`.ci/run` in a copy whose README has a harmless test command."""

    README = """
<!-- tests -->
```sh
python3 a -c constraints.txt && \\
  .venv/bin/python -m pytest
```
"""

    @pytest.mark.parametrize(
        ("system", "constraints", "expected"),
        [
            ("Linux", None, "python3 a -c constraints.txt && .venv/bin/python -m pytest -x"),
            ("Linux", "/dev/null", "python3 a -c /dev/null && .venv/bin/python -m pytest -x"),
            ("MINGW64", None, "python a -c constraints.txt && .venv/Scripts/python -m pytest -x"),
        ],
    )
    def test_runs_the_command_of_the_readme(self, system, constraints, expected, tmp_path):
        (tmp_path / ".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
        (tmp_path / "README.md").write_text(self.README, encoding="utf-8")
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("uname", "python3", "python"):
            words = f"echo {system}" if name == "uname" else f'echo "ran {name} $*"'
            (tools / name).write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
            (tools / name).chmod(0o755)
        environment = {"PATH": f"{tools}:/usr/bin:/bin"}
        if constraints:
            environment["CONSTRAINTS"] = constraints
        done = subprocess.run(
            ["bash", tmp_path / ".ci" / "run", "-x"],
            env=environment,
            capture_output=True,
            encoding="utf-8",
        )
        assert not (tmp_path / ".venv").exists()
        assert done.returncode != 0  # the environment that it makes has no Python here
        said = " ".join(done.stdout.replace("\\\n", " ").split())
        assert said.startswith(f"+ {expected}"), done.stdout
        first = expected.partition(" &&")[0]
        assert said.endswith(f"ran {first}")
