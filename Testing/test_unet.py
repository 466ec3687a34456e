"""The U-Net: what it sees, its planes and neighbors, and a volume computed in three planes."""

import dataclasses
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import described
from padded_networks import check_size, furthest_pixel
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model, write_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.inference import choose_form, predict_slice, predict_volume, slab
from scripted_models.inference.folding import with_folded_norms
from scripted_models.networks import build_network
from scripted_models.networks.slice_network import PLANES
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter

SMALL = {"widths": (3, 4, 5)}


def make(seed=0, **arguments):
    """A small U-Net whose batch normalization has seen data."""
    torch.manual_seed(seed)
    network = build_network("UNet", **{**SMALL, **arguments})
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(2, network.input_channels, 24, 20))
    return network.eval()


def make_volume(shape=(9, 14, 11), seed=0):
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, bool)
    brain[1:-1, 2:-1, 1:-2] = True
    image = np.where(brain, rng.standard_normal((4, *shape)), 0).astype(np.float32)
    return image, brain


@pytest.mark.parametrize("widths", [(3,), (2, 3), (2, 3, 4), (1, 2, 2, 3, 3)])
def test_a_pixel_depends_on_what_the_receptive_field_says(widths):
    network = make(widths=widths, context_slices=0).double()
    assert furthest_pixel(network, 2 ** (len(widths) - 1)) == network.receptive_field // 2


@pytest.mark.parametrize("size", [(1, 1), (5, 16), (17, 3), (32, 40)])
def test_any_size_gives_as_many_pixels(size):
    check_size(make(), size, 4)


@pytest.mark.parametrize(
    "arguments", [{"widths": []}, {"planes": []}, {"planes": ["oblique"]}, {"slice_step": 0}]
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ModelError, match="UNet"):
        build_network("UNet", **arguments)


@pytest.mark.parametrize("context", [0, 1, 2])
def test_a_slab_has_the_neighbors_of_each_channel_in_their_order(context):
    image = np.arange(2 * 4 * 3 * 2, dtype=np.float32).reshape(2, 4, 3, 2) + 1
    padded = np.pad(image, ((0, 0), (context, context), (0, 0), (0, 0)), mode="edge")
    for z in range(4):
        expected = [padded[c, z + k] for c in range(2) for k in range(2 * context + 1)]
        np.testing.assert_array_equal(slab(image, z, context), np.stack(expected))


@pytest.mark.parametrize("context", [1, 2])
def test_a_single_slice_is_the_middle_of_its_copies(context):
    network = make(context_slices=context, planes=("axial",))
    image, brain = (array[..., 4:5, :, :] for array in make_volume())
    copies = (np.repeat(array, 2 * context + 1, axis=-3) for array in (image, brain))
    found, expected = predict_volume(network, image, brain), predict_volume(network, *copies)
    np.testing.assert_allclose(found[:, 0], expected[:, context], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "used"),
    [
        ((1, 20, 18), ["axial"]),
        ((15, 20, 18), ["axial"]),
        ((20, 15, 18), ["coronal"]),
        ((20, 18, 2), ["sagittal"]),
        ((3, 18, 2), ["sagittal"]),
        ((16, 16, 16), ["axial", "coronal", "sagittal"]),
        ((5, 5, 5), ["axial", "coronal", "sagittal"]),
    ],
)
def test_planes_whose_slices_are_narrow_are_left_out(shape, used):
    image = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    brain = np.ones(shape, bool)
    found = predict_volume(make(), image, brain)
    np.testing.assert_allclose(found, predict_volume(make(planes=used), image, brain), atol=1e-6)
    if len(used) < len(PLANES):
        stepped = predict_volume(make(slice_step=3), image, brain)
        np.testing.assert_allclose(stepped, found, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_an_error(value):
    network = make()
    with torch.no_grad():
        network.output.bias[2] = value
    with pytest.raises(ModelError, match="NaN or infinite values from the network"):
        predict_volume(network, *make_volume())


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("planes", [("axial",), ("sagittal",), ("coronal", "axial"), PLANES])
def test_a_volume_is_the_mean_over_planes_of_whole_slices(planes, context):
    network = make(context_slices=context, planes=planes)
    image, brain = make_volume((16, 19, 17))
    shares = []
    found = predict_volume(network, image, brain, shares.append)
    expected = []
    for axis in (PLANES.index(plane) for plane in planes):
        moved, mask = np.moveaxis(image, axis + 1, 1), np.moveaxis(brain, axis, 0)
        one = np.zeros((5, *mask.shape), np.float32)
        one[0] = 1
        with torch.no_grad():
            for z in np.flatnonzero(mask.any(axis=(1, 2))):
                window = torch.from_numpy(slab(moved, z, context).copy())[None]
                one[:, z] = network(window)[0].softmax(dim=0)
        expected.append(np.moveaxis(one, 1, axis + 1))
    np.testing.assert_allclose(found[:, brain], np.mean(expected, axis=0)[:, brain], atol=1e-6)
    assert (found[0, ~brain] == 1).all()
    assert (found[1:, ~brain] == 0).all()
    assert len(shares) == sum(
        brain.any(axis=tuple({0, 1, 2} - {PLANES.index(p)})).sum() for p in planes
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("step", [2, 3, 4, 50])
@pytest.mark.parametrize("planes", [("coronal",), PLANES])
def test_slices_between_computed_ones_are_interpolated(planes, step):
    image, brain = make_volume((16, 19, 17))
    shares = []
    found = predict_volume(make(planes=planes, slice_step=step), image, brain, shares.append)
    expected, computed = [], 0
    for plane in planes:
        axis = PLANES.index(plane)
        every = np.moveaxis(predict_volume(make(planes=(plane,)), image, brain), axis + 1, 0)
        occupied = np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))
        known = np.union1d(occupied[::step], occupied[-1:])
        lines = every[known].reshape(len(known), -1)
        between = [np.interp(np.arange(len(every)), known, line) for line in lines.T]
        expected.append(np.moveaxis(np.reshape(np.transpose(between), every.shape), 0, axis + 1))
        computed += len(known)
    np.testing.assert_allclose(found[:, brain], np.mean(expected, axis=0)[:, brain], atol=1e-6)
    assert (found[0, ~brain] == 1).all()
    assert len(shares) == computed
    assert shares[-1] == 1


