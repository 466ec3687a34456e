"""What other systems do with names and worker processes, as far as it can be tried on this one."""

import pickle

import numpy as np
import pytest
import torch
from training_fixtures import make_case

from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.file_identity import doubles
from scripted_models.runtime.folder_names import can_be_folder
from scripted_models.training.experiment_config import TrainingConfig
from scripted_models.training.sampling import EpochPatches, PatchSampler
from scripted_models.training.training_case import TrainingCase

STEPS = ({"step": "flip", "prob": 0.5}, {"step": "adjust_contrast", "prob": 0.5})


class TestNames:
    @pytest.mark.parametrize(
        "name", ["case 1", "BraTS-GLI-00203-000", "Müller", "a.b", "con1", "x"]
    )
    def test_plain_names_are_folders_everywhere(self, name):
        assert can_be_folder(name, "linux")
        assert can_be_folder(name, "darwin")
        assert can_be_folder(name, "win32")

    @pytest.mark.parametrize(
        "name",
        [
            "CON",
            "nul.nii",
            "Com1",
            "lpt¹",
            "a:b",
            "C:",
            "a\\b",
            'a"b',
            "a?",
            "a*",
            "a|b",
            "a.",
            "a ",
        ],
    )
    def test_windows_takes_some_for_devices_streams_or_other_names(self, name):
        assert can_be_folder(name, "linux")
        assert not can_be_folder(name, "win32")

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a/"])
    def test_paths_are_folders_nowhere(self, name):
        assert not can_be_folder(name, "linux")
        assert not can_be_folder(name, "win32")

    def test_one_file_on_a_disk_that_knows_no_capitals_or_accents(self):
        names = ["Case", "CASE", "M\u00fcller", "Mu\u0308ller", "end", "end. ", "other"]
        assert doubles(names) == sorted(names[:6])


class TestWorkers:
    """On Windows and macOS workers are started anew: what they need is pickled for them."""

    @pytest.fixture(params=["in memory", "on disk"])
    def patches(self, request, tmp_path):
        case = make_case()
        if request.param == "on disk":
            case.save(tmp_path)
            case = TrainingCase.open(tmp_path)
        settings = TrainingConfig(output_size=8, pixels_per_patch=16, augmentation=STEPS)
        network = SliceNetwork()
        network.in_channels, network.margins = 4, (16, 16)
        network.context_slices, network.planes = 1, ("axial", "coronal")
        return EpochPatches(PatchSampler([case], settings, network), 1, 0, 3, 0, 1)

    def test_draw_the_same_patches(self, patches):
        sent = pickle.loads(pickle.dumps(patches))
        for index in range(len(patches)):
            assert all(map(torch.equal, patches[index], sent[index]))

    def test_open_the_files_of_cases_themselves(self, patches):
        (case,) = patches.sampler.cases
        sent = pickle.dumps(case)
        if isinstance(case.image, np.memmap):
            assert len(sent) < 1000
            assert isinstance(pickle.loads(sent).image, np.memmap)
        else:
            assert len(sent) > case.image.nbytes
