"""Lists of experiments on PASCAL VOC: trained, predicted, scored, set beside the papers' rows."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from voc_fixtures import write_experiment, write_voc

from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.commands.train import EXPERIMENTS
from scripted_models.evaluation.confusion import SUMMARIES, ConfusionMatrix
from scripted_models.runtime.progress import Progress
from scripted_models.tasks.list_run import ListRun
from scripted_models.tasks.voc.held_out_pictures import HeldOutPictures
from scripted_models.tasks.voc.masks import read_mask, write_mask
from scripted_models.tasks.voc.paper_rows import PAPER_ROWS
from scripted_models.training.experiment_config import load_experiment


def run_list(paths, voc, output, *options):
    start = ["experiments", *map(str, paths), "--data", str(voc), "--output", str(output)]
    return main([*start, "--progress", "none", *options])


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    return write_voc(tmp_path_factory.mktemp("data") / "VOC2012")


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """Two experiments, the second one beside the papers' FCN-8s."""
    folder = tmp_path_factory.mktemp("experiments")
    paths = [write_experiment(folder, name, steps) for name, steps in (("short", 1), ("long", 8))]
    paths[1].write_text('paper_row = "FCN-8s"\n' + paths[1].read_text())
    return paths


@pytest.fixture(scope="module")
def finished(tmp_path_factory, voc, listed):
    output = tmp_path_factory.mktemp("runs")
    assert run_list(listed, voc, output) == 0
    return output


def content_of(output):
    return json.loads((output / "table" / "table.json").read_text(encoding="utf-8"))