def test_boxes_around_the_brain_are_stepped_over_too():
    """A network without padding computes the box of each slice, here of every second one."""
    torch.manual_seed(0)
    network = build_network("TwoPathCNN", initialization="he").eval()
    image, brain = make_volume((7, 12, 11))
    brain[2, :6] = False
    every = predict_volume(network, image * brain, brain, form="direct")
    network.slice_step = 2
    found = predict_volume(network, image * brain, brain, form="direct")
    np.testing.assert_allclose(found[:, 1::2], every[:, 1::2], atol=1e-6)
    for z in (2, 4):
        mean = (found[:, z - 1] + found[:, z + 1]) / 2
        np.testing.assert_allclose(found[:, z][:, brain[z]], mean[:, brain[z]], atol=1e-6)


def test_a_single_slice_is_that_of_the_axial_plane():
    network = make(planes=("axial",))
    image, brain = make_volume()
    rows, columns, values = predict_slice(network, image, brain, 3)
    whole = predict_volume(network, image, brain)
    inside = brain[3]
    np.testing.assert_allclose(values[:, inside[rows, columns]], whole[:, 3][:, inside], atol=1e-6)
    assert choose_form(network) == "direct"


def test_the_result_does_not_depend_on_where_other_brain_is():
    """Whole slices are computed, so a slice is the same whatever the boxes of others are."""
    network = make(planes=("axial",), context_slices=0)
    image, brain = make_volume()
    alone = brain.copy()
    alone[:4] = alone[5:] = False
    alone[4, :5] = False
    one, all_of_them = (predict_volume(network, image, mask) for mask in (alone, brain))
    inside = alone[4]
    np.testing.assert_allclose(one[:, 4][:, inside], all_of_them[:, 4][:, inside], atol=1e-6)


def test_a_network_that_sees_neighbors_is_a_bundle_and_may_be_half_as_large(tmp_path, monkeypatch):
    from monai.bundle import verify_net_in_out

    arguments = {"widths": [4, 8, 8], "context_slices": 1, "planes": ["axial", "sagittal"]}
    network = build_network("UNet", **arguments).eval()
    stated = described(network={"name": "UNet", "arguments": arguments})
    whole = write_model(tmp_path / "whole", network, stated)
    half = write_model(tmp_path / "half", network, stated, torch.float16)
    sizes = [(folder / "models" / "model.pt").stat().st_size for folder in (half, whole)]
    assert sizes[0] < 0.8 * sizes[1]
    for key, value in load_model(str(half)).network.state_dict().items():
        expected = network.state_dict()[key]
        assert value.dtype == expected.dtype
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)
    metadata = json.loads((half / "configs" / "metadata.json").read_text())
    names = metadata["network_data_format"]["inputs"]["image"]["channel_def"]
    assert (names["3"], names["4"], len(names)) == ("t1c (slice -1)", "t1c", 12)
    assert "axial, sagittal slices" in (half / "docs" / "README.md").read_text()
    monkeypatch.chdir(half)
    verify_net_in_out(
        net_id="network_def",
        meta_file="configs/metadata.json",
        config_file="configs/inference.json",
    )


