"""Spoilt files: a few of `fuzz.py` for every reader, and all that were ever found to matter."""

import random
import sys

import pytest

pytest.importorskip("resource", reason="needs POSIX limits and fork")
if sys.platform != "linux":
    pytest.skip("limits of memory count on Linux only", allow_module_level=True)

import fuzz

KNOWN = sorted(fuzz.CORPUS.glob("*")) if fuzz.CORPUS.is_dir() else []


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return fuzz.seeds(tmp_path_factory.mktemp("sound") / "case")


@pytest.mark.parametrize("kind", list(fuzz.READERS))
def test_sound_files_are_read_and_spoilt_ones_read_or_refused(sound, kind, tmp_path):
    path, rng = tmp_path / f"file{kind}", random.Random(20)
    answers = []
    for content in sound[kind]:
        path.write_bytes(content)
        answers.append(fuzz.outcome(path, kind))
    assert "read" in answers
    assert set(answers) <= {"read", "refused"}  # an image is no label map
    for _ in range(4):
        path.write_bytes(fuzz.mutated(rng.choice(sound[kind]), rng, kind))
        assert fuzz.outcome(path, kind) in ("read", "refused")


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_what_was_found_stays_mended(path):
    kind = "".join(path.suffixes)
    assert fuzz.in_child(path, kind) in ("read", "refused")
