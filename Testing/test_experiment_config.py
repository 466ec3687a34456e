"""Names of experiments, which become folders below the output, and settings in sentences."""

import json
from typing import get_args

import pytest

from scripted_models.bundle.description import TaskName
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.tasks.known_tasks import TASKS, common_task, task_of
from scripted_models.training.experiment_config import DataConfig, Experiment, load_experiment


def write(folder, name):
    path = folder / "experiment.toml"
    path.write_text(f"name = {json.dumps(name)}\n", encoding="utf-8")
    return path


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "a",
            "TwoPathCNN",
            "my run 2",
            "LocalPathCNN_phase1",
            "_x",
            "3d.v1+b",
            "Schädel",
            "x" * 100,
        ],
    )
    def test_folders_on_every_system_are_taken(self, name, tmp_path):
        assert load_experiment(write(tmp_path, name)).name == name

    @pytest.mark.parametrize(
        "name",
        [
            *("", ".", "..", "../esc", "a/b", "/esc", "a\\b", "C:run", "\\\\host\\share", "~"),
            *("con", "NUL", "nul.txt", "Aux .b", "COM1", "lpt9.x", "com¹"),
            *(
                "a.",
                "a ",
                " a",
                ".hidden",
                "-set",
                "a*",
                "a?",
                "a|b",
                'a"b',
                "a<b",
                "a\tb",
                "x" * 101,
            ),
        ],
    )
    def test_all_others_are_refused_when_the_file_is_read(self, name, tmp_path):
        path = write(tmp_path, name)
        with pytest.raises(InputError, match="expected a name for a folder") as refused:
            load_experiment(path)
        assert refused.value.path == str(path)
        assert refused.value.found.startswith("'name' = ")

    @pytest.mark.parametrize("command", ["train", "experiments"])
    def test_nothing_is_written_outside_of_the_output(self, command, tmp_path, capsys):
        path, output = write(tmp_path, "../esc"), tmp_path / "deep" / "runs"
        options = ["--data", str(tmp_path), "--output", str(output), "--progress", "none"]
        assert main([command, str(path), *options]) == 2
        assert "../esc" in capsys.readouterr().err
        assert sorted(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(("first", "second"), [("a", "A"), ("table", ""), ("Cases", "")])
    def test_folders_of_a_list_are_not_shared(self, first, second, tmp_path, capsys):
        paths = [tmp_path / f"{index}.toml" for index in range(2)]
        for path, name in zip(paths, (first, second or "other"), strict=True):
            path.write_text(f'name = "{name}"\n')
        options = ["--data", str(tmp_path), "--output", str(tmp_path / "o"), "--progress", "none"]
        assert main(["experiments", *map(str, paths), *options]) == 2
        assert "expected a name for each" in capsys.readouterr().err


class TestTasks:
    def test_every_name_that_experiments_may_have_is_a_task(self):
        names = get_args(TaskName)
        assert set(names) == set(TASKS)
        for name in names:
            assert task_of(Experiment(data=DataConfig(task=name))).name == name

    def test_a_list_has_one(self):
        experiments = [Experiment(name=n, data=DataConfig(task=n)) for n in TASKS]
        with pytest.raises(InputError, match="a list for one of them"):
            common_task(experiments)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"data": DataConfig(sbd="folder")}, r"data\.sbd"),
            ({"paper_row": "FourPathCNN"}, "FourPathCNN"),
        ],
    )
    def test_brains_refuse_what_is_for_pictures_or_not_printed(self, changes, words):
        with pytest.raises(InputError, match=words):
            TASKS["brains"].check(Experiment(**changes))
