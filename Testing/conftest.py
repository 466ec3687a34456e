"""Fixtures for all tests: small phantoms, a tiny trained model, and the real cases when present."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share two cores; children inherit it

import pytest
from hypothesis import settings
from phantom_fixtures import write_doll

from scripted_models.networks import build_network

# No test asserts a time, and a run says the same as the run before. Before a release:
# pytest --hypothesis-profile=explore
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("repeatable")
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory) -> Path:
    """Three dolls' heads, phantoms of 40 x 40 x 14 voxels of 1 mm, as a BraTS-style folder."""
    folder = tmp_path_factory.mktemp("phantoms")
    for seed in (1, 2, 3):
        write_doll(folder, seed)
    return folder


@pytest.fixture(scope="session")
def small_network():
    """Return a TwoPathCNN with weights large enough to give varied labels."""
    import torch

    torch.manual_seed(0)
    return build_network("TwoPathCNN", initialization="he").eval()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of plain real cases, from $SCRIPTED_MODELS_DATA or beside the repository."""
    root = Path(os.environ.get("SCRIPTED_MODELS_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "brats").is_dir():
        pytest.skip(f"no real cases in {root}/brats; set SCRIPTED_MODELS_DATA")
    return root
