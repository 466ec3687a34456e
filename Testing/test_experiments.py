"""The list of experiments: trained, tested, and set beside the paper's rows."""

import csv
import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.commands.train import EXPERIMENTS
from scripted_models.errors import InputError
from scripted_models.evaluation.havaei_rows import PAPER_ROWS
from scripted_models.experiments.runner import load_list
from scripted_models.networks import NETWORKS
from scripted_models.training.experiment_config import load_experiment

SHIPPED = sorted((EXPERIMENTS / "havaei2017").glob("*.toml"))
NAMES = ["Brats18_A_1_1", "Brats18_B_1_1", "Brats18_C_1_1"]
ROWS = ["LocalPathCNN", "LocalPathCNN_phase1", "GlobalPathCNN", "AverageCNN"]
FOLDED = ["LocalPathCNN", "GlobalPathCNN"]
COPIES = ("degraded", "transplanted")
SMALL = [
    "data.test_every=3",
    "data.validation_every=2",
    "data.validation_slices=1",
    "training.threads=1",
    "training.batch_size=1",
    "training.output_size=2",
    "training.phase1.epochs=1",
    "training.phase1.steps_per_epoch=1",
    "training.phase2.epochs=1",
    "training.phase2.steps_per_epoch=1",
    # Without N4, which takes seconds.
    'preprocessing=[{step="mark_brain"}, {step="crop_to_brain"}, {step="zscore"}]',
]


def run_rows(rows, data, output, *options):
    paths = [str(EXPERIMENTS / "havaei2017" / f"{row}.toml") for row in rows]
    start = ["experiments", *paths, "--data", str(data), "--output", str(output)]
    return main([*start, "--progress", "none", "--set", *SMALL, *options])


def run_folds(data, output, *options):
    paths = [str(EXPERIMENTS / "havaei2017" / f"{row}.toml") for row in FOLDED]
    start = ["experiments", *paths, "--data", str(data), "--output", str(output)]
    no_validation = ["data.validation_every=0", *(f"training.phase{n}.patience=0" for n in (1, 2))]
    small = ["--set", *SMALL, *no_validation]
    return main([*start, "--progress", "none", *options, *small])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, seed in zip(NAMES, (1, 2, 3), strict=True):
        write_small_case(folder, name, seed)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
    output = tmp_path_factory.mktemp("list")
    assert run_rows(ROWS[::-1], data, output) == 0
    return output


class TestShipped:
    def test_every_row_of_tables_one_and_two_has_an_experiment(self):
        rows = {load_experiment(path).paper_row for path in SHIPPED}
        assert rows == {row.method for row in PAPER_ROWS if row.table in (1, 2)}

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_they_differ_in_network_phases_and_rates_only(self, path):
        experiment, other = load_experiment(path), load_experiment(SHIPPED[0])
        assert experiment.name == path.stem
        assert experiment.network.name == path.stem.split("_")[0]
        assert experiment.network.name in NETWORKS
        assert experiment.training.phases == (1 if path.stem.endswith("phase1") else 2)
        assert experiment.preprocessing == other.preprocessing
        assert experiment.data == other.data
        rate = 0.005 if experiment.network.name == "LocalPathCNN" else 0.001
        rates = {"learning_rate": rate, "final_learning_rate": rate / 10}
        assert experiment.training.phase1 == replace(other.training.phase1, **rates)

    def test_parts_come_before_what_is_made_from_them(self):
        names = [experiment.name for experiment in load_list(SHIPPED)]
        for experiment in load_list(SHIPPED):
            for part in experiment.network.parts.values():
                assert names.index(part) < names.index(experiment.name)


