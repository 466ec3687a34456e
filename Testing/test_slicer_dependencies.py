"""What is missing in Slicer's Python, what is asked and installed, and what a failure says."""

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from slicer_fixtures import MODULE

from scripted_models.errors import Cancelled, ResourceError

# isort: split
from BrainTumorSegLib.child_errors import written_lines
from BrainTumorSegLib.dependencies import ensure, missing, question
from BrainTumorSegLib.dependency_errors import Declined, DependencyError, RestartNeeded
from BrainTumorSegLib.packages import (
    REQUIREMENTS,
    InstallationFailed,
    Need,
    Package,
    monai_requirement,
    version_key,
)

GOOD = {"torch": Package("2.8.0"), "monai": Package("1.6.1"), "numpy": Package("2.4.6")}
OFFLINE = [
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'",
    "ERROR: Could not find a version that satisfies the requirement monai (from versions: none)",
]


@dataclass
class Computer:
    """An `Installer` over a dictionary; `offers` are the versions that an installation leaves."""

    packages: dict[str, Package] = field(default_factory=lambda: {"numpy": Package("2.4.6")})
    offers: dict[str, str] = field(default_factory=lambda: {"torch": "2.8.0+cpu"})
    answers: bool = True
    testing: bool = False
    extension: bool = True
    nvidia: bool = False
    free: float = 100.0
    log: list[str] | None = None
    python: str = "/slicer/bin/PythonSlicer"
    questions: list[str] = field(default_factory=list)
    installed: list[tuple[str, str]] = field(default_factory=list)

    def package(self, name):
        return self.packages.get(name, Package())

    def may_install(self):
        return not self.testing

    def has_pytorch_extension(self):
        return self.extension

    def has_nvidia_gpu(self):
        return self.nvidia

    def free_disk_gb(self):
        return self.free

    def ask(self, text):
        self.questions.append(text)
        return self.answers

    def install(self, name, requirement):
        self.installed.append((name, requirement))
        if self.log is not None:
            raise InstallationFailed(self.log)
        fitting = SpecifierSet(requirement).filter(["1.3.2", "1.4.1", "1.5.2", "1.6.1"])
        version = self.offers.get(name, str(max(fitting, key=Version, default="")))
        self.packages[name] = Package(version)


def sentence(computer, kind=DependencyError):
    """The text of the error, after checks that hold for all of them."""
    with pytest.raises(kind) as caught:
        ensure(computer)
    text = str(caught.value)
    assert text == caught.value.problem.sentence
    assert caught.value.action
    assert isinstance(caught.value, ResourceError | Cancelled)
    return text


class TestDecisions:
    def test_nothing_is_asked_or_installed_when_all_fits(self):
        computer = Computer(dict(GOOD), testing=True, extension=False, free=0)
        ensure(computer)
        assert computer.questions == computer.installed == []

    def test_both_are_asked_for_once_and_installed_torch_first(self):
        computer = Computer()
        ensure(computer)
        assert computer.installed == [("torch", ">=2.2"), ("monai", ">=1.4")]
        (text,) = computer.questions
        assert "PyTorch 2.2 or newer (about 0.2 GB)" in text
        assert "MONAI 1.4 or newer (about 2 MB)" in text
        assert missing(computer) == []

    @pytest.mark.parametrize(
        ("torch", "requirement", "monai"),
        [("2.2.2", ">=1.4,<1.5", "1.4.1"), ("2.6.0+cu124", ">=1.4,<1.6", "1.5.2")],
    )
    def test_monai_is_chosen_for_the_torch_that_came(self, torch, requirement, monai):
        computer = Computer({"numpy": Package("1.26.4")}, {"torch": torch})
        ensure(computer)
        assert computer.installed[1] == ("monai", requirement)
        assert computer.packages["monai"].version == monai
        assert len(computer.questions) == 1

    def test_monai_that_is_too_new_for_the_installed_torch_is_replaced_after_a_question(self):
        computer = Computer({**GOOD, "torch": Package("2.5.1")})
        ensure(computer)
        assert computer.installed == [("monai", ">=1.4,<1.6")]
        assert "MONAI 1.4 or newer but below 1.6, replaces 1.6.1" in computer.questions[0]

    def test_monai_that_turns_out_too_new_after_torch_came_is_asked_for_separately(self):
        computer = Computer({"numpy": Package("2.1.0"), "monai": Package("1.6.1")})
        computer.offers["torch"] = "2.4.0"
        ensure(computer)
        assert [len(re.findall("^- ", text, re.M)) for text in computer.questions] == [1, 1]
        assert computer.packages["monai"].version == "1.4.1"

    @pytest.mark.parametrize("found", [Package("1.3.2"), Package("1.6.1", broken=True)])
    def test_old_or_broken_monai_is_replaced(self, found):
        computer = Computer({**GOOD, "monai": found})
        ensure(computer)
        assert computer.installed == [("monai", ">=1.4")]

    def test_extension_pytorch_and_disk_do_not_matter_for_monai_alone(self):
        computer = Computer({**GOOD, "monai": Package()}, extension=False, free=0.1)
        ensure(computer)
        assert computer.packages["monai"].version == "1.6.1"

    def test_question_names_the_larger_download_for_nvidia(self):
        assert "3 GB" in question([Need("torch", ">=2.2")], nvidia=True)
        assert "3 GB" not in question([Need("torch", ">=2.2")], nvidia=False)

    def test_requirements_file_says_what_is_used(self):
        lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
        stated = [line for line in lines if line and not line.startswith("#")]
        assert stated == [name + requirement for name, requirement in REQUIREMENTS.items()]

    def test_requirements_are_those_of_the_package(self):
        pyproject = (MODULE.parent / "pyproject.toml").read_text(encoding="utf-8")
        assert all(f'"{name}{spec}"' in pyproject for name, spec in REQUIREMENTS.items())


