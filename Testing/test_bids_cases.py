"""BIDS data sets as cases: which files count, which sequence they are, and when they were made."""

import json
import shutil
import subprocess

import pytest
from bids_fixtures import describe, put, validator_errors, write_session

from scripted_models.cases.bids.ignore_file import IgnoreFile
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import tell_ignored
from scripted_models.cases.skipped_files import skipped_files
from scripted_models.errors import InputError

A = "sub-01/anat/sub-01"


@pytest.fixture
def root(tmp_path):
    return describe(tmp_path / "data")


def images_of(root):
    """Return the images of the one case of a data set: sequence -> name after the subject."""
    (case,) = find_cases(root)
    case.require_images(list(case.images))
    return {m: s.path.name[len("sub-01_") : -len(".nii.gz")] for m, s in case.images.items()}


def told(root):
    return " ".join(tell_ignored(find_cases(root)))


class TestDataSet:
    def test_subjects_and_sessions_are_cases_and_the_validator_knows_the_set(self, root):
        for subject, session in (("01", "a"), ("01", "b"), ("02", "")):
            write_session(root, subject, session)
        found = find_cases(root)
        assert [case.name for case in found] == ["sub-01_ses-a", "sub-01_ses-b", "sub-02"]
        assert not any(case.missing or case.problems or case.ignored for case in found)
        assert {source.path.parent.name for case in found for source in case.images.values()} == {
            "anat"
        }
        assert validator_errors(root) == []
        assert [case.name for case in find_cases(root / "sub-01/ses-b")] == ["sub-01_ses-b"]

    @pytest.mark.parametrize("folder", ["derivatives/x", "sourcedata", "code", ".hidden"])
    def test_copies_in_other_folders_are_left_out(self, root, folder):
        anat = write_session(root, "01")
        shutil.copytree(anat, root / folder / "sub-01/anat")
        (case,) = find_cases(root)
        assert not case.problems
        assert {source.path.parent for source in case.images.values()} == {anat}
        sentences = [problem.sentence for problem in skipped_files(root, [case])]
        expected = f"4 volume(s) left out because {folder.split('/')[0]}/ holds no images"
        assert len(sentences) == (not folder.startswith("."))
        assert all(expected in sentence for sentence in sentences)

    def test_without_a_description_it_is_read_by_its_names(self, root):
        anat = write_session(root, "01")
        shutil.copytree(anat, root / "derivatives/x/sub-01/anat")
        (root / "dataset_description.json").unlink()
        assert len(find_cases(root)) == 2

    def test_an_experts_label_map_may_be_a_derivative(self, root):
        write_session(root, "01")
        truth = put(root, "derivatives/manual/sub-01/anat/sub-01_desc-manual_dseg")
        put(root, "derivatives/net/sub-01/anat/sub-01_ce-gadolinium_seg-glioma_dseg")
        (case,) = find_cases(root)
        assert case.truth == truth

    def test_the_ignore_file_is_followed(self, root):
        write_session(root, "01")
        write_session(root, "02")
        put(root, f"{A}_acq-fine_T1w", (90, 90, 90), (0.1, 0.1, 0.1))
        (root / ".bidsignore").write_text("*_acq-fine_*\nsub-02/\n")
        (case,) = found = find_cases(root)
        assert case.name == "sub-01"
        assert case.images["t1"].path.name == "sub-01_T1w.nii.gz"
        (problem,) = skipped_files(root, found)
        assert "5 volume(s) left out because .bidsignore says so" in problem.sentence

    def test_a_name_that_contradicts_its_folder_is_left_out(self, root):
        write_session(root, "01")
        put(root, "sub-01/anat/sub-02_T1w")
        assert [case.name for case in find_cases(root)] == ["sub-01"]
        assert "its name is of sub-02 and its folder of sub-01" in told(root)


PATTERNS = (
    "*.nii\n", "a/\n", "/a\n", "a/*\n", "a/**\n", "**/b\n", "a/**/b.nii\n", "b\n!a/b\n",
    "[ab].nii\n", "# a\n\n a \n", "?.nii\n", "[!a].nii\n", "a\n!a/b.nii\n!a\n",
)  # fmt: skip
PATHS = ("a", "a.nii", "b.nii", "c.nii", "a/b", "a/b.nii", "c/a", "c/b", "c/a/b.nii", "a/c/b.nii")