class TestTable:
    def test_scores_are_those_of_evaluate(self, finished, voc, tmp_path):
        for row in content_of(finished)["rows"]:
            predictions = finished / row["name"] / "test"
            options = ["--output", str(tmp_path / row["name"]), "--progress", "none"]
            start = ["evaluate", "--voc", str(voc), "--split", "val", "--predictions"]
            assert main([*start, str(predictions), *options]) == 0
            scores = json.loads((tmp_path / row["name"] / "voc_metrics.json").read_text())
            assert {key: row[key] for key in SUMMARIES} == {key: scores[key] for key in SUMMARIES}
            assert row["confusion"] == scores["confusion"]
            assert (row["images"], sum(map(sum, row["confusion"]))) == (1, 40 * 44 - 18**2 + 16**2)

    def test_facts_tell_the_list_and_the_run(self, finished):
        content = content_of(finished)
        assert content["facts"]["test list"] == "val"
        assert content["facts"]["test images"] == 1
        assert [row["name"] for row in content["rows"]] == ["short", "long"]
        facts = content["rows"][1]["facts"]
        assert (facts["training images"], facts["epochs"]) == (3, 2)
        sums = (finished / "long" / "model" / "models" / "SHA256SUMS").read_text()
        assert facts["weights (SHA-256)"] in sums

    def test_csv_holds_ours_and_all_printed_rows(self, finished):
        with (finished / "table" / "table.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 2 + len(PAPER_ROWS)
        by_name = {row["name"]: row for row in content_of(finished)["rows"]}
        for row in (row for row in rows if row["source"] == "here"):
            told = by_name[row["method"]]
            assert float(row["mean_iu"]) == pytest.approx(100 * told["mean_iu"], abs=1e-3)
            scores = ConfusionMatrix(np.array(told["confusion"]), tuple(told["classes"]))
            for name, iu in zip(scores.classes, scores.class_iu, strict=True):
                found = float(row[f"iu_{name}"] or "nan")
                assert found == pytest.approx(100 * iu, abs=1e-3, nan_ok=True), name
            assert "" in row.values()  # classes that are neither true nor predicted
        (frontend,) = [row for row in rows if row["method"] == "Front end + CRF"]
        assert (frontend["mean_iu"], frontend["pixel_accuracy"]) == ("71.6", "")
        assert (frontend["iu_sheep"], frontend["iu_background"]) == ("80.4", "")
        assert {row["seconds"] for row in rows if row["method"] == "SDS"} == {"50"}

    def test_ours_stand_above_the_printed_rows_of_their_method(self, finished):
        lines = (finished / "table" / "table.md").read_text(encoding="utf-8").splitlines()
        methods = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
        at = methods.index("**long**")
        assert all(method.startswith("FCN-8s (") for method in methods[at + 1 : at + 5])
        assert not methods[at + 5].startswith("FCN-8s")
        assert methods.index("**short**") < at
        (classes,) = [line for line in lines if line.startswith("| Class ")]
        assert classes.endswith("| long | FCN-8s (Yu & Koltun 2016, table 2) |")
        (sheep,) = [line for line in lines if line.startswith("| sheep ")]
        assert sheep.endswith("| 72.4 |")

    def test_the_page_holds_the_same(self, finished):
        page = (finished / "table" / "table.html").read_text(encoding="utf-8")
        assert all(words in page for words in ("long", "Front + Large + RNN", "tvmonitor", "val"))

    def test_test_images_are_unseen_but_choose_the_epoch(self, finished):
        (short, _) = content_of(finished)["rows"]
        assert short["notes"] == [
            "short: test images also choose the epoch whose weights are kept."
        ]

    def test_pictures_that_train_are_told(self, voc, listed, tmp_path):
        settings = ["data.voc_train=''", "data.voc_test=''", "data.voc_validation=''"]
        settings += ["training.phase1.patience=0"]
        assert run_list(listed[:1], voc, tmp_path, "--set", *settings) == 0
        (row,) = content_of(tmp_path)["rows"]
        assert row["notes"][0].startswith("short: 4 of the 4 test images also train it.")
        assert "4 of the 4 test images" in (tmp_path / "table" / "table.md").read_text()
        assert content_of(tmp_path)["facts"]["test list"] == "all with a label map"


class TestResume:
    def written(self, output):
        patterns = ("*/checkpoint.pt", "*/test/*.png", "cases/*/image.npy")
        return {p: p.stat().st_mtime_ns for g in patterns for p in output.glob(g)}

    def test_a_finished_list_is_not_done_again(self, finished, voc, listed):
        before = self.written(finished)
        assert len(before) == 2 + 2 + 4
        assert run_list(listed, voc, finished) == 0
        assert self.written(finished) == before

    def test_a_label_map_that_is_missing_is_predicted_again(self, finished, voc, listed):
        path = finished / "long" / "test" / "d.png"
        content, before = path.read_bytes(), self.written(finished)
        path.unlink()
        assert run_list(listed, voc, finished) == 0
        assert path.read_bytes() == content
        changed = {p for p, when in self.written(finished).items() if before[p] != when}
        assert changed == {path}

    def test_label_maps_of_other_weights_are_replaced(self, finished, voc, listed):
        folder = finished / "long" / "test"
        record, content = folder / "predictions.json", (folder / "d.png").read_bytes()
        stated = json.loads(record.read_text())
        other = {"d": {**stated["d"], "weights_sha256": "0" * 64}}
        record.write_text(json.dumps(other))
        write_mask(folder / "d.png", read_mask(folder / "d.png") * 0 + 9)
        (folder / ".writing-abc").touch()  # of a run that was killed
        assert run_list(listed, voc, finished) == 0
        assert (folder / "d.png").read_bytes() == content
        assert json.loads(record.read_text()) == stated
        assert sorted(path.name for path in folder.iterdir()) == ["d.png", "predictions.json"]

    def test_a_label_map_of_another_picture_is_replaced(self, finished, voc, listed, tmp_path):
        shutil.copytree(voc, tmp_path / "VOC2012")
        runs = tmp_path / "runs"
        shutil.copytree(finished, runs)
        path = runs / "long" / "test" / "d.png"
        before = path.read_bytes()
        picture = tmp_path / "VOC2012" / "JPEGImages" / "d.png"
        Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
        os.utime(picture, (1, 1))
        only = HeldOutPictures.of([load_experiment(listed[1])], tmp_path / "VOC2012")
        run = ListRun(tmp_path / "VOC2012", runs, Progress())
        only.predict(load_model(str(runs / "long" / "model"), task="voc"), runs / "long", run)
        assert path.read_bytes() != before


class TestRefusals:
    @pytest.mark.parametrize(
        "options",
        [
            ["--folds", "2"],
            ["--by-site"],
            ["--groups", "groups.csv", "site"],
            ["--fold", "fold1"],
            ["--sequences"],
        ],
    )
    def test_cross_validation(self, options, voc, listed, tmp_path, capsys):
        assert run_list(listed, voc, tmp_path / "out", *options) == 2
        message = capsys.readouterr().err
        assert f"found {options[0]} with experiments for voc" in message.replace("Found", "found")
        assert message.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_brains_and_pictures_in_one_list(self, voc, listed, tmp_path, capsys):
        paths = [*listed, EXPERIMENTS / "havaei2017" / "LocalPathCNN.toml"]
        assert run_list(paths, voc, tmp_path / "out") == 2
        assert "a list for one of them" in capsys.readouterr().err

    def test_other_test_images_for_one_of_them(self, voc, listed, tmp_path, capsys):
        other = write_experiment(tmp_path, "other")
        text = other.read_text().replace('task = "voc"', 'task = "voc"\nvoc_test = "train"')
        other.write_text(text)
        assert run_list([*listed, other], voc, tmp_path / "out") == 2
        assert "data.voc_test" in capsys.readouterr().err

    def test_a_list_that_is_not_there(self, voc, listed, tmp_path, capsys):
        assert run_list(listed, voc, tmp_path / "out", "--set", "data.voc_test=val2099") == 2
        assert "val2099.txt" in capsys.readouterr().err

    def test_seg11valid_without_sbd(self, voc, listed, tmp_path, capsys):
        assert run_list(listed, voc, tmp_path / "out", "--set", "data.voc_test=seg11valid") == 2
        assert "name it with --sbd or data.sbd" in capsys.readouterr().err


def test_rows_of_the_shipped_recipes_are_printed_ones():
    rows = {load_experiment(path).paper_row for path in (EXPERIMENTS / "voc").glob("*.toml")}
    assert rows - {""} <= {row.method for row in PAPER_ROWS}
    assert {"FCN-32s", "FCN-16s", "FCN-8s", "FCN-32s-fixed", "FCN-AlexNet", "FCN-GoogLeNet"} <= rows
    assert {"Front end", "Front + Basic", "Front + Large", "RefineNet"} <= rows


@pytest.mark.parametrize("row", [row for row in PAPER_ROWS if row.class_iu], ids=str)
def test_printed_classes_and_mean_agree(row):
    """The printed mean is over 21 classes, 20 are printed: the background must be a likely one."""
    assert len(row.class_iu) == 20
    assert 91 < 21 * row.mean_iu - sum(row.class_iu) < 96
    assert row.iu_of["tvmonitor"] == row.class_iu[-1]