class TestMissingSequences:
    """A model that was trained with missing sequences; the network is small and untrained."""

    @pytest.fixture(scope="class")
    @staticmethod
    def folder(tmp_path_factory):
        stated = described(
            needs_one_of=["t1c", "flair"],
            network={"name": "UNet", "arguments": {**SMALL, "context_slices": 1}},
            dice_by_sequences={
                "t1c+t2+flair": {"WT": 0.5, "TC": 0.4, "ET": 0.3},
                "t1+t1c+t2+flair": {"WT": 0.8, "TC": 0.7, "ET": 0.6},
            },
        )
        return write_model(tmp_path_factory.mktemp("models") / "m", make(), stated)

    @pytest.fixture
    def case(self, tmp_path):
        write_small_case(tmp_path, "Brats18_A_1_1", 1)
        return tmp_path / "Brats18_A_1_1"

    def run(self, case, folder, output):
        options = ["--output", str(output), "--model", str(folder), "--progress", "none"]
        return main(["segment", str(case), *options])

    @pytest.mark.parametrize("gone", [("t1",), ("t1", "t1ce", "t2"), ("t2", "flair")])
    def test_the_rest_is_segmented_and_the_report_says_what_it_costs(
        self, gone, case, folder, tmp_path
    ):
        for name in gone:
            (case / f"{case.name}_{name}.nii.gz").unlink()
        assert self.run(case, folder, tmp_path / "out") == 0
        report = json.loads((tmp_path / "out" / case.name / "report.json").read_text())
        assert report["missing"] == [name.replace("ce", "c") for name in gone]
        (said,) = [text for text in report["warnings"] if text.startswith("Found no ")]
        cost = (
            "0.50 / 0.40 / 0.30 instead of 0.80 / 0.70 / 0.60"
            if gone == ("t1",)
            else "not measured"
        )
        assert cost in said
        assert said.startswith("Found no T1;" if gone == ("t1",) else "Found no T")

    def test_a_missing_sequence_is_zero_for_the_network(self, case, folder):
        (whole,) = find_cases(case)
        model = load_model(str(folder))
        seen = []
        forward = model.network.features
        model.network.features = lambda x: seen.append(x) or forward(x)
        images = {m: source for m, source in whole.images.items() if m != "t2"}
        Segmenter(model, "cpu").segment(dataclasses.replace(whole, images=images), Progress())
        stacked = torch.cat([x.reshape(len(x), 4, 3, -1).abs().sum(dim=(2, 3)) for x in seen])
        assert (stacked[:, 2] == 0).all()
        assert (stacked[:, [0, 1, 3]].amax(dim=0) > 0).all()

    def test_neither_of_those_that_are_needed(self, case, folder, tmp_path, capsys):
        for name in ("t1ce", "flair"):
            (case / f"{case.name}_{name}.nii.gz").unlink()
        assert self.run(case, folder, tmp_path / "out") == 2
        assert "expected t1c or flair at least" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_model_that_needs_all_says_so(self, case, tmp_path, capsys):
        (case / f"{case.name}_t2.nii.gz").unlink()
        assert self.run(case, "TwoPathCNN", tmp_path / "out") == 2
        assert "expected all four sequences" in capsys.readouterr().err

    def test_some_files_by_option(self, case, folder, tmp_path, capsys):
        options = ["--output", str(tmp_path / "out"), "--model", str(folder), "--progress", "none"]
        files = {"t1c": case / f"{case.name}_t1ce.nii.gz", "t1": case / f"{case.name}_t1.nii.gz"}
        assert main(["segment", "--t1c", str(files["t1c"]), "--case-name", "c", *options]) == 0
        assert json.loads((tmp_path / "out" / "c" / "report.json").read_text())["missing"]
        assert main(["segment", "--t1", str(files["t1"]), *options]) == 2
        assert "expected t1c or flair at least" in capsys.readouterr().err

    def test_an_empty_file_is_not_a_missing_sequence(self, case, folder, tmp_path, capsys):
        path = case / f"{case.name}_t2.nii.gz"
        sitk.WriteImage(sitk.ReadImage(str(path)) * 0, str(path))
        assert self.run(case, folder, tmp_path / "out") == 2
        assert "found the same value" in capsys.readouterr().err


def test_folded_normalization_changes_nothing_but_rounding():
    network = make().double()
    folded = with_folded_norms(network)
    kinds = {type(layer) for layer in folded.modules()}
    assert torch.nn.BatchNorm2d not in kinds
    x = torch.randn(2, network.input_channels, 24, 20, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(folded(x), network(x), rtol=1e-9, atol=1e-9)
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())
    plain = build_network("TwoPathCNN").eval()
    assert with_folded_norms(plain) is plain
