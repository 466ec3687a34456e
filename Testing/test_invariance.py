"""The result does not depend on how volumes are stored, on the number of threads, or on the run."""

import dataclasses
import tempfile
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from fault_table import MODEL, NAMES, make_inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.bundle.weights import load_model
from scripted_models.cases.case import Case, ImageSource
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_volume, write_volume
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter


def sequences(folder):
    """A case of small volumes, 26 x 24 x 8 voxels of 1 x 1 x 3 mm."""
    inputs = make_inputs(folder)
    for name in NAMES:
        inputs.write(name, inputs.image(name)[8:34, 8:32, 3:11])
    return Case("case", {m: ImageSource(path) for m, path in inputs.paths.items()})


CODES = ["".join(code) for axes in permutations(("RL", "AP", "IS")) for code in product(*axes)]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return sequences(tmp_path_factory.mktemp("straight"))


@pytest.fixture(scope="module")
def expected(case, small_network):
    model = load_model(MODEL)
    plain = dataclasses.replace(model.description, decision={})
    model = dataclasses.replace(model, network=small_network, description=plain)
    labels = Segmenter(model, "cpu").segment(case, Progress()).labels
    assert len(np.unique(labels)) > 2
    return case, model, labels


class TestOrientation:
    @given(code=st.sampled_from(CODES))
    @settings(max_examples=12, deadline=None)
    def test_permuted_and_mirrored_inputs_give_the_same_physical_result(self, expected, code):
        case, model, labels = expected
        with tempfile.TemporaryDirectory() as folder:
            moved = {m: ImageSource(Path(folder) / f"{m}.nrrd") for m in NAMES}
            for m, source in moved.items():
                write_volume(source.path, sitk.DICOMOrient(case.images[m].read(), code))
            result = Segmenter(model, "cpu").segment(Case("moved", moved), Progress())
            assert result.grid.matches(Grid.of(read_volume(moved["t1"].path)))
        back = sitk.DICOMOrient(result.grid.image_from(result.labels), "LPS")
        assert np.array_equal(sitk.GetArrayFromImage(back), labels)


class TestRepeatability:
    """Same input, same model, same machine: the same bits."""

    def results(self, case, network, threads):
        model, before = (
            dataclasses.replace(load_model(MODEL), network=network),
            torch.get_num_threads(),
        )
        torch.set_num_threads(threads)
        try:
            return Segmenter(model, "cpu").segment(case, Progress())
        finally:
            torch.set_num_threads(before)

    @pytest.fixture(scope="class")
    def two(self, case, small_network):
        return self.results(case, small_network, 2)

    def test_the_same_bits_again(self, case, small_network, two):
        again = self.results(case, small_network, 2)
        assert np.array_equal(two.probabilities, again.probabilities)
        assert np.array_equal(two.labels, again.labels)

    @pytest.mark.parametrize("threads", [1, 3, 4])
    def test_other_thread_counts_change_no_label(self, case, small_network, two, threads):
        other = self.results(case, small_network, threads)
        assert np.array_equal(two.labels, other.labels)
        assert np.allclose(two.probabilities, other.probabilities, atol=1e-5)
