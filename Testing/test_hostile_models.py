"""Weights and zip files that are made to trick: exchanged, shared, overlapping, endless."""

import io
import struct
import zipfile

import pytest
import torch
from faults_of_models import many_entries
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import described

from scripted_models.bundle import model_folders, weights
from scripted_models.bundle.archive import copy_model
from scripted_models.bundle.model_folders import MODEL_JSON, WEIGHTS, verify_files
from scripted_models.bundle.registry import stored_model
from scripted_models.bundle.state_dicts import as_types_of, read_state_dict
from scripted_models.bundle.weights import load_model, write_model
from scripted_models.errors import ModelError

DATA = "archive/data/0"


@pytest.fixture
def folder(tmp_path, small_network):
    plain = {"name": "TwoPathCNN", "arguments": {}}
    return write_model(tmp_path / "model", small_network, described(name="made", network=plain))


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


class TestExchange:
    """What is used is what was hashed, whenever a file is replaced."""

    @pytest.mark.parametrize("when", range(1, 9))
    def test_weights_and_description(self, folder, when, monkeypatch):
        before = load_model(str(folder))
        evil = saved({k: v * 0 for k, v in before.network.state_dict().items()})
        other = (folder / MODEL_JSON).read_bytes().replace(b'"made"', b'"evil"')
        opened, count = model_folders.open_file, 0

        def open_and_exchange(path):
            nonlocal count
            stream, count = opened(path), count + 1
            if count == when:
                for name, content in ((WEIGHTS, evil), (MODEL_JSON, other)):
                    (folder / name).unlink()
                    (folder / name).write_bytes(content)
            return stream

        monkeypatch.setattr(model_folders, "open_file", open_and_exchange)
        refusals = []
        try:
            loaded = load_model(str(folder))
        except ModelError as error:
            refusals.append(str(error))
        if refusals:
            assert "another checksum" in refusals[0]
            return
        assert loaded.description.name == "made"
        for key, value in loaded.network.state_dict().items():
            assert torch.equal(value, before.network.state_dict()[key])

    def test_each_file_is_opened_once(self, folder, monkeypatch):
        opened, paths = model_folders.open_file, []
        monkeypatch.setattr(
            model_folders, "open_file", lambda path: paths.append(path) or opened(path)
        )
        load_model(str(folder))
        assert sorted(paths) == sorted(set(paths))
        paths.clear()
        assert stored_model(folder).problem is None
        assert sorted(paths) == sorted(set(paths))

    def test_nothing_else_of_the_folder_is_read(self):
        """`weights` has no way to a file but the verified bytes."""
        assert not hasattr(weights, "open_file")
        assert not hasattr(weights, "read_bytes")


