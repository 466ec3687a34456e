"""Memory: estimated before it is taken, kept within bounds, and given up stepwise."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

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
from scripted_models.inference import (
    CPU_AFTER_GPU,
    GpuMemoryError,
    Placement,
    Rung,
    devices,
    place_network,
)
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime import memory
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.result import MEMORY_WORDS
from scripted_models.segmentation.segmenter import Segmenter

GIB = 2**30
ROOT = Path(__file__).resolve().parents[1]
LIMITED = """
import resource, sys
from scripted_models.cli import main
for limit in sys.argv[1].split():
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit), resource.RLIM_INFINITY))
    print(main(sys.argv[2:] + ["--output", limit]), flush=True)
"""


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """Volumes of 240 x 240 x 155 voxels with a brain in a few slices, which is done soon."""
    inputs = make_inputs(tmp_path_factory.mktemp("full"))
    for name in NAMES:
        small = inputs.image(name)
        whole = np.zeros((155, 240, 240), np.float32)
        whole[70:84, 100:140, 100:140] = sitk.GetArrayFromImage(small)
        inputs.write(name, sitk.GetImageFromArray(whole), f"{name}.nii")
    return inputs


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux only")
def test_a_case_of_brats_fits_into_2_gib_and_is_refused_before_it_is_tried_where_it_does_not(
    full_size, tmp_path
):
    """One process after the other limit, the smaller one first."""
    command = full_size.command()
    command[command.index("--model") + 1] = "fast"
    place = command.index("--output")
    del command[place : place + 2]
    small, enough = str(int(1.2 * GIB)), str(2 * GIB)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, f"{small} {enough}", *command, "--progress", "json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    refused = lines.index("4")
    event = json.loads(lines[refused - 1])
    assert event["code"] == "resource"
    assert event["text"].startswith("Found 1.2 GiB of memory for a case of 8.9 million voxels")
    assert not (tmp_path / small).exists()
    assert lines[-1] == "0", done.stderr[-2000:]
    report = json.loads((tmp_path / enough / "case" / "report.json").read_text())
    assert report["memory_steps"] == []


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


class TestLadder:
    gpu, memory = GpuMemoryError(), MemoryError()

    def test_it_begins_on_the_device(self):
        assert Rung.top_on(torch.device("cuda")) is Rung.GPU
        assert Rung.top_on(torch.device("cpu")) is Rung.CPU

    @pytest.mark.parametrize("may_leave", [True, False])
    def test_the_gpu_is_left_only_where_it_may_be(self, may_leave):
        assert Rung.GPU.below(self.gpu, may_leave) is Rung.GPU_HALF
        assert Rung.GPU_HALF.below(self.gpu, may_leave) is (Rung.CPU if may_leave else None)

    def test_the_cpu_takes_one_slice_at_a_time_in_the_end(self):
        torch_error = RuntimeError("DefaultCPUAllocator: can't allocate memory")
        assert Rung.CPU.below(torch_error, True) is Rung.CPU_ONE_SLICE
        assert Rung.CPU_ONE_SLICE.below(self.memory, True) is None

    @pytest.mark.parametrize("rung", Rung)
    def test_other_errors_lead_nowhere(self, rung):
        assert rung.below(RuntimeError("broken layer"), True) is None

    def test_every_lower_rung_has_words(self):
        assert set(MEMORY_WORDS) == set(Rung) - {Rung.GPU}


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


class Said(Progress):
    """Keeps the warnings."""

    def __init__(self):
        super().__init__()
        self.warnings = []

    def emit(self, event):
        if event["event"] == "warning":
            self.warnings.append(event["text"])


def segmented(model, network, case, progress=None):
    segmenter = Segmenter(dataclasses.replace(model, network=network), "cpu")
    return segmenter.segment(case, progress or Progress())


def case_of(inputs) -> Case:
    return Case("case", {m: ImageSource(path) for m, path in inputs.paths.items()})


def test_slices_are_taken_one_by_one_where_memory_runs_out(tmp_path, small_network):
    inputs = make_inputs(tmp_path)
    case = case_of(inputs)
    model, threads = load_model("TwoPathCNN"), torch.get_num_threads()
    expected = segmented(model, small_network, case)
    progress = Said()
    torch.set_num_threads(2)
    try:
        result = segmented(model, Crowded(small_network), case, progress)
    finally:
        torch.set_num_threads(threads)
    assert result.memory_steps == (Rung.CPU_ONE_SLICE,)
    assert progress.warnings == [f"The network now runs {MEMORY_WORDS[Rung.CPU_ONE_SLICE]}."]
    assert np.array_equal(result.labels, expected.labels)


class TestGpuMemory:
    """The fault is injected: a network that has no memory on another device than the CPU.

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

    @pytest.fixture
    def segmenter(self, small_network, monkeypatch):
        """Return a function that makes a segmenter on a GPU without memory."""
        cpu = devices.choose_device("cpu")
        gpu = Placement(torch.device("cuda"), "GPU of the test")
        choose = lambda wanted: cpu if wanted == "cpu" else gpu  # noqa: E731
        monkeypatch.setattr(devices, "choose_device", choose)

        def make(device, half_fits=False):
            network = self.Scarce(small_network, half_fits)
            return Segmenter(dataclasses.replace(load_model("TwoPathCNN"), network=network), device)

        return make

    def test_cpu_takes_over_and_says_so(self, case, segmenter):
        own, progress = segmenter("auto"), Said()
        assert own.placement.reason == "GPU of the test"
        result = own.segment(case, progress)
        expected = (Rung.GPU_HALF, Rung.CPU)
        assert result.memory_steps == expected
        told = [f"The network now runs {MEMORY_WORDS[rung]}." for rung in expected]
        assert progress.warnings == told
        assert result.labels.any()
        assert result.placement == own.placement == (torch.device("cpu"), CPU_AFTER_GPU)
        assert own.segment(case, Progress()).memory_steps == ()  # it stays there

    def test_half_precision_comes_first(self, tmp_path, segmenter, small_network):
        inputs = make_inputs(tmp_path)
        for name in NAMES:  # half precision is slow on a CPU
            inputs.write(name, inputs.image(name)[10:26, 10:26, 5:9])
        case = case_of(inputs)
        result = segmenter("auto", half_fits=True).segment(case, Progress())
        assert result.memory_steps == (Rung.GPU_HALF,)
        assert result.placement.reason == "GPU of the test"
        single = segmented(load_model("TwoPathCNN"), small_network, case)
        apart = np.abs(result.probabilities - single.probabilities).max()
        assert 0 < apart < 0.02  # the eleven bits of float16, added up over some layers

    def test_device_that_was_asked_for_is_not_left(self, case, segmenter):
        own = segmenter("cuda")
        with pytest.raises(GpuMemoryError, match="choose --device cpu"):
            own.segment(case, Progress())
        assert own.placement.reason == "GPU of the test"

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
