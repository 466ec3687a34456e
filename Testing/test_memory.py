"""Memory: estimated before it is taken, kept within bounds, and given up step by step where it runs out."""

import dataclasses
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from fault_table import NAMES, make_inputs

from scripted_models.bundle.weights import load_model
from scripted_models.cases.case import Case, ImageSource
from scripted_models.errors import ResourceError
from scripted_models.geometry import Grid
from scripted_models.images.training_space import TrainingSpace
from scripted_models.inference import CPU_AFTER_GPU, GpuMemoryError, place_network
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime import memory
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import HALF, ONE_SLICE, segment_case

GIB = 2**30
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]), int(sys.argv[1])))
from scripted_models.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """Volumes of 240 x 240 x 155 voxels with a brain in a few slices, so that they are done soon."""
    inputs = make_inputs(tmp_path_factory.mktemp("full"))
    for name in NAMES:
        small = inputs.image(name)
        whole = np.zeros((155, 240, 240), np.float32)
        whole[70:84, 100:140, 100:140] = sitk.GetArrayFromImage(small)
        inputs.write(name, sitk.GetImageFromArray(whole), f"{name}.nii")
    return inputs


def limited(inputs, gib, output):
    command = inputs.command()
    command[command.index("--output") + 1] = str(output)
    command[command.index("--model") + 1] = "fast"
    limit = str(int(gib * GIB))
    return subprocess.run([sys.executable, "-c", LIMITED, limit, *command, "--progress", "json"],
                          capture_output=True, text=True)  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux only")
class TestLimit:
    def test_a_case_of_brats_fits_into_2_gib(self, full_size, tmp_path):
        done = limited(full_size, 2, tmp_path / "out")
        assert done.returncode == 0, done.stderr[-2000:]
        report = json.loads((tmp_path / "out" / "case" / "report.json").read_text())
        assert report["memory_steps"] == []

    def test_what_does_not_fit_is_refused_before_it_is_tried(self, full_size, tmp_path):
        done = limited(full_size, 1.2, tmp_path / "out")
        assert done.returncode == 4
        event = json.loads(done.stdout.splitlines()[-1])
        assert event["code"] == "resource"
        assert event["text"].startswith("Found 1.2 GiB of memory for a case of 8.9 million voxels")
        assert not (tmp_path / "out").exists()


class TestEstimate:
    def test_it_grows_with_both_grids(self):
        assert memory.needed_bytes(10**6, 10**6) < memory.needed_bytes(10**8, 10**6)
        assert memory.needed_bytes(10**6, 10**6) < memory.needed_bytes(10**6, 10**8)
        assert 1.2 * GIB < memory.needed_bytes(240 * 240 * 155, 240 * 240 * 155) < 2 * GIB

    def test_this_machine_tells(self):
        assert memory.obtainable_bytes() > 10**8

    def test_the_smallest_limit_counts(self, monkeypatch):
        monkeypatch.setattr(memory, "_container_limits", lambda: [3 * GIB])
        monkeypatch.setattr(memory, "_process_limits", lambda: [5 * GIB])
        assert memory.obtainable_bytes() <= 3 * GIB

    def test_a_system_that_does_not_tell_refuses_nothing(self, monkeypatch):
        monkeypatch.setattr(memory, "obtainable_bytes", lambda: None)
        memory.check_memory(10**12, 10**12)
        monkeypatch.setattr(memory, "obtainable_bytes", lambda: 0)
        with pytest.raises(ResourceError, match="Found 0"):
            memory.check_memory(1, 1)

    @pytest.mark.parametrize(
        "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, 1, 1, 0, 0, 0, 1, 0)]
    )
    def test_the_grid_of_the_network_is_known_without_resampling(self, direction):
        space = TrainingSpace(spacing_xyz_mm=(1.0, 1.0, 2.0))
        grid = Grid((30, 40, 24), (0.5, 1.0, 3.0), direction=direction)
        image = space.to_training(grid.image_from(np.zeros(grid.shape_zyx, np.float32)))
        found = np.prod(image.GetSize())
        assert space.training_voxels(grid) == pytest.approx(found, rel=0.1)


