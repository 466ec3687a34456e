"""Label maps whose own file, or one beside it, states what the values mean."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from segment_fixtures import write_segments
from test_evaluation import GRID, tumor, write_prediction, write_truth

from scripted_models.cases.label_maps import read_labels
from scripted_models.cases.label_statements import dataset_coding, stated_coding
from scripted_models.errors import InputError
from scripted_models.evaluation.folder_scores import evaluate_folders
from scripted_models.images.volume_files import write_labels
from scripted_models.labels import CODINGS, encode_labels

NAMES = {
    1: ("necrosis", "NCR", "Necrotic core"),
    2: ("oedema", "ED", "Peritumoral edema"),
    3: ("non-enhancing", "NET", "Non-enhancing tumor"),
    4: ("enhancing", "ET", "Enhancing tumour"),
}
ALL = np.resize(np.arange(5, dtype=np.uint8), (3, 4, 5))
CASE = "BraTS20_Training_001"


def nobody():
    raise AssertionError("nothing states the coding")


def read(path, chosen=None, **options):
    return read_labels(path, chosen and CODINGS[chosen], nobody, **options)


class TestSegments:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    @given(
        values=st.lists(st.integers(1, 255), min_size=4, max_size=4, unique=True),
        order=st.permutations([1, 2, 3, 4]),
        layer_of=st.lists(st.integers(0, 2), min_size=4, max_size=4),
        spelling=st.integers(0, 2),
    )
    def test_any_numbering_in_any_layers(self, tmp_path, values, order, layer_of, spelling):
        count = max(layer_of) + 1
        layers = np.zeros((count, *ALL.shape), np.uint8)
        segments = []
        for value, label, layer in zip(values, order, layer_of, strict=True):
            layers[layer][label == ALL] = value
            name = NAMES[label][spelling]
            segments.append({"Name": name, "LabelValue": value, "Layer": layer})
        path = write_segments(tmp_path / "a.seg.nrrd", layers, segments)
        found = read(path)
        assert np.array_equal(found.labels, ALL)
        assert found.stated
        assert found.grid.shape_zyx == ALL.shape

    def test_the_first_versions_had_a_layer_for_each_segment(self, tmp_path):
        layers = [label == ALL for label in (4, 2, 1)]
        segments = [{"Name": name} for name in ("ET", "edema", "necrosis")]
        found = read(write_segments(tmp_path / "a.seg.nrrd", layers, segments))
        assert np.array_equal(found.labels, np.where(ALL == 3, 0, ALL))

    def test_regions_that_lie_within_each_other(self, tmp_path):
        regions = [np.isin(ALL, labels) for labels in ((1, 2, 3, 4), (1, 3, 4), (4,))]
        names = ("Whole tumor", "Tumor core", "Enhancing tumor")
        segments = [{"Name": name, "Layer": n, "LabelValue": 1} for n, name in enumerate(names)]
        found = read(write_segments(tmp_path / "a.seg.nrrd", regions, segments))
        assert np.array_equal(found.labels, np.where(ALL == 3, 1, ALL))
        assert found.coding.regions == ("WT", "TC", "ET")

    def test_regions_beside_all_labels_do_not_count(self, tmp_path):
        stale = np.ones(ALL.shape)  # a region that was not edited with its labels
        segments = [{"Name": NAMES[i][0], "LabelValue": i, "Layer": 0} for i in (1, 2, 3, 4)]
        segments.append({"Name": "Whole tumor", "LabelValue": 1, "Layer": 1})
        found = read(write_segments(tmp_path / "a.seg.nrrd", [ALL, stale], segments))
        assert np.array_equal(found.labels, ALL)
        assert "the regions 'Whole tumor' count only where" in found.notes[0]

    def test_a_region_and_one_label_tell_the_region_only(self, tmp_path):
        layers = [(ALL == 1), (ALL > 0)]
        segments = [
            {"Name": "Necrosis", "LabelValue": 1, "Layer": 0},
            {"Name": "Complete tumour", "LabelValue": 1, "Layer": 1},
        ]
        found = read(write_segments(tmp_path / "a.seg.nrrd", layers, segments))
        assert np.array_equal(found.labels > 0, ALL > 0)
        assert found.coding.regions == ("WT",)

    @pytest.mark.parametrize(
        ("layers", "segments", "words"),
        [
            ([ALL == 1], [{"Name": "Segment_1"}], "segments 'Segment_1' are no label"),
            ([ALL], [{"Name": "ET"}], r"the value\(s\) 2, 3, 4 in layer 0, which no segment has"),
            ([ALL > 0, ALL == 4], [{"Name": "edema"}, {"Name": "ET"}], "'ET' shares 12 voxels"),
            ([ALL > 0, ALL == 4], [{"Name": "edema"}, {"Name": "x"}], "with 2 layers whose segm"),
        ],
    )
    def test_refused(self, tmp_path, layers, segments, words):
        path = write_segments(tmp_path / "a.seg.nrrd", layers, segments)
        with pytest.raises(InputError, match=words) as caught:
            read(path)
        assert "export a label map" in str(caught.value)
        assert "Slicer segmentation" in str(caught.value)

    def test_an_empty_segment_of_any_name_and_other_tissue(self, tmp_path):
        segments = [
            {"Name": "Segment_9", "LabelValue": 9},
            {"Name": "ET", "LabelValue": 4},
            {"Name": "Ventricles", "LabelValue": 1},
        ]
        values = np.where(np.isin(ALL, (1, 4)), ALL, 0)
        found = read(write_segments(tmp_path / "a.seg.nrrd", [values], segments))
        assert np.array_equal(found.labels, np.where(ALL == 4, 4, 0))
        assert "'Ventricles' are read as background" in found.notes[0]

    def test_a_prediction_of_one_region_says_what_is_left_out(self, tmp_path):
        write_truth(tmp_path / "truth", CASE, tumor())
        (tmp_path / "model").mkdir()
        path = tmp_path / "model" / f"{CASE}.seg.nrrd"
        write_segments(path, [tumor() > 0], [{"Name": "Tumor"}], GRID.spacing_xyz_mm)
        result = evaluate_folders(tmp_path / "model", tmp_path / "truth")
        assert list(result.mean) == ["WT"]
        assert result.mean["WT"]["dice"] == 1
        words = "Predictions: coding 'segment names' does not define TC, ET: left out."
        assert words in result.notes

    def test_an_option_that_contradicts_the_names(self, tmp_path):
        segments = [{"Name": "ET", "LabelValue": 1}, {"Name": "edema", "LabelValue": 2}]
        path = write_segments(tmp_path / "a.seg.nrrd", [np.where(ALL < 3, ALL, 0)], segments)
        with pytest.raises(InputError, match="--coding internal, which calls the value 1 necrosis"):
            read(path, "internal")
        segments = [{"Name": "necrosis", "LabelValue": 1}, {"Name": "edema", "LabelValue": 2}]
        path = write_segments(tmp_path / "b.seg.nrrd", [np.where(ALL < 3, ALL, 0)], segments)
        assert set(np.unique(read(path, "internal").labels)) == {0, 1, 2}


TABLES = {  # of dataset.json -> labels of the values 0, 1, 2, 3
    "01234": {"0": "background", "1": "necrosis", "2": "edema", "3": "non-enhancing", "4": "ET"},
    "0124": {"background": 0, "NCR": 1, "ED": 2, "ET": 3},
    "0214": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
    "0412": {"background": 0, "ET": 1, "NCR/NET": 2, "oedema": 3},
    "02145": {"0": "bg", "1": "SNFH", "2": "NETC", "3": "ET", "4": "RC"},
    "0214 ": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "ET": [3]},
    "0124 ": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [1, 3], "ET": 3},
}


class TestDataset:
    @pytest.mark.parametrize("meanings", TABLES)
    def test_table(self, meanings):
        table = dataset_coding({"labels": TABLES[meanings]}).to_internal
        assert table == {value: int(label) for value, label in enumerate(meanings.strip())}

    def test_numbers_of_other_kinds(self):
        labels = {"background": 0.0, "NCR": "1", "ED": 2.0, "ET": 300, "x": True}
        assert dataset_coding({"labels": labels}).to_internal == {0: 0, 1: 1, 2: 2}

    @pytest.mark.parametrize("labels", [None, [], {}, {"0": "background"}, {"liver": 1}, {"1": 2}])
    def test_no_statement(self, labels):
        assert dataset_coding({"labels": labels}) is None
        assert dataset_coding({}) is None

    def test_predictions_of_regions_have_the_numbers_of_the_class_order(self):
        content = {"labels": TABLES["0124 "], "regions_class_order": [2, 1, 3]}
        assert dataset_coding(content, predicted=True).to_internal == {0: 0, 2: 2, 1: 1, 3: 4}
        content["regions_class_order"] = [1, 2, 3]
        assert dataset_coding(content, predicted=True).to_internal == {0: 0, 1: 2, 2: 1, 3: 4}
        assert dataset_coding(content).to_internal == {0: 0, 1: 1, 2: 2, 3: 4}

    @pytest.mark.parametrize("folder", [".", "labelsTr", "fold_0/validation"])
    def test_beside_and_above_label_maps(self, tmp_path, folder):
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": TABLES["0412"]}))
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        path = tmp_path / folder / "a.nii.gz"
        write_labels(path, tumor() // 2, GRID)
        assert stated_coding(path).coding.to_internal == {0: 0, 1: 4, 2: 1, 3: 2}
        assert stated_coding(tmp_path / "elsewhere" / "a.nii.gz") is None

    def test_scores_of_nnunet_predictions(self, tmp_path):
        """The folder of predictions has a dataset.json of its own, other than the truth's."""
        write_truth(tmp_path / "truth", CASE, tumor())
        (tmp_path / "nnunet").mkdir()
        ours = np.array([0, 2, 3, 0, 1], np.uint8)[tumor()]
        write_labels(tmp_path / "nnunet" / f"{CASE}.nii.gz", ours, GRID)
        folders = (tmp_path / "nnunet", tmp_path / "truth")
        wrong = evaluate_folders(*folders, prediction_coding=CODINGS["brats2023"])
        (tmp_path / "nnunet" / "dataset.json").write_text(json.dumps({"labels": TABLES["0412"]}))
        result = evaluate_folders(*folders)
        assert all(row["dice"] == 1 for row in result.mean.values())
        assert wrong.mean["ET"]["dice"] < 1
        with pytest.raises(InputError, match=r"--prediction-coding brats2023.*dataset\.json"):
            evaluate_folders(*folders, prediction_coding=CODINGS["brats2023"])


