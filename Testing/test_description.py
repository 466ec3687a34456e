"""The model description: read, checked, refused; and its JSON Schema."""

import copy
import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from json_schema import faults
from model_fixtures import described, renew_checksums
from wrong_descriptions import (
    ARGUMENTS,
    DICE,
    NETWORKS,
    NUMBERS,
    RENAMING,
    SPACING,
    TOGETHER,
    VALUES,
)

from scripted_models.bundle import (
    ModelDescription,
    import_model,
    load_model,
    read_description,
    shipped_models,
    write_model,
)
from scripted_models.bundle.description import CrfSettings
from scripted_models.bundle.model_folders import MODEL_JSON, WEIGHTS
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.networks.crf.gaussian_filters import FILTERS
from scripted_models.runtime.table_schema import json_schema
from scripted_models.runtime.typed_tables import read_table

REPOSITORY = Path(__file__).resolve().parents[1]
SCHEMA = REPOSITORY / "docs" / "model-description.schema.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small sound model folder."""
    network = build_network("UNet", **ARGUMENTS)
    stated = described(network={"name": "UNet", "arguments": ARGUMENTS})
    return write_model(tmp_path_factory.mktemp("whole") / "m", network, stated)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "m")


def small(path: str, value: object) -> dict:
    """Return the table of a sound description of a small network with another value at a path."""
    table = copy.deepcopy(described(network={"name": "UNet", "arguments": ARGUMENTS}).to_table())
    inner, keys = table, [int(k) if k.isdigit() else k for k in path.split(".")]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return table


def put(folder: Path, text: str) -> Path:
    (folder / MODEL_JSON).write_text(text, encoding="utf-8")
    return renew_checksums(folder)


def refused(folder: Path) -> str:
    """Return the sentence with which a folder is refused."""
    with pytest.raises(ModelError) as caught:
        load_model(str(folder))
    error = caught.value
    assert error.exit_code == 3
    assert error.found
    assert error.expected
    assert error.action
    assert str(error).startswith(str(folder))
    assert "\n" not in str(error)
    assert len(str(error)) < 900 + len(str(folder))
    return str(error)


class TestBasic:
    def test_it_comes_back_as_it_was_written(self, whole):
        stated = described(network={"name": "UNet", "arguments": ARGUMENTS})
        assert read_description(whole) == stated
        assert json.loads((whole / MODEL_JSON).read_text(encoding="utf-8")) == stated.to_table()

    def test_a_model_carries_what_its_description_says(self, folder):
        table = {**small("crf", {"position_width": 4.0}), "decision": DICE}
        model = load_model(str(put(folder, json.dumps(table))))
        assert len(model.preprocessing.transforms) == len(table["preprocessing"])
        assert len(model.postprocessing.transforms) == len(table["postprocessing"])
        assert model.crf.position_width == 4.0
        assert model.decision == DICE
        assert model.space.orientation == "LPS"
        assert model.known_labels == (0, 1, 2, 3, 4)

    def test_neither_model_nor_description_can_be_changed(self, folder):
        model = load_model(str(folder))
        for thing, name in ((model, "network"), (model.description, "name")):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(thing, name, None)
        with pytest.raises(TypeError):
            model.description.labels[0] = "tumor"

    def test_what_equals_its_default_is_not_written_but_constants_are(self):
        table = described(needs_one_of=[], crf=None).to_table()
        assert "needs_one_of" not in table
        assert "crf" not in table
        assert (table["format"], table["task"]) == (1, "brains")
        assert set(table["training_space"]) == {"orientation", "spacing_xyz_mm", "tolerance"}

    def test_a_description_that_would_not_come_back_is_not_written(self, tmp_path):
        wrong = dataclasses.replace(described(), seconds_per_case={"CPU": float("nan")})
        with pytest.raises(ModelError, match=r"'seconds_per_case\.CPU' = nan"):
            write_model(tmp_path / "m", build_network("TwoPathCNN"), wrong)
        assert not (tmp_path / "m").exists()

    def test_backends_of_the_field_are_those_that_there_are(self):
        for name in FILTERS:
            assert CrfSettings(backend=name) == read_table(CrfSettings, {"backend": name})
        with pytest.raises(ModelError, match=" or ".join(f"'{name}'" for name in sorted(FILTERS))):
            read_table(CrfSettings, {"backend": "none"}, ModelError)

    def test_reading_and_listing_need_no_pytorch(self):
        code = (
            "import sys, scripted_models.transforms\n"
            "from scripted_models.bundle import list_models, read_description, shipped_models\n"
            "assert [read_description(f) for f in shipped_models()] and list_models()\n"
            "print([m for m in ('torch', 'monai') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


class TestRefused:
    @pytest.mark.parametrize(("path", "value", "says"), [*VALUES, *TOGETHER])
    def test_a_value_that_does_not_fit(self, folder, path, value, says):
        assert says in refused(put(folder, json.dumps(small(path, value))))
        with pytest.raises(ModelError):
            read_description(folder)  # and no weights are needed to see it

    @pytest.mark.parametrize("lacking", [1, 3, 4])
    @pytest.mark.parametrize(
        ("step", "needed"),
        [
            (RENAMING, {1, 3, 4}),
            ({"step": "replace_small_enhancing", "min_volume_ml": 1, "label": 3}, {3}),
        ],
    )
    def test_a_step_that_needs_labels_which_the_model_lacks(self, folder, step, needed, lacking):
        table = small("postprocessing", [step])
        del table["labels"][str(lacking)]
        says = refused(put(folder, json.dumps(table)))
        assert ("a model that knows" in says) == (lacking in needed)

    @pytest.mark.parametrize(("network", "says"), NETWORKS)
    def test_a_network_that_is_not_that_of_the_weights(self, folder, network, says):
        assert says in refused(put(folder, json.dumps(small("network", network))))

    @pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:9])
    @pytest.mark.parametrize("path", ["training.seconds", "network.arguments", SPACING])
    def test_numbers_that_are_none(self, folder, path, number):
        places = {"network.arguments": {**ARGUMENTS, "dropout": "?"}, SPACING: [1, 1, "?"]}
        text = json.dumps(small(path, places.get(path, "?"))).replace('"?"', number)
        refused(put(folder, text))

    @pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"format": 1}', "[" * 10**5])
    def test_what_is_no_description(self, folder, text):
        assert "model.json" in refused(put(folder, text))

    def test_one_that_is_too_large(self, folder):
        assert "more than 4 MiB" in refused(put(folder, " " * (5 << 20) + "{}"))

    def test_nested_too_deep(self, folder):
        text = json.dumps(small("network.arguments", {"first": "?"}))
        refused(put(folder, text.replace('"?"', '{"a":' * 900 + "1" + "}" * 900)))

    def test_one_sentence_of_the_command_line_and_exit_code_3(self, folder, capsys):
        put(folder, json.dumps(small("preprocessing.2.margin", -50)))
        assert main(["models", "--import", str(folder), "--name", "x"]) == 3
        said = capsys.readouterr().err
        assert said.startswith(
            f"Error: {folder}/configs/model.json: found 'preprocessing[2].margin' = -50"
        )
        assert said.count("\n") == 1

    def test_an_import_names_the_source_that_was_given(self, folder, tmp_path, monkeypatch):
        monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(tmp_path / "home"))
        put(folder, json.dumps(small("name", "")))
        with pytest.raises(ModelError) as caught:
            import_model(folder, "mine")
        assert caught.value.path == str(folder / MODEL_JSON)