class TestRun:
    def test_the_table_holds_every_row(self, finished):
        content = json.loads((finished / "table" / "table.json").read_text())
        text = json.dumps(content)
        assert all(row in text for row in ROWS)
        with (finished / "table" / "table.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert {"LocalPathCNN*", "LocalPathCNN", "GlobalPathCNN*", "AverageCNN*"} <= {
            value for row in rows for value in row.values()
        }
        for suffix in ("md", "html"):
            assert "LocalPathCNN" in (finished / "table" / f"table.{suffix}").read_text()

    def test_phase_one_is_trained_once_for_both_rows(self, finished):
        assert not (finished / "LocalPathCNN_phase1" / "checkpoint.pt").exists()
        report = next((finished / "LocalPathCNN_phase1" / "test").glob("*/report.json"))
        sums = (finished / "LocalPathCNN" / "model_phase1" / "models" / "SHA256SUMS").read_text()
        assert json.loads(report.read_text())["model"]["weights_sha256"] in sums

    def test_a_finished_list_is_not_done_again(self, finished, data):
        def written():
            patterns = ("*/checkpoint.pt", "*/test/*/segmentation.nii.gz", "cases/*/image.npy")
            return {p: p.stat().st_mtime_ns for g in patterns for p in finished.glob(g)}

        before = written()
        assert len(before) > 6
        assert run_rows(ROWS, data, finished) == 0
        assert written() == before

    def test_test_cases_are_unseen(self, finished):
        facts = json.loads((finished / "table" / "table.json").read_text())["facts"]
        test = set(facts["test cases"])
        assert test
        assert not test & {*facts["training cases"], *facts["validation cases"]}
        for row in ("LocalPathCNN", "GlobalPathCNN", "AverageCNN"):
            stated = load_model(str(finished / row / "model")).description.training
            assert not test & {*stated.train, *stated.validation}