COLOR_TABLES = {
    "Tumor-label_ColorTable.ctbl": "# Color table file\n0 Background 0 0 0 0\n1 Edema 1 2 3 255\n"
    "2 Enhancing_tumor 1 2 3 255\n",
    "Tumor.labels.csv": "LabelValue,Name,Color_R,Color_G\n1,Edema,2,3\n2,Enhancing tumor,3,4\n",
    "Tumor.label": '# ITK-SnAP\n    0     0    0    0        0  0  0    "Clear Label"\n'
    '    1   255    0    0        1  1  1    "Edema"\n    2  0 255 0  1  1  1    "ET"\n',
    "dseg.tsv": "index\tname\tabbreviation\n1\tEdema\tED\n2\tEnhancing tumor\tET\n",
    "Tumor.tsv": "\ufeffname;value\nED;1\nET;2\n".replace(";", "\t"),
}


@pytest.mark.parametrize("name", COLOR_TABLES)
def test_table_of_names_beside_a_label_map(tmp_path, name):
    values = np.array([0, 0, 1, 0, 2], np.uint8)[tumor()]
    write_labels(tmp_path / "Tumor.nii.gz", values, GRID)
    (tmp_path / name).write_text(COLOR_TABLES[name], encoding="utf-8")
    found = read(tmp_path / "Tumor.nii.gz")
    assert np.array_equal(found.labels, np.where(tumor() == 1, 0, tumor()))
    with pytest.raises(InputError, match="calls the value 1 necrosis instead of edema"):
        read(tmp_path / "Tumor.nii.gz", "internal")