class TestBrainExtraction:
    def test_is_asked_for_only_where_a_skull_is_to_be_stripped(self):
        computer = Computer(dict(GOOD), {"deepbet": "1.0.2"}, extension=False, free=0)
        ensure(computer)
        assert computer.questions == []
        ensure(computer, brain_extraction=True)
        assert computer.installed == [("deepbet", "==1.0.2")]
        (text,) = computer.questions
        assert "- deepbet 1.0.2 (about 15 MB, finds the brain in volumes with skull)" in text
        ensure(computer, brain_extraction=True)
        assert len(computer.questions) == 1

    def test_comes_with_the_others_after_one_question(self):
        computer = Computer(offers={"torch": "2.8.0", "deepbet": "1.0.2"})
        ensure(computer, brain_extraction=True)
        assert [name for name, _ in computer.installed] == ["torch", "monai", "deepbet"]
        assert len(computer.questions) == 1

    @pytest.mark.parametrize("found", [Package("1.0.1"), Package("1.0.2", broken=True)])
    def test_another_version_or_a_broken_one_is_replaced(self, found):
        computer = Computer({**GOOD, "deepbet": found}, {"deepbet": "1.0.2"})
        ensure(computer, brain_extraction=True)
        assert computer.packages["deepbet"] == Package("1.0.2")
        assert "deepbet 1.0.2, replaces" in computer.questions[0]

    def test_no_says_what_else_can_be_done(self):
        with pytest.raises(Declined) as caught:
            ensure(Computer(dict(GOOD), answers=False), brain_extraction=True)
        assert str(caught.value) == (
            "Found no consent to install deepbet, expected consent, because a skull has to be "
            "stripped; press Segment again to be asked again, choose stripped volumes, or uncheck "
            "'Prepare raw volumes'."
        )

    @pytest.mark.parametrize("packages", [GOOD, {"numpy": Package("2.4.6")}])
    def test_its_command_leaves_out_what_its_window_needs(self, packages):
        with pytest.raises(DependencyError) as caught:
            ensure(Computer(dict(packages), testing=True), brain_extraction=True)
        assert '-m pip install --no-deps "deepbet==1.0.2" or start' in str(caught.value)
        assert ('install "torch>=2.2" "monai>=1.4" and' in str(caught.value)) == (
            packages is not GOOD
        )


