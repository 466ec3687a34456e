"""Tables of patients, and that no split, fold or site puts a patient on both sides."""

from pathlib import Path

import numpy as np
import pytest
from case_trees import YEAR_2021, values_of, write, write_images
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.cases.patient_table import patient_warnings, patients_of, read_patients
from scripted_models.cases.patients import patient_name
from scripted_models.errors import InputError
from scripted_models.experiments.folds import fold_warnings, folds_of
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.tasks.brains.case_split import split_cases, split_folds, split_warnings
from scripted_models.training.experiment_config import DataConfig, Experiment

ROWS = [("a", "X"), ("b", "x"), ("c", "Y"), ("d", "Z, of site 2")]


def table(folder: Path, text: str, name="patients.tsv", encoding="utf-8") -> str:
    (folder / name).write_text(text, encoding=encoding)
    return str(folder / name)


@pytest.mark.parametrize("sign", ["\t", ";"])
@pytest.mark.parametrize(
    "titles", [("case", "patient"), ("patient_id", "case"), ("Name", "Participant_ID", "age")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_table(tmp_path, sign, titles, encoding):
    first_is_case = titles[0].lower() in ("case", "name")
    rows = [row if first_is_case else row[::-1] for row in ROWS]
    text = "\r\n".join(sign.join(row) for row in [titles, *rows]) + "\r\n\r\n"
    assert read_patients(Path(table(tmp_path, text, encoding=encoding))) == dict(ROWS)


def test_table_with_commas(tmp_path):
    path = table(tmp_path, 'case,patient\na,X\nd,"Z, of site 2"\n', "p.csv")
    assert read_patients(Path(path)) == {"a": "X", "d": "Z, of site 2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "columns of nothing"),
        ("a\tX\nb\tY\n", "the columns a and x, expected one column 'case'"),
        ("case\tcase\tpatient\na\tb\tc\n", "the columns case, case and patient"),
        ("case\tpatient\na\tX\na\tX\n", "a second row of case a in row 3"),
        ("case\tpatient\na\tX\na\tY\n", "a second row of case a in row 3"),
        ("case\tpatient\na\t\n", "an empty cell in row 2"),
        ("case\tpatient\n\n a\n", "an empty cell in row 2"),
    ],
)
def test_tables_that_cannot_be(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_patients(Path(table(tmp_path, text)))


def test_no_table(tmp_path):
    (tmp_path / "x.tsv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "no.tsv", tmp_path, tmp_path / "x.tsv"):
        with pytest.raises(InputError, match="no table that can be read"):
            read_patients(path)


def test_cases_and_table_must_fit(tmp_path):
    path = table(tmp_path, "case\tpatient\n" + "".join(f"{c}\t{p}\n" for c, p in ROWS))
    assert patients_of("abcd", path) == dict(ROWS)
    with pytest.raises(InputError, match="no patient of e, f, g, h, i and 2 more, expected each"):
        patients_of("abcefghijk", path)
    assert patient_warnings("abcd", path) == []
    assert patient_warnings("ab", path) == [
        f"{path}: c and d are no cases of the data that can be used."
    ]
    assert "may be of one patient" in patient_warnings(["p1_x", "p1_y", "p2_x"])[0]


def test_the_table_decides_the_split(tmp_path):
    names = [f"{kind}{i}" for i in range(6) for kind in ("left", "right")]
    path = table(tmp_path, "case\tpatient\n" + "".join(f"{n}\tP{n[-1]}\n" for n in names))
    split = split_cases(DataConfig(test_every=3, validation_every=3, patients=path), names)
    parts = [{name[-1] for name in part} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 6
    with pytest.raises(
        InputError, match=r"patient P0 for two parts: left0 in data\.train and right0"
    ):
        split_cases(DataConfig(train=("left0",), test=("right0",), patients=path), names)
    other = table(tmp_path, "case\tpatient\n" + "".join(f"{n}\t{n}\n" for n in names), "o.tsv")
    assert split_cases(DataConfig(train=("left0",), test=("right0",), patients=other), names)


NAMES = st.one_of(
    st.builds("sub-{:02d}_ses-{}".format, st.integers(0, 6), st.integers(1, 3)),
    st.builds("UPENN-GBM-{:05d}_{}".format, st.integers(0, 6), st.sampled_from((11, 21))),
    st.builds("P{}_2020{:02d}15".format, st.integers(0, 6), st.integers(1, 12)),
    st.builds("Patient-{:03d}_week-{:03d}".format, st.integers(0, 6), st.integers(0, 99)),
)


@given(
    names=st.lists(NAMES, min_size=2, max_size=40, unique=True),
    test=st.integers(0, 4),
    validation=st.integers(0, 4),
    listed=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_no_split_puts_a_patient_on_both_sides(names, test, validation, listed, seed):
    data = DataConfig(
        test_every=test, validation_every=validation, test=tuple(names[:listed]), split_seed=seed
    )
    try:
        split = split_cases(data, names)
    except InputError as error:
        assert "none is left" in str(error)  # noqa: PT017
        return
    parts = [
        {patient_name(n) for n in part} for part in (split.train, split.validation, split.test)
    ]
    assert sum(map(len, parts)) == len(set().union(*parts))


def plant(root: Path, *names: str) -> Path:
    """Write cases, each in the folder of its name: P1/week-0 is a folder in a folder."""
    for name in names:
        write_images(root, name + "/{}.nii.gz", YEAR_2021)
        write(root / name / "seg.nii.gz", values_of("brats2021"))
    return root


def test_time_points_in_folders_of_patients(tmp_path):
    folders = [f"Patient-{p:03d}/week-{w:03d}" for p in range(4) for w in (p, p + 10)]
    root = plant(tmp_path / "data", *folders)
    experiment = Experiment(data=DataConfig(folds=2, validation_every=0))
    folds = split_folds(experiment, root)
    assert len({name for fold in folds for name in fold.data.validation}) == 8
    for fold in folds:
        trained, validated = ({n[:11] for n in p} for p in (fold.data.train, fold.data.validation))
        assert trained | validated == {f"Patient-{p:03d}" for p in range(4)}
        assert not trained & validated
    for part in folds_of(root, 2).values():
        assert len(part) == 2 * len({name[:11] for name in part})


def test_folds_by_table(tmp_path):
    root = plant(tmp_path / "data", *(f"c{i}" for i in range(6)))
    path = table(tmp_path, "case\tpatient\n" + "".join(f"c{i}\tP{i % 3}\n" for i in range(6)))
    folds = folds_of(root, 3, patients=path)
    assert sorted(folds.values()) == [["c0", "c3"], ["c1", "c4"], ["c2", "c5"]]


def test_folds_by_groups_of_a_table(tmp_path):
    """A patient is of one group only; cases without a group are in no fold."""
    root = plant(tmp_path / "data", *(f"c{i}" for i in range(7)))
    patients = table(tmp_path, "case\tpatient\n" + "".join(f"c{i}\tP{i // 2}\n" for i in range(7)))
    path = tmp_path / "groups.csv"
    rows = ["c0,2,low", "c1,3,high", "c2,2,low", "c3,2,low", "c4,3,high", "c6,3,", "other,2,high"]
    path.write_text("\n".join(["Case,Site,Kind", *rows]), encoding="utf-8")
    folds = folds_of(root, patients=patients, groups=(str(path), "kind"))
    assert folds == {"high": ["c0", "c1", "c4", "c5"], "low": ["c2", "c3"]}
    assert folds_of(root, groups=(str(path), "site")) == {
        "2": ["c0", "c2", "c3"],
        "3": ["c1", "c4", "c6"],
    }


def groups_of(folder: Path, *rows: str, titles="case,site") -> tuple[str, str]:
    """Write a table of groups; its column is 'site'."""
    return table(folder, "\n".join([titles, *rows]), "groups.csv"), "site"


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        (["c0,a", "c1,b"], "kind", "one column 'case' and one column 'kind'"),
        (["c0,a", "c1,a"], "site", "a single group in the column 'site'"),
        (["c0,", "c1,"], "site", "no group in the column 'site'"),
        (["c0,a", "c0,b"], "site", r"another group of case c0 \('b' after 'a'\) in row 3"),
        (["c0,a", "c0,", "c1,b"], "site", r"another group of case c0 \('' after 'a'\) in row 3"),
        (["c0,a", ",b"], "site", "no case in row 3, expected the name of a case in each row"),
        (["x,a", "y,b"], "site", "0 of its groups among the 2 usable cases"),
        (["c0,a", "y,b"], "site", "1 of its groups among the 2 usable cases"),
        (["c0,a/b", "c1,b"], "site", "a group 'a/b', expected a name for a folder: at most"),
        (["c0,aux", "c1,b"], "site", "a group 'aux'"),
        (["c0,a", "c1,Models"], "site", "a group 'Models', expected another name than cases,"),
        (["c0,high", "c1,High"], "site", "the groups 'High' and 'high', expected names that"),
    ],
)
def test_tables_of_groups_that_are_none(rows, column, message, tmp_path):
    root = plant(tmp_path / "data", "c0", "c1")
    path, _ = groups_of(tmp_path, *rows)
    with pytest.raises(InputError, match=message):
        folds_of(root, groups=(path, column))


@pytest.mark.parametrize("name", ["cases", "TABLE", "scores", "Worst", "models"])
def test_no_group_or_site_is_another_folder_of_the_output(name, tmp_path):
    root = plant(tmp_path / "data", "c0", f"{name}_1")
    with pytest.raises(InputError, match=f"a group '{name}'"):
        folds_of(root, groups=groups_of(tmp_path, "c0,a", f"{name}_1,{name}"))
    with pytest.raises(InputError, match=rf"a site '{name}'.*--groups"):
        folds_of(root)


def test_sites_that_differ_in_capitals_only(tmp_path):
    root = plant(tmp_path / "data", "Bonn_1", "bonn_2", "Ulm_1")
    with pytest.raises(InputError, match="the sites 'Bonn' and 'bonn'"):
        folds_of(root)


def test_other_columns_and_repeated_rows_of_groups(tmp_path):
    """A column 'name' or 'scan' is no second column of cases; a row may stand twice."""
    root = plant(tmp_path / "data", "c0", "c1")
    rows = ("c0,Ann,2,a", "c1,Eve,1,b", "c0,Ann,1,a")
    groups = groups_of(tmp_path, *rows, titles="case,name,scan,site")
    assert folds_of(root, groups=groups) == {"a": ["c0"], "b": ["c1"]}
    with pytest.raises(InputError, match="one column 'case' and one column 'site'"):
        folds_of(root, groups=groups_of(tmp_path, "c0,a", "c1,b", titles="name,site"))


def test_what_groups_leave_open_is_said(tmp_path):
    """Cases that are not there, that go with their patient's group, and that are never tested."""
    root = plant(tmp_path / "data", "P1_a", "P1_b", "P1_c", "P2_a", "P3_a")
    cases = ("P1_a", "P1_b", "P1_c", "P2_a", "P3_a")
    patients = table(tmp_path, "case\tpatient\n" + "".join(f"{c}\t{c[:2]}\n" for c in cases))
    groups = groups_of(tmp_path, "P1_a,high", "P1_b,low", "P1_c,", "P2_a,low", "x,low", "y,")
    folds = folds_of(root, patients=patients, groups=groups)
    assert folds == {"high": ["P1_a", "P1_b", "P1_c"], "low": ["P2_a"]}
    unknown, moved, untested = fold_warnings(root, folds, groups)
    assert unknown == f"{groups[0]}: x and y are no cases of the data that can be used."
    assert moved.startswith("The case(s) P1_b are tested with another group than their own")
    assert untested.startswith("1 of 5 cases are in no group")
    assert untested.endswith("never tested: P3_a.")
    groups = groups_of(tmp_path, *(f"{case},low" for case in cases), "P4,high")
    assert len(list(fold_warnings(root, {"low": list(cases)}, groups))) == 1


def test_a_single_group_because_of_patients(tmp_path):
    root = plant(tmp_path / "data", "c0", "c1", "c2")
    patients = table(tmp_path, "case\tpatient\nc0\tP\nc1\tP\nc2\tQ\n")
    groups = groups_of(tmp_path, "c0,a", "c1,b", "c2,a")
    with pytest.raises(InputError, match="only the group 'a', because the patients of c1 have"):
        folds_of(root, patients=patients, groups=groups)


def test_what_is_left_out_is_said(tmp_path):
    root = plant(
        tmp_path / "data", "sub-01_ses-1", "sub-01_ses-2", "sub-02", "sub-03", "q1_a", "q1_b"
    )
    write_images(root, "sub-09/{}.nii.gz", YEAR_2021)
    write(root / "sub-08" / "t1.nii.gz", np.ones((3, 4, 4), np.uint8))
    said = list(split_warnings(DataConfig(test=("sub-01_ses-1",), validation_every=0), root))
    assert len(said) == 3
    assert said[0] == "2 of 8 cases lack ground truth and are not used: sub-08, sub-09."
    assert "sub-01_ses-2 are left out, because other cases of the same patients" in said[1]
    assert "The cases q1_a and q1_b may be of one patient" in said[2]
    experiment = Experiment(data=DataConfig(validation_every=0))
    assert len(list(BrainsTask().warnings(experiment, root))) == 1  # all train
    assert len(list(BrainsTask().warnings(experiment, root, parted=True))) == 2