class TestStateDicts:
    def refusal(self, content):
        with pytest.raises(ModelError) as caught:
            read_state_dict(content)
        return str(caught.value)

    def test_shared_values(self):
        value = torch.ones(4, 4)
        assert "share their values" in self.refusal(saved({"a": value, "b": value.t()}))
        assert "share their values" in self.refusal(saved({"a": value, "b": value[1:]}))
        read_state_dict(saved({"a": value[:2], "b": value[2:]}))  # parts, each value once
        read_state_dict(saved({"a": value, "b": value}))  # one tensor of two names

    @given(
        st.lists(st.integers(1, 4), min_size=1, max_size=4),
        st.lists(st.integers(0, 6), min_size=4, max_size=4),
    )
    def test_no_view_holds_more_than_the_file(self, shape, steps):
        steps = steps[: len(shape)]
        extent = 1 + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        content = saved({"a": torch.arange(float(extent)).as_strided(shape, steps)})
        try:
            values = read_state_dict(content)["a"]
        except ModelError:
            return
        assert values.numel() <= extent

    def test_values_that_are_not_in_the_file(self):
        content, out = saved({"a": torch.ones(1000)}), io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
            for record in old.infolist():
                data = old.read(record)
                new.writestr(record.filename, data[:8] if "data/0" in record.filename else data)
        self.refusal(out.getvalue())

    def test_compressed_records(self):
        content, out = saved({"a": torch.zeros(10**6)}), io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(content)) as old,
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for record in old.infolist():
                new.writestr(record.filename, old.read(record))
        assert "compressed" in self.refusal(out.getvalue())

    def test_two_records_of_one_name(self):
        out = io.BytesIO(saved({"a": torch.ones(3)}))
        with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as archive:
            archive.writestr(archive.namelist()[0], b"x")
        assert "two records of one name" in self.refusal(out.getvalue())

    def test_records_in_endless_number(self, tmp_path):
        many_entries(tmp_path / "model.pt", 200_000)
        assert "BadZipFile" in self.refusal((tmp_path / "model.pt").read_bytes())

    @pytest.mark.parametrize("value", [3, "x", None, [torch.ones(2)], {"b": torch.ones(2)}])
    def test_what_is_no_tensor(self, value):
        assert "no tensor" in self.refusal(saved({"a": value}))

    @pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02.", b"x" * 1000, bytes(100)])
    def test_what_is_no_zip_file(self, content):
        self.refusal(content)

    @given(st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]))
    def test_floats_become_float32(self, kind):
        read = read_state_dict(saved({"a": torch.tensor([0.5, -2.0], dtype=kind)}))
        (value,) = as_types_of(read, {"a": torch.zeros(2)}).values()
        assert value.dtype == torch.float32
        assert value.tolist() == [0.5, -2.0]

    @pytest.mark.parametrize("value", [1e39, -1e300, float("inf"), float("nan")])
    def test_what_is_infinite_in_float32(self, value):
        weights = {"a": torch.tensor([1.0, value], dtype=torch.float64)}
        with pytest.raises(ModelError, match="expected finite numbers"):
            as_types_of(weights, {"a": torch.zeros(2)})

    def test_counters_stay_whole(self):
        counter = torch.tensor(3)
        assert as_types_of({"n": counter}, {"n": torch.tensor(0)}) == {"n": counter}
        with pytest.raises(ModelError, match="floating-point numbers in the weights"):
            as_types_of({"n": torch.tensor(3.5)}, {"n": torch.tensor(0)})


class TestZipFiles:
    def refusal(self, path, tmp_path):
        target = tmp_path / "target"
        target.mkdir()
        with pytest.raises(ModelError) as caught:
            copy_model(path, target)
        return str(caught.value)

    def test_entries_that_overlap_do_not_multiply(self, tmp_path):
        """Every entry is the same compressed bytes: small to send, endless to unpack."""
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("docs/a00.md", bytes(5 << 20))
        content = path.read_bytes()
        start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
        entry = content[start:end]
        listing = b"".join(entry.replace(b"a00", b"a%02d" % n) for n in range(90))
        tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 90, 90, len(listing), start, 0)
        path.write_bytes(content[:start] + listing + tail)
        self.refusal(path, tmp_path)

    @pytest.mark.parametrize(
        "name",
        [
            *("/etc/passwd", "../x.md", "docs/../../x.md", "C:\\x.md", "\\\\host\\share\\x.md"),
            *("docs/\x1b[2J.md", "docs/" + "n" * 300 + ".exe", "docs/a\x00.md", "models/model.PT"),
        ],
    )
    def test_names_that_lead_elsewhere_or_are_no_model(self, tmp_path, name):
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("configs/model.json", "{}")
            archive.writestr("docs/README.md".replace("README.md", "a.md"), "x")
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            archive.writestr(info, "x")
        said = self.refusal(path, tmp_path)
        assert "\x1b" not in said
        assert not [p for p in tmp_path.rglob("*") if p.suffix == ".exe"]

    def test_a_folder_of_endless_depth(self, tmp_path):
        deep = tmp_path / "model"
        for _ in range(150):
            deep = deep / "d"
        deep.mkdir(parents=True)
        assert "more than 100" in self.refusal(tmp_path / "model", tmp_path)


def test_verified_files_are_those_asked_for(folder):
    assert set(verify_files(folder).contents) == set()
    assert set(verify_files(folder, (WEIGHTS,)).contents) == {WEIGHTS}