class TestFolds:
    @pytest.fixture(scope="class")
    @staticmethod
    def validated(data, tmp_path_factory):
        output = tmp_path_factory.mktemp("folds")
        assert run_folds(data, output, "--folds", "3") == 0
        return output

    def test_every_case_is_tested_once_by_networks_that_never_saw_it(self, validated):
        facts = json.loads((validated / "table" / "table.json").read_text())["facts"]
        assert sorted(name for fold in facts["folds"].values() for name in fold) == NAMES
        for fold, tested in facts["folds"].items():
            for row in FOLDED:
                folder = validated / fold / row
                assert [p.name for p in (folder / "test").iterdir()] == tested
                stated = load_model(str(folder / "model")).description.training
                seen = {*stated.train, *stated.validation}
                assert seen == set(NAMES) - set(tested)

    def test_scores_are_those_of_all_folds(self, validated):
        for row in FOLDED:
            content = json.loads((validated / "scores" / row / "metrics.json").read_text())
            assert sorted(content["cases"]) == NAMES
            parts = {}
            for path in validated.glob(f"fold*/{row}/scores/metrics.json"):
                parts |= json.loads(path.read_text())["cases"]
            assert content["cases"] == parts

    def test_expected_dice_stands_beside_the_measured_one(self, validated):
        for row in FOLDED:
            with (validated / "scores" / row / "confidence.csv").open() as stream:
                lines = list(csv.DictReader(stream))
            assert {line["case"] for line in lines} == set(NAMES)
            content = json.loads((validated / "scores" / row / "metrics.json").read_text())
            for line in lines:
                measured = content["cases"][line["case"]][line["region"]]["dice"]
                assert float(line["dice"]) == pytest.approx(measured, abs=1e-4)
                (report,) = validated.glob(f"fold*/{row}/test/{line['case']}/report.json")
                promised = json.loads(report.read_text())["estimated_dice"][line["region"]]
                assert float(line["estimated_dice"]) == pytest.approx(promised, abs=1e-4)

    def test_shares_of_regions_can_be_measured_on_it(self, validated, data, monkeypatch, capsys):
        monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
        thresholds = importlib.import_module("region_thresholds")
        assert thresholds.main([str(validated), FOLDED[0], "--data", str(data)]) == 0
        lines = capsys.readouterr().out.splitlines()
        (most_probable,) = [line for line in lines if line.startswith("most probable label")]
        assert len([line for line in lines if line.startswith("fold")]) == 3
        found = [float(word) for word in most_probable.split()[3:] if word != "/"]
        assert len(found) == 3
        assert all(0 <= value <= 1 for value in found)

    def test_networks_of_the_folds_become_an_ensemble(self, validated):
        for row in FOLDED:
            model = load_model(str(validated / "models" / row))
            assert model.description.network.name == "VotedEnsemble"
            assert sorted(model.description.training.train) == NAMES
            for index, member in enumerate(model.network.members, start=1):
                own = load_model(str(validated / f"fold{index}" / row / "model")).network
                for key, value in own.state_dict().items():
                    assert torch.equal(member.state_dict()[key], value)

    def test_one_fold_again_changes_nothing(self, validated, data):
        before = {p: p.stat().st_mtime_ns for p in validated.rglob("segmentation.nii.gz")}
        assert run_folds(data, validated, "--folds", "3", "--fold", "fold2") == 0
        assert before == {p: p.stat().st_mtime_ns for p in validated.rglob("segmentation.nii.gz")}
        facts = json.loads((validated / "table" / "table.json").read_text())["facts"]
        assert list(facts["folds"]) == ["fold2"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--by-site"], "1 site"),
            (["--folds", "1"], "at least 2"),
            (["--folds", "4"], "Found 3 patients"),
            (["--folds", "3", "--fold", "fold9"], "fold9"),
            (["--fold", "fold1"], "--folds, --by-site or --groups"),
            (["--sequences"], "--folds, --by-site or --groups"),
            (["--folds", "3", "--set", "data.folds=2"], "data.folds = 2"),
            (["--groups", "groups.csv", "kind"], "a group 'Models'"),
            (["--groups", "groups.csv", "site"], "one column 'site'"),
        ],
    )
    def test_impossible_folds(self, options, message, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        rows = ["case,kind", "Brats18_A_1_1,Models", "Brats18_A_2_1,b"]
        (tmp_path / "groups.csv").write_text("\n".join(rows))
        for seed in (1, 2, 3):
            write_small_case(tmp_path / "data", f"Brats18_A_{seed}_1", seed)
        assert run_folds(tmp_path / "data", tmp_path / "out", *options) == 2
        assert message in capsys.readouterr().err
        assert not list((tmp_path / "out").glob("*"))

    def test_groups_that_leave_a_case_out(self, data, tmp_path, capsys):
        table, output, (first, second, never) = tmp_path / "groups.csv", tmp_path / "out", NAMES
        table.write_text(f"case,kind\n{first},low\n{second},high\n{never},\n")
        groups = ["--groups", str(table), "Kind", "--progress", "bar"]
        assert run_folds(data, output, *groups) == 0
        said = "1 of 3 cases are in no group, train or validate in every fold and are never tested"
        assert capsys.readouterr().err.count(f"Warning: {said}: {never}.") == 1
        facts = json.loads((output / "table" / "table.json").read_text())["facts"]
        assert facts["folds"] == {"high": [second], "low": [first]}
        for row in FOLDED:
            scores = json.loads((output / "scores" / row / "metrics.json").read_text())
            assert sorted(scores["cases"]) == [first, second]
            stated = load_model(str(output / "models" / row)).description
            assert sorted(stated.dice_by_case) == [first, second]
            assert sorted(stated.training.train) == NAMES
            assert "2 folds over 2 cases" in next(iter(stated.scores))
            card = (output / "models" / row / "docs" / "README.md").read_text()
            assert "2 folds over 2 cases" in card


class TestSequences:
    @pytest.fixture(scope="class")
    @staticmethod
    def studied(data, tmp_path_factory):
        output = tmp_path_factory.mktemp("sequences")
        drop = 'training.augmentation=[{step="drop_sequences", keep=["flair"]}]'
        none = [f"data.{kind}=0" for kind in ("phantoms", "low_grade_phantoms", *COPIES)]
        small = [
            *SMALL[3:8],
            *none,
            "training.output_size=8",
            "network.arguments.widths=[2,3]",
            drop,
        ]
        options = ["--folds", "3", "--sequences", "--progress", "none", "--set", *small]
        start = ["experiments", "shipped/default", "--data", str(data), "--output", str(output)]
        assert main([*start, *options]) == 0
        return output

    def test_every_set_with_flair_is_scored_over_all_cases(self, studied):
        with (studied / "table" / "default_sequences.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        sets = {tuple(row[m] for m in ("t1", "t1c", "t2", "flair")) for row in rows}
        assert len(sets) == 8
        assert all(held[3] == "1" for held in sets)
        assert {row["cases"] for row in rows} == {"3"}
        assert len((studied / "table" / "default_sequences.md").read_text().splitlines()) == 2 + 8

    def test_the_ensemble_states_what_was_measured(self, studied):
        model = load_model(str(studied / "models" / "default"))
        stated = model.description
        assert stated.needs_one_of == ("flair",)
        assert len(stated.dice_by_sequences) == 8
        assert sorted(stated.dice_by_case) == NAMES
        ((protocol, means),) = stated.scores.items()
        assert "3 folds over 3 cases" in protocol
        assert stated.dice_by_sequences["t1+t1c+t2+flair"]["WT"] == means["WT"].dice
        assert model.network.voting == "soft"
        card = (studied / "models" / "default" / "docs" / "README.md").read_text()
        assert all(words in card for words in ("Dice by case", "t1c+flair", *NAMES))

    def test_the_worst_cases_are_drawn(self, studied):
        folder = studied / "worst" / "default"
        text = (folder / "worst.md").read_text(encoding="utf-8")
        dice = json.loads((studied / "scores" / "default" / "metrics.json").read_text())["cases"]
        mean = {n: sum(r["dice"] for r in rows.values()) / len(rows) for n, rows in dice.items()}
        order = sorted(NAMES, key=mean.get)
        assert sorted(order, key=text.index) == order
        for name in NAMES:
            width, height = Image.open(folder / f"{name}.png").size
            assert min(height, width) > 28


class TestRefusals:
    def test_a_list_without_test_cases(self, data, tmp_path, capsys):
        assert run_rows(ROWS, data, tmp_path, "data.test_every=0") == 2
        assert "data.test_every" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_an_unknown_name(self, data, tmp_path, capsys):
        arguments = ["--data", str(data), "--output", str(tmp_path)]
        assert main(["experiments", "havaei2071", *arguments, "--progress", "none"]) == 2
        assert "havaei2017" in capsys.readouterr().err

    def test_two_experiments_of_one_name(self):
        with pytest.raises(InputError, match="of another experiment"):
            load_list([SHIPPED[0], SHIPPED[0]])

    def test_experiments_that_need_each_other(self, tmp_path):
        for own, other in (("a", "b"), ("b", "a")):
            text = f'name = "{own}"\n[network]\nparts = {{ first = "{other}" }}\n'
            (tmp_path / f"{own}.toml").write_text(text)
        with pytest.raises(InputError, match="need each other"):
            load_list([tmp_path / "a.toml", tmp_path / "b.toml"])


def test_folds_give_an_ensemble_that_votes(data, tmp_path):
    path = tmp_path / "folds.toml"
    path.write_text('name = "folds"\n[network]\nname = "LocalPathCNN"\n[data]\nfolds = 3\n')
    small = [s for s in SMALL if not s.startswith("data.test")]
    options = ["--data", str(data), "--output", str(tmp_path / "run")]
    assert main(["train", str(path), *options, "--progress", "none", "--set", *small]) == 0
    model = load_model(str(tmp_path / "run" / "model"))
    assert model.description.network.name == "VotedEnsemble"
    assert len(model.network.members) == 3
    validated = []
    for index in (1, 2, 3):
        fold = load_model(str(tmp_path / "run" / f"fold{index}" / "model"))
        stated = fold.description.training
        validated += stated.validation
        assert not set(stated.train) & set(stated.validation)
    assert sorted(validated) == NAMES