def test_tables_of_something_else_state_nothing(tmp_path):
    write_labels(tmp_path / "a.nii.gz", tumor(), GRID)
    for name, text in (("a.csv", "x,y\n1,2\n"), ("a.txt", "1 2 3 4 5 6\n"), ("b.ctbl", "\xff")):
        (tmp_path / name).write_text(text, encoding="latin-1")
    assert stated_coding(tmp_path / "a.nii.gz") is None


class TestExchangedLabels:
    """Predictions with 3 and never 4 beside a truth with 4, and the reverse."""

    def folders(self, tmp_path, predicted, truth=4):
        for shift, name in enumerate((CASE, "BraTS20_Training_002")):
            write_truth(tmp_path / "truth", name, np.where(tumor() == 4, truth, tumor()))
            labels = np.where(tumor(shift) == 4, predicted, tumor(shift))
            (tmp_path / "flat").mkdir(exist_ok=True)
            write_labels(tmp_path / "flat" / f"{name}.nii.gz", labels, GRID)
        return tmp_path / "flat", tmp_path / "truth"

    def test_three_for_four(self, tmp_path):
        folders = self.folders(tmp_path, predicted=3)
        with pytest.raises(InputError, match=r"label 3 and never 4 in 2 pred.*--prediction-coding"):
            evaluate_folders(*folders, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        stated = evaluate_folders(*folders, prediction_coding=CODINGS["brats2023"])
        assert stated.cases[CASE]["ET"]["dice"] == 1
        assert evaluate_folders(*folders, prediction_coding=CODINGS["internal"]).mean

    def test_four_for_three(self, tmp_path):
        folders = self.folders(tmp_path, predicted=4, truth=3)
        coding = CODINGS["brats2013"]
        with pytest.raises(InputError, match=r"label 4 and never 3"):
            evaluate_folders(*folders, truth_coding=coding)
        assert evaluate_folders(
            *folders, truth_coding=coding, prediction_coding=CODINGS["brats2021"]
        ).mean

    def test_one_prediction_with_both_is_enough(self, tmp_path):
        folders = self.folders(tmp_path, predicted=3)
        path = folders[0] / f"{CASE}.nii.gz"
        labels = tumor()
        labels[0, 0, 0] = 3
        write_labels(path, labels, GRID)
        result = evaluate_folders(*folders)
        assert any("No file and no option states" in note for note in result.notes)

    def test_what_states_its_coding_is_not_asked(self, tmp_path):
        write_truth(tmp_path / "truth", CASE, tumor())
        write_prediction(tmp_path / "model", CASE, encode_labels(tumor(), CODINGS["brats2023"]))
        report = tmp_path / "model" / CASE / "report.json"
        report.write_text('{"coding": "brats2023"}')
        assert evaluate_folders(tmp_path / "model", tmp_path / "truth").mean["ET"]["dice"] == 1
        report.unlink()
        with pytest.raises(InputError, match="label 3 and never 4"):
            evaluate_folders(tmp_path / "model", tmp_path / "truth")