class TestSentences:
    def test_missing_extension_sends_to_the_extensions_manager(self):
        computer = Computer(extension=False)
        text = sentence(computer)
        assert "Extensions Manager" in text
        assert "restart" in text
        assert computer.questions == []

    def test_old_torch_is_named_with_what_is_needed(self):
        computer = Computer({**GOOD, "torch": Package("2.0.1+cpu")})
        text = sentence(computer)
        assert "2.0.1+cpu" in text
        assert "expected 2.2 or newer; open the module PyTorch Utils" in text
        assert computer.installed == []

    @pytest.mark.parametrize("broken", [False, True])
    def test_loaded_torch_must_be_let_go_before_it_is_removed(self, broken):
        torch = Package("2.0.1", broken, loaded="2.0.1")
        assert "restart Slicer, open the module" in sentence(Computer({**GOOD, "torch": torch}))

    def test_broken_torch_must_be_uninstalled(self):
        text = sentence(Computer({**GOOD, "torch": Package("2.8.0", broken=True)}))
        assert "with missing files" in text
        text = sentence(Computer({**GOOD, "torch": Package("", broken=True)}))
        assert "of unknown version" in text

    def test_torch_still_in_memory_but_not_on_disk_needs_a_restart(self):
        computer = Computer({"torch": Package(loaded="2.1.0")})
        text = sentence(computer, RestartNeeded)
        assert "PyTorch 2.1.0 in memory" in text
        assert computer.installed == []

    def test_torch_of_numpy_1_with_numpy_2_tells_the_command(self):
        computer = Computer({**GOOD, "torch": Package("2.2.2"), "monai": Package("1.4.0")})
        assert '"/slicer/bin/PythonSlicer" -m pip install "numpy<2"' in sentence(computer)
        computer.packages["numpy"] = Package("1.26.4")
        ensure(computer)

    def test_no_means_no(self):
        computer = Computer(answers=False)
        text = sentence(computer, Declined)
        assert "no consent to install PyTorch and MONAI" in text
        assert computer.installed == []

    def test_nothing_is_asked_in_testing_mode(self):
        computer = Computer(testing=True)
        text = sentence(computer)
        assert "in tests" in text
        assert '-m pip install "torch>=2.2" "monai>=1.4" or start' in text
        assert computer.questions == computer.installed == []

    @pytest.mark.parametrize(("nvidia", "needed"), [(False, "2 GB"), (True, "10 GB")])
    def test_full_disk_is_seen_before_the_download(self, nvidia, needed):
        computer = Computer(free=1.5, nvidia=nvidia)
        text = sentence(computer)
        assert "1.5 GB left" in text
        assert f"expected {needed}" in text
        assert computer.questions == []

    @pytest.mark.parametrize("name", ["torch", "monai"])
    def test_offline_gives_the_command_for_wheels(self, name):
        computer = Computer(dict(GOOD) | {name: Package()}, log=OFFLINE)
        text = sentence(computer)
        assert "no connection" in text
        alone = "--no-deps " if name == "monai" else ""
        command = (
            f'-m pip install --no-index --find-links FOLDER {alone}"{name}{REQUIREMENTS[name]}"'
        )
        assert command in text

    @pytest.mark.parametrize("log", [["Collecting x", "ERROR: disk full", "[notice] pip"], []])
    def test_other_failures_show_the_last_error_and_keep_the_log(self, log):
        computer = Computer(log=log)
        text = sentence(computer)
        assert ("(ERROR: disk full)" if log else "(it said nothing)") in text
        with pytest.raises(DependencyError) as caught:
            ensure(computer)
        assert written_lines(caught.value) == tuple(log)

    def test_installation_that_leaves_nothing_ends_with_a_restart(self):
        computer = Computer({**GOOD, "monai": Package()}, {"monai": ""})
        assert "no MONAI after its installation" in sentence(computer, RestartNeeded)
        assert len(computer.installed) == 1


VERSIONS = st.builds(
    lambda release, early, local: ".".join(map(str, release)) + early + local,
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
    st.sampled_from(["", "", "a1", "b2", "rc1", ".dev20260101", ".post1"]),
    st.sampled_from(["", "+cpu", "+cu128"]),
)


@given(VERSIONS, VERSIONS)
def test_versions_sort_as_packaging_sorts_them(first, second):
    ordinary = [Version(v.partition("+")[0].partition(".post")[0]) for v in (first, second)]
    stages = [version.is_prerelease for version in ordinary]
    if all(stages) and ordinary[0].release == ordinary[1].release:
        return  # two candidates of one release: not told apart
    keys = [version_key(v) for v in (first, second)]
    assert (keys[0] < keys[1]) == (ordinary[0] < ordinary[1])


@given(VERSIONS, VERSIONS)
def test_monai_requirement_is_one_that_pip_reads(torch, monai):
    limits = SpecifierSet(monai_requirement(torch))
    assert Version("1.4.0") in limits
    assert (Version("1.5.0") in limits) == (version_key(torch) >= version_key("2.4.1"))
    assert (Version("1.6.0") in limits) == (version_key(torch) >= version_key("2.8"))