class Crowded(SliceNetwork):
    """Has memory for one slice at a time."""

    def __init__(self, network):
        super().__init__()
        self.hidden = [network]  # no sub-module: its layers stay as they are
        self.at_work, self.lock = 0, threading.Lock()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.num_classes, self.margins = network.num_classes, network.margins
        self.receptive_field = network.receptive_field

    def forward(self, image):
        with self.lock:
            self.at_work += 1
            alone = self.at_work == 1
        try:
            time.sleep(0.05)
            if not alone:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
            return self.hidden[0](image)
        finally:
            with self.lock:
                self.at_work -= 1


def case_of(inputs) -> Case:
    return Case("case", {m: ImageSource(path) for m, path in inputs.paths.items()})


def test_slices_are_taken_one_by_one_where_memory_runs_out(tmp_path, small_network):
    inputs = make_inputs(tmp_path)
    case = case_of(inputs)
    model, said, threads = load_model("TwoPathCNN"), [], torch.get_num_threads()
    expected = segment_case(case, dataclasses.replace(model, network=small_network), Progress())
    progress = Progress()
    progress.warning = said.append
    torch.set_num_threads(2)
    try:
        model = dataclasses.replace(model, network=Crowded(small_network))
        result = segment_case(case, model, progress)
    finally:
        torch.set_num_threads(threads)
    assert result.memory_steps == [ONE_SLICE]
    assert said == [f"The network now runs {ONE_SLICE}."]
    assert np.array_equal(result.labels, expected.labels)


class TestGpuMemory:
    """The fault is injected: a network that has no memory while it is on another device than the CPU.

    It may have some in half precision, which this machine then really computes in.
    """

    class Scarce(SliceNetwork):
        """Claims to be on a GPU until it is moved to the CPU."""

        def __init__(self, network, half_fits):
            super().__init__()
            self.hidden = [network]  # no sub-module: its layers stay as they are
            self.half_fits = half_fits
            self.on_cpu = False
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.num_classes, self.margins = network.num_classes, network.margins
            self.receptive_field = network.receptive_field

        def to(self, device):
            self.on_cpu = torch.device(device).type == "cpu"
            return self

        def forward(self, image):
            half = torch.is_autocast_enabled("cpu")
            if not self.on_cpu and not (half and self.half_fits):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            assert half != self.on_cpu
            return self.hidden[0](image)

    @pytest.fixture
    def case(self, tmp_path):
        return case_of(make_inputs(tmp_path))

    def segment(self, case, small_network, cpu_fallback, half_fits=False):
        model = load_model("TwoPathCNN")
        model = dataclasses.replace(model, network=self.Scarce(small_network, half_fits))
        progress, said = Progress(), []
        progress.warning = said.append
        return segment_case(case, model, progress, cpu_fallback=cpu_fallback), said

    def test_cpu_takes_over_and_says_so(self, case, small_network):
        result, said = self.segment(case, small_network, True)
        expected = [HALF, f"on the {CPU_AFTER_GPU}"]
        assert result.memory_steps == expected
        assert said == [f"The network now runs {step}." for step in expected]
        assert result.labels.any()

    @pytest.mark.parametrize("cpu_fallback", [False, True])
    def test_half_precision_comes_first(self, case, small_network, cpu_fallback):
        result, _ = self.segment(case, small_network, cpu_fallback, half_fits=True)
        assert result.memory_steps == [HALF]
        model = load_model("TwoPathCNN")
        single = segment_case(case, dataclasses.replace(model, network=small_network), Progress())
        apart = np.abs(result.probabilities - single.probabilities).max()
        assert 0 < apart < 0.02  # the eleven bits of float16, added up over some layers

    def test_device_that_was_asked_for_is_not_left(self, case, small_network):
        with pytest.raises(GpuMemoryError, match="choose --device cpu"):
            self.segment(case, small_network, False)

    @pytest.mark.parametrize("wanted", ["auto", "cpu"])
    def test_network_that_finds_no_room_is_placed_on_the_cpu(self, wanted):
        class Large(torch.nn.Linear):
            moves = 0

            def to(self, device):
                self.moves += 1
                if self.moves == 1:
                    raise RuntimeError("CUDA error: out of memory")
                return super().to(device)

        network = Large(2, 2)
        if wanted == "cpu":
            with pytest.raises(RuntimeError):
                place_network(network, wanted)
            return
        device, reason = place_network(network, wanted)
        assert (device.type, reason) == ("cpu", CPU_AFTER_GPU)
