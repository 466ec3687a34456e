"""Figures of models, runs and cases: what is drawn is what the networks, records and files say."""

import itertools
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from model_fixtures import described
from training_fixtures import history_row, write_small_case

from scripted_models.bundle.weights import load_model, write_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels
from scripted_models.labels import CODINGS, encode_labels
from scripted_models.networks import NETWORKS, build_network
from scripted_models.pictures.panels import LABEL_COLORS
from scripted_models.reporting.figures.first_layer_filters import draw_filters, find_filters
from scripted_models.reporting.figures.methods import draw_methods
from scripted_models.reporting.figures.progression import draw_progression
from scripted_models.reporting.figures.shown_case import SlicePredictor, read_shown_case
from scripted_models.reporting.figures.views import draw_views, segmentation_from
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.sequences import SEQUENCES
from scripted_models.training.records import write_records, write_snapshot

HAVAEI = sorted(name for name, entry in NETWORKS.items() if entry.source.startswith("Havaei"))
PATHS = {"LocalPathCNN": ["local path"], "GlobalPathCNN": ["global path"]}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, small_network):
    description = described(
        name="small",
        network={"name": "TwoPathCNN", "arguments": {}},
        postprocessing=[{"step": "inside_brain"}],
    )
    return write_model(tmp_path_factory.mktemp("run") / "model", small_network, description)


@pytest.fixture(scope="module")
def model(model_folder):
    return load_model(str(model_folder))


@pytest.fixture(scope="module")
def cases_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    for seed in (1, 2):
        write_small_case(folder, f"Brats18_Small_{seed}", seed)
    return folder


@pytest.fixture(scope="module")
def case(cases_folder):
    return find_cases(cases_folder)[0]


@pytest.fixture
def segmentation(case, tmp_path):
    """What `segment --coding brats2023` would write, with the labels of the truth."""
    labels, grid = case.read_truth()
    path = tmp_path / "segmentation.nii.gz"
    write_labels(path, encode_labels(labels, CODINGS["brats2023"]), grid)
    (tmp_path / "report.json").write_text('{"coding": "brats2023"}')
    return path


@pytest.fixture(scope="module")
def shown(case, model):
    return read_shown_case(case, model.space)