@pytest.mark.parametrize("lines", PATTERNS)
def test_patterns_mean_what_they_mean_to_git(tmp_path, lines):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / ".bidsignore").write_text(lines)
    own = [path for path in PATHS if IgnoreFile(tmp_path).ignores(path)]
    call = ["git", "-c", f"core.excludesFile={tmp_path / '.bidsignore'}", "check-ignore"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    made = subprocess.run(
        [*call, "--no-index", "--stdin"], cwd=tmp_path, input="\n".join(PATHS), capture_output=True,
        text=True,
    )  # fmt: skip
    assert own == made.stdout.split()


NAMES = {
    **dict.fromkeys(["ce-gadolinium", "ce-Gd", "acq-mprage_ce-GBCA_run-1"], "t1c"),
    **dict.fromkeys(["acq-post", "acq-gd"], "t1c"),
    **dict.fromkeys(["ce-none", "acq-mprage", "acq-dixon", "acq-tumor_rec-n", "acq-adc"], "t1"),
}


class TestSequence:
    """T1w is with contrast medium by `ce`, by other words of its name, or by its sidecar."""

    @pytest.mark.parametrize(
        ("name", "sequence"),
        NAMES.items(),
    )
    def test_by_name(self, root, name, sequence):
        put(root, f"{A}_{name}_T1w")
        put(root, f"{A}_T2w")
        assert images_of(root) == {sequence: f"{name}_T1w", "t2": "T2w"}

    @pytest.mark.parametrize("key", ["ContrastBolusIngredient", "ContrastBolusAgent"])
    def test_by_sidecar(self, root, key):
        put(root, f"{A}_run-1_T1w")
        put(root, f"{A}_run-2_T1w", **{key: "GADOLINIUM"})
        assert images_of(root) == {"t1": "run-1_T1w", "t1c": "run-2_T1w"}

    def test_by_a_sidecar_above_that_a_nearer_one_overrides(self, root):
        (root / "T1w.json").write_text(json.dumps({"ContrastBolusAgent": "Dotarem"}))
        put(root, f"{A}_run-1_T1w", ContrastBolusAgent="none")
        put(root, f"{A}_run-2_T1w")
        assert images_of(root) == {"t1": "run-1_T1w", "t1c": "run-2_T1w"}

    @pytest.mark.parametrize("content", ['{"ContrastBolusAgent": "Dotarem"', "[]"])
    def test_a_sidecar_that_cannot_be_read_is_told_once(self, root, content):
        (root / "T1w.json").write_text(content)
        put(root, f"{A}_acq-gd_T1w")
        put(root, f"{A}_acq-fast_T1w")
        assert images_of(root) == {"t1": "acq-fast_T1w", "t1c": "acq-gd_T1w"}
        assert told(root).count("T1w.json was ignored: it cannot be read") == 1

    def test_what_all_images_of_a_session_have_says_nothing(self, root):
        for name in ("T1w", "T2w", "FLAIR"):
            put(root, f"{A}_{name}", ContrastBolusAgent="Dotarem")
        assert set(images_of(root)) == {"t1", "t2", "flair"}

    @pytest.mark.parametrize("part", ["phase", "real", "imag"])
    def test_other_parts_of_an_image_are_left_out(self, root, part):
        put(root, f"{A}_part-mag_T1w")
        put(root, f"{A}_part-{part}_T1w")
        put(root, f"{A}_FLAIR")
        assert images_of(root) == {"t1": "part-mag_T1w", "flair": "FLAIR"}
        assert f"it is the part '{part}'" in told(root)

    def test_other_contrasts_are_none(self, root):
        for suffix in ("T1w", "T2starw", "PDw", "T1map", "inplaneT2", "UNIT1"):
            put(root, f"{A}_{suffix}")
        put(root, "sub-01/func/sub-01_task-rest_bold")
        put(root, "sub-01/perf/sub-01_acq-T2w_m0scan")
        assert images_of(root) == {"t1": "T1w"}


THICK, FINE = (1.0, 1.0, 2.0), (0.5, 0.5, 1.0)


class TestChoice:
    """Of several images of a sequence a stated rule chooses, and says what decided."""

    @pytest.mark.parametrize(
        ("other", "better", "why"),
        [
            (("ce-gd_T2w", (6, 5, 4), FINE), ("T2w", (6, 5, 4), THICK), "without contrast medium"),
            (("acq-a_T2w", (6, 5, 2), FINE), ("acq-b_T2w", (6, 5, 4), THICK), "covers more"),
            (("acq-a_T2w", (6, 5, 4), THICK), ("acq-b_T2w", (6, 5, 4), (1, 1, 1)), "are thinner"),
            (("acq-a_T2w", (6, 5, 4), (1, 1, 1)), ("acq-b_T2w", (6, 5, 4), (0.9, 0.9, 1)), "finer"),
            (("run-1_T2w", (6, 5, 4), FINE), ("run-2_T2w", (6, 5, 4), FINE), "the later run"),
            (("run-9_T2w", (6, 5, 4), FINE), ("run-10_T2w", (6, 5, 4), FINE), "the later run"),
            (("rec-x_T2w", (6, 5, 4), FINE), ("T2w", (6, 5, 4), FINE), "its name is shorter"),
        ],
    )
    def test_the_rule(self, root, other, better, why):
        put(root, f"{A}_T1w")
        for name, size, spacing in (other, better):
            put(root, f"{A}_{name}", size, spacing)
        assert images_of(root)["t2"] == better[0]
        assert f"'{better[0]}' was taken for T2: " in told(root)
        assert why in told(root)

    def test_a_later_acquisition_comes_before_a_higher_run(self, root):
        for run, time in ((1, "2001-01-01T12:00:00"), (2, "2001-01-01T09:00:00")):
            put(root, f"{A}_run-{run}_T2w")
            with (root / "sub-01/sub-01_scans.tsv").open("a") as table:
                head = "filename\tacq_time\n" if run == 1 else ""
                table.write(f"{head}anat/sub-01_run-{run}_T2w.nii.gz\t{time}\n")
        put(root, f"{A}_FLAIR")
        assert images_of(root)["t2"] == "run-1_T2w"
        assert "it is the later one" in told(root)

    def test_a_damaged_file_is_not_taken(self, root):
        put(root, f"{A}_run-1_T2w")
        put(root, f"{A}_run-2_T2w").write_bytes(b"damaged")
        put(root, f"{A}_FLAIR")
        assert images_of(root)["t2"] == "run-1_T2w"
        assert "sub-01_run-2_T2w.nii.gz was ignored" in told(root)

    @pytest.mark.parametrize("entity", ["echo-1", "space-MNI", "desc-brain", "dir-AP"])
    def test_images_that_differ_in_anything_else_are_refused(self, root, entity):
        put(root, f"{A}_T2w")
        put(root, f"{A}_{entity}_T2w")
        put(root, f"{A}_FLAIR")
        with pytest.raises(InputError, match="2 files for t2"):
            images_of(root)

    def test_the_same_names_in_many_cases_are_one_sentence(self, root):
        for number in range(3):
            start = f"sub-0{number}/anat/sub-0{number}"
            for name in ("run-1_T1w", "run-2_T1w", "FLAIR"):
                put(root, f"{start}_{name}")
        (sentence,) = tell_ignored(find_cases(root))
        assert sentence.startswith("3 files such as <case>_run-1_T1w.nii.gz were ignored: 'run-2_")


class TestDates:
    @pytest.fixture
    def dates(self, root):
        for session in ("a", "b"):
            for suffix in ("T1w", "FLAIR"):
                put(root, f"sub-01/ses-{session}/anat/sub-01_ses-{session}_{suffix}")
        return lambda: [case.date for case in find_cases(root)]

    def test_of_the_table_of_sessions(self, root, dates):
        table = "session_id\tage\tacq_time\nses-b\t50\t2020-02-03T10:11:12.5\nses-a\t50\tn/a\n"
        (root / "sub-01/sub-01_sessions.tsv").write_text(table)
        assert dates() == ["", "2020-02-03"]
        assert validator_errors(root) == []

    def test_of_the_first_scan_where_the_sessions_have_none(self, root, dates):
        rows = "anat/sub-01_ses-b_FLAIR.nii.gz\t1903-05-06T07:08:09\n"
        rows += "anat/sub-01_ses-b_T1w.nii.gz\t1903-05-06T07:01:09Z\n"
        table = root / "sub-01/ses-b/sub-01_ses-b_scans.tsv"
        table.write_text(f"filename\tacq_time\n{rows}")
        assert dates() == ["", "1903-05-06"]

    def test_what_is_no_date_is_told(self, root, dates):
        table = "session_id\tacq_time\nses-a\tyesterday\n"
        (root / "sub-01/sub-01_sessions.tsv").write_text(table)
        assert dates() == ["", ""]
        assert "'yesterday' is no time such as 2009-06-15T13:45:30" in told(root)

    @pytest.mark.parametrize("content", ["", "acq_time\n", "session_id\nses-a\textra\n", "\udcff"])
    def test_a_table_of_another_kind_states_none(self, root, dates, content):
        table = root / "sub-01/sub-01_sessions.tsv"
        table.write_bytes(content.encode("utf-8", "surrogateescape"))
        assert dates() == ["", ""]