class TestMemory:
    """However large a folder says that its network is, loading stays as small as the folder."""

    def test_refusals_need_little_memory(self, folder, tmp_path):
        resource = pytest.importorskip("resource")
        if not Path("/proc/self/status").is_file():
            pytest.skip("the peak in ru_maxrss is that of the process before, too")
        folders = []
        for index, (network, _) in enumerate(NETWORKS):
            copied = shutil.copytree(folder, tmp_path / str(index))
            folders.append(str(put(copied, json.dumps(small("network", network)))))
        code = (
            "import sys\n"
            "from scripted_models.bundle import load_model\n"
            "from scripted_models.errors import ModelError\n"
            f"load_model({str(folder)!r})\n"
            "for folder in sys.argv[1:]:\n"
            "    try: load_model(folder)\n"
            "    except ModelError: continue\n"
            "    raise SystemExit(f'{folder} was loaded')\n"
            "status = dict(line.split(':') for line in open('/proc/self/status'))\n"
            "print(status['VmHWM'].split()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *folders],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30)),
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) < 1 << 20  # KiB

    @pytest.mark.parametrize(
        "value",
        [
            torch.zeros(1).expand(10**6, 10**6),
            torch.zeros(2, 3, device="meta"),
            torch.eye(3).to_sparse(),
            torch.zeros(2, dtype=torch.complex64),
            "text",
            {"nested": torch.zeros(1)},
        ],
        ids=["values that share a place", "meta", "sparse", "complex", "text", "nested"],
    )
    def test_weights_that_are_no_plain_tensors(self, folder, value):
        weights = torch.load(folder / WEIGHTS, weights_only=True)
        torch.save({**weights, "output.bias": value}, folder / WEIGHTS)
        renew_checksums(folder)
        assert "weights that are not a plain state dict" in refused(folder)


class TestSchema:
    @pytest.fixture(scope="class")
    @staticmethod
    def schema():
        return json.loads(SCHEMA.read_text(encoding="utf-8"))

    def test_the_page_is_current(self):
        assert SCHEMA.read_text(encoding="utf-8") == schema_text(), (
            "run python Testing/test_description.py"
        )

    @pytest.mark.parametrize("path", shipped_models(), ids=lambda path: path.name)
    def test_shipped_models_are_valid(self, schema, path):
        table = json.loads((path / MODEL_JSON).read_text(encoding="utf-8"))
        assert list(faults(schema, table)) == []
        if importlib.util.find_spec("jsonschema"):
            importlib.import_module("jsonschema").validate(table, schema)

    @pytest.mark.parametrize(("path", "value", "says"), VALUES)
    def test_what_the_program_refuses_is_not_valid(self, schema, path, value, says):
        assert list(faults(schema, small(path, value)))

    def test_every_part_is_described(self, schema):
        for name, part in {"": schema, **schema["$defs"]}.items():
            assert part["description"], name
            assert all("description" in value for value in part["properties"].values()), name

    def test_shipped_files_are_as_the_program_writes_them(self):
        for folder in shipped_models():
            text = (folder / MODEL_JSON).read_text(encoding="utf-8")
            assert text == json.dumps(read_description(folder).to_table(), indent=2) + "\n"


def schema_text() -> str:
    return json.dumps(json_schema(ModelDescription), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