@pytest.fixture
def run_folder(tmp_path, small_network):
    """A finished run: two epochs of phase 1, one of phase 2, with drifting weights."""
    history = [
        history_row(1, 1, 1.5, 0.2),
        history_row(1, 2, 1.0, 0.4),
        history_row(2, 1, 0.5, 0.6),
    ]
    write_records(tmp_path, history)
    for number, (phase, epoch) in enumerate([(1, 1), (1, 2), (2, 1)]):
        weights = {key: value.clone() for key, value in small_network.state_dict().items()}
        weights["output.bias"][number] += 3.0
        write_snapshot(tmp_path, phase, epoch, weights)
    return tmp_path


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def panels(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def colors_in(panel):
    """Labels whose outline color stands in a panel."""
    return {k for k, color in LABEL_COLORS.items() if np.all(panel == color, axis=2).any()}


class TestFilters:
    @pytest.mark.parametrize("name", HAVAEI)
    def test_every_network_shows_the_paths_it_has(self, name, model):
        network = build_network(name, **({"members": 2} if name == "VotedEnsemble" else {}))
        banks = find_filters(replace(model, network=network))
        assert [bank.path for bank in banks] == PATHS.get(name, ["local path", "global path"])
        for bank in banks:
            own = {"local path": (64, 7), "global path": (160, 13)}[bank.path]
            channels = 9 if name == "InputCascadeCNN" else 4
            assert bank.weights.shape == (own[0], 2, channels, own[1], own[1])
            assert len(bank.channels) == channels

    def test_filters_of_a_cascade_are_those_of_its_second_network(self, model):
        network = build_network("InputCascadeCNN", initialization="he")
        local, _ = find_filters(replace(model, network=network))
        first = network.second.local_path.layer1[0].weight.detach().numpy()
        np.testing.assert_array_equal(local.weights[3, 1], first[64 + 3])
        assert local.channels[3:6] == ("FLAIR", "P(background)", "P(necrosis)")

    def test_pieces_of_a_map_are_those_that_maxout_compares(self, model):
        local, _ = find_filters(model)
        layer = model.network.local_path.layer1
        image = torch.randn(1, 4, 7, 7, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected = layer[1](layer[0](image))[0, :, 0, 0].numpy()
        responses = np.einsum("mpchw,chw->mp", local.weights, image[0].numpy())
        responses += layer[0].bias.detach().numpy().reshape(2, -1).T
        np.testing.assert_allclose(responses.max(axis=1), expected, rtol=0, atol=1e-4)

    def test_strongest_map_comes_first_on_a_scale_of_its_own(self, model):
        local, _ = find_filters(model)
        local.weights[17] *= 50
        mosaic = draw_filters([local], "x").axes[0].images[0].get_array()
        strongest = local.weights[17, 0] / np.abs(local.weights[17, 0]).max()
        for channel in range(4):
            drawn = mosaic[8 * channel : 8 * channel + 7, :7]
            np.testing.assert_allclose(drawn, strongest[channel], rtol=0, atol=1e-6)
        assert mosaic.max() == pytest.approx(1) or mosaic.min() == pytest.approx(-1)

    def test_a_network_without_paths_is_refused(self, model):
        with pytest.raises(InputError, match="no local and global path"):
            find_filters(replace(model, network=torch.nn.Conv2d(4, 5, 3)))


class TestShownCase:
    def test_slices_equal_the_whole_segmentation(self, case, model, shown):
        whole = Segmenter(model, "cpu").segment(case, Progress())
        expected = shown.placement.bring(whole.labels, whole.grid, "x")
        predictor = SlicePredictor(model, shown)
        found = [predictor.labels(model.network, z) for z in range(len(expected))]
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(found, expected)

    def test_another_orientation_shows_the_same(self, case, model, shown, tmp_path):
        folder = tmp_path / case.name
        folder.mkdir()
        for source in [*(image.path for image in case.images.values()), case.truth]:
            turned = sitk.DICOMOrient(sitk.ReadImage(str(source)), "SRA")
            sitk.WriteImage(turned, str(folder / source.name))
        turned = read_shown_case(find_cases(tmp_path)[0], model.space)
        np.testing.assert_array_equal(turned.truth, shown.truth)
        for sequence in SEQUENCES:
            np.testing.assert_array_equal(turned.volumes[sequence], shown.volumes[sequence])


class TestMethods:
    def test_columns_are_images_models_and_truth(self, model, shown):
        figure = draw_methods([model, model], shown, 2)
        assert titles(figure) == ["T1c", "FLAIR", "small", "small", "ground truth"]
        assert len(figure.axes) == 2 * 5
        _, flair, *segmented, truth = panels(figure)[:5]
        assert colors_in(flair) == set()
        assert colors_in(truth)
        np.testing.assert_array_equal(*segmented)

    def test_each_model_decides_in_its_own_way(self, model, shown):
        rare = dict.fromkeys(("WT", "TC", "ET"), 0.999)
        careful = replace(model, description=replace(model.description, decision=rare))
        together, alone = (
            draw_methods([model, careful], shown, 1),
            draw_methods([careful], shown, 1),
        )
        usual, own = panels(together)[2:4]
        np.testing.assert_array_equal(own, panels(alone)[2])
        assert not np.array_equal(own, usual)

    def test_without_truth_slices_go_through_the_tumor_that_is_found(self, model, shown):
        figure = draw_methods([model], replace(shown, truth=None), 1)
        assert titles(figure) == ["T1c", "FLAIR", "small"]
        assert not [text for text in figure.texts if "Dice" in text.get_text()]
        assert colors_in(panels(figure)[2])

    def test_title_colors_and_note_do_not_touch(self, model, shown):
        named = replace(shown, name="a case with a name that is longer than the figure is wide")
        figure = draw_methods([model], named, 1)
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        boxes = [t.get_window_extent() for t in figure.texts if t.get_text()]
        boxes.append(legend.get_window_extent())
        assert len(boxes) == 4  # row, title, note, colors
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        width, height = figure.get_size_inches() * figure.dpi
        assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


class TestProgression:
    def test_epochs_stand_in_their_order_and_show_their_weights(self, run_folder, model, shown):
        figure = draw_progression(run_folder, model, shown, z=3)
        assert titles(figure) == [
            "FLAIR",
            "epoch 1",
            "epoch 2",
            "ground truth",
            "FLAIR",
            "epoch 1",
            "ground truth",
        ]
        first, second, last = (panels(figure)[i] for i in (1, 2, 5))
        assert not np.array_equal(first, second)
        predictor = SlicePredictor(model, shown)
        expected = predictor.labels(model.network, 3)  # the last snapshot's weights are in
        assert colors_in(last) == set(np.unique(expected).tolist()) - {0}

    def test_a_run_without_snapshots_is_told_how_to_get_them(self, tmp_path, model, shown):
        with pytest.raises(InputError, match=r"training\.snapshot_every=5"):
            draw_progression(tmp_path, model, shown)

    def test_a_snapshot_of_another_network_is_refused(self, run_folder, model, shown):
        other = build_network("LocalPathCNN").state_dict()
        write_snapshot(run_folder, 1, 1, other)
        with pytest.raises(
            InputError, match=r"phase1_epoch001\.pt: found no weights of TwoPathCNN"
        ):
            draw_progression(run_folder, model, shown, z=3)


class TestViews:
    def test_planes_show_images_segmentation_and_truth(self, shown):
        figure = draw_views(shown, shown.truth, "mine")
        assert titles(figure) == ["T1c", "FLAIR", "mine", "ground truth"]
        for start in (0, 4, 8):
            _, flair, mine, truth = panels(figure)[start : start + 4]
            np.testing.assert_array_equal(mine, truth)
            assert not np.array_equal(flair, truth)

    def test_a_segmentation_is_read_in_the_coding_of_its_report(self, case, shown, segmentation):
        np.testing.assert_array_equal(segmentation_from(segmentation, case, shown), shown.truth)

    def test_a_segmentation_on_another_grid_is_refused(self, case, shown, tmp_path):
        path = tmp_path / "segmentation.nii.gz"
        write_labels(path, np.zeros((3, 4, 5), np.uint8), Grid((5, 4, 3)))
        with pytest.raises(InputError, match="another grid"):
            segmentation_from(path, case, shown)


class TestCommand:
    @pytest.mark.parametrize(
        "arguments",
        [
            "progression --run {run} --case {case} --slice 3",
            "methods --model {run}/model --case {case} --slices 1",
            "views --model {run}/model --case {case}",
            "views --segmentation {segmentation} --case {case}",
            "curves --run {run}",
        ],
    )
    def test_each_kind_writes_its_file(
        self, arguments, run_folder, model_folder, case, segmentation
    ):
        shutil.copytree(model_folder, run_folder / "model")
        path = run_folder / "new folder" / "figure.png"
        places = {"run": run_folder, "case": case.truth.parent, "segmentation": segmentation}
        words = [word.format(**places) for word in arguments.split()]
        assert main(["figures", *words, "--output", str(path), "--progress", "none"]) == 0
        assert path.read_bytes().startswith(b"\x89PNG")

    def test_a_folder_gets_a_file_for_each_path_and_network(self, model_folder, tmp_path):
        output = ["--output", str(tmp_path), "--progress", "none"]
        assert main(["figures", "filters", "--model", str(model_folder), *output]) == 0
        assert main(["figures", "architecture", "TwoPathCNN", "FCN8s", *output]) == 0
        stems = {path.stem for path in tmp_path.iterdir()}
        assert stems == {"FCN8s", "TwoPathCNN", "global_path", "local_path"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("architecture TwoPathCNN AverageCNN --output {tmp}/a.png", "expected a folder"),
            ("architecture Nowhere --output {tmp}/a.png", "unknown network"),
            ("methods --case {cases} --output {tmp}/a.png", "2 cases"),
            ("methods --case {cases} --output {tmp}/a.gif", "expected a file name"),
            ("methods --case {cases} --slices 0 --output {tmp}/a.png", "expected 1 to"),
            ("progression --run {run} --case {case} --slice 99 --output {tmp}/a.png", "6 axial"),
            ("progression --run {cases} --case {case} --output {tmp}/a.png", "snapshot_every"),
        ],
    )
    def test_what_cannot_be_drawn_is_said_and_nothing_is_written(
        self, arguments, message, run_folder, model_folder, case, tmp_path, cases_folder, capsys
    ):
        shutil.copytree(model_folder, run_folder / "model")
        places = {"tmp": tmp_path, "cases": cases_folder, "run": run_folder}
        places["case"] = case.truth.parent
        words = [word.format(**places) for word in arguments.split()]
        assert main(["figures", *words, "--progress", "none"]) in (2, 3)
        assert message in capsys.readouterr().err
        assert not list(tmp_path.glob("a.*"))

    def test_without_matplotlib_one_sentence_says_what_to_install(self, tmp_path):
        command = ["figures", "curves", "--run", ".", "--output", str(tmp_path / "a.png")]
        code = (
            "import sys; sys.modules['matplotlib'] = None; from scripted_models.cli import main; "
            f"sys.exit(main({command!r}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert 'pip install "scripted-models[figures]"' in line
