"""Whoever changes what a step or a maker of cases computes raises its version number.

The cache of preprocessed cases knows the program by these numbers alone.
Here stand the results that belong to each number.
If a test fails because the result is meant to change, raise the number and write the new result.
"""

import numpy as np
import pytest
from training_fixtures import write_small_case
from voc_fixtures import write_experiment, write_voc

from scripted_models.cases.phantom import phantom_case
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains import (
    case_preparation,
    contrast_suppression,
    degradation,
    training_copies,
    tumor_transplant,
)
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.tasks.voc import picture_cases
from scripted_models.tasks.voc.voc_task import VocTask
from scripted_models.training import cache
from scripted_models.training.cache import digest
from scripted_models.training.experiment_config import DataConfig, Experiment, load_experiment
from scripted_models.transforms.preprocessing import (
    STEP_VERSIONS,
    TRANSFORMS,
    build_preprocessing,
    preprocess,
)
from scripted_models.transforms.steps import MarkBrain, Standardize

MARK = {"step": "mark_brain"}
OPTIONS = {
    "mark_brain": {},
    "clip_percentiles": {"lower": 5.0, "upper": 90.0},
    "n4": {"iterations": [3]},
    "crop_to_brain": {"margin": 1},
    "zscore": {"offset": 1.0},
    "keep_sequences": {"names": ["t1c", "flair"]},
}
BRAIN = [18, 22, 20, 0.267677, 0.442748, 0.0023799]
STEP_RESULTS = {  # step -> version, and `summary` of image and brain
    "mark_brain": (2, [4, 18, 22, 20, 26.73, 47.0146, 0.0498882, *BRAIN]),
    "clip_percentiles": (1, [4, 18, 22, 20, 26.4695, 46.1829, 0.0497639, *BRAIN]),
    "n4": (1, [4, 18, 22, 20, 26.7036, 46.9643, 0.0493195, *BRAIN]),
    "crop_to_brain": (
        1,
        [4, 16, 20, 18, 36.7538, 51.6802, 0.00913964, 16, 20, 18, 0.368056, 0.482277, 0.000140341],
    ),
    "zscore": (2, [4, 18, 22, 20, 0.267677, 0.680957, 0.00139886, *BRAIN]),
    "keep_sequences": (1, [2, 18, 22, 20, 26.7581, 47.0443, -0.0486206, *BRAIN]),
}
CASE = [4, 4, 28, 28, 125.193, 116.799, -0.261505, 4, 28, 28, 104.897, 125.259, 0.106732]
SUPPRESSED = [4, 18, 22, 20, 26.6934, 46.9183, 0.0624754, 18, 22, 20, 0.0412879, 0.301825]
DEGRADED = [4, 24, 40, 40, 77.2983, 153.241, 0.00377042, 24, 40, 40, 0.00447917, 0.105479, -2.16e-4]
WITH_TUMOR = [4, 24, 40, 40, 66.1907, 172.646, -0.0568258, 24, 40, 40, 0.03125, 0.30416, 8.95e-4]
PHANTOM = [14, 40, 40, 51.7053, 129.476, 0.115339, 14, 40, 40, 0.0324107, 0.305198, 0.000282756]
PICTURE = [3, 1, 40, 44, -0.410219, 0.555173, -0.00444759, 1, 40, 44, 10.8705, 49.003, -1.29045]


def summary(*arrays):
    """Return a few numbers that change with values, order and shape."""
    numbers = []
    for array in arrays:
        flat = np.asarray(array, np.float64).ravel()
        waves = np.cos(np.arange(flat.size))
        numbers += [*array.shape, flat.mean(), flat.std(), (flat * waves).mean()]
    return numbers


def near(numbers):
    return pytest.approx(numbers, rel=1e-3, abs=1e-4)


def head():
    """Four volumes with a brain that is an ellipsoid."""
    rng = np.random.default_rng(0)
    axes = np.ogrid[-1:1:18j, -1:1:22j, -1:1:20j]
    brain = sum(axis**2 for axis in axes) < 0.7
    image = rng.uniform(50, 150, (4, *brain.shape)) * (1 + 0.3 * axes[2])
    return (image * brain).astype(np.float32)


def brain_case(folder):
    """The case that one small volume on disk becomes, resampled along z."""
    write_small_case(folder, "Brats18_A_1_1", 1)
    data = DataConfig(validation_every=0, slice_spacing_mm=1.5)
    experiment = Experiment(data=data, preprocessing=(MarkBrain(),))
    ((source,), _) = BrainsTask().sources(experiment, folder, None)
    return source.make()


def picture_case(folder):
    """The case that one picture on disk becomes."""
    voc, experiment = write_voc(folder / "VOC2012"), load_experiment(write_experiment(folder))
    return VocTask().sources(experiment, voc, None)[0][0].make()


def suppressed_case():
    """A contrast-suppressed copy."""
    labels = np.zeros((18, 22, 20), np.uint8)
    labels[7:12, 8:14, 7:12], labels[8:11, 9:12, 8:11] = 2, 4
    image = head()
    image[1][labels == 4] *= 2
    return contrast_suppression.remove_enhancement(image, labels)


def phantom_arrays(seed):
    made = phantom_case.make_phantom(seed, (40, 40, 24))
    return np.stack([made.volumes[m] for m in SEQUENCES]).astype(np.float32), made.labels


@pytest.mark.parametrize("step", sorted(TRANSFORMS))
def test_a_step_gives_what_belongs_to_its_version(step):
    steps = [MARK] if step == "mark_brain" else [MARK, {"step": step, **OPTIONS[step]}]
    done = preprocess(build_preprocessing(steps), head())
    version, expected = STEP_RESULTS[step]
    assert STEP_VERSIONS[step] == version
    assert summary(done["image"], done["brain"]) == near(expected)


def test_makers_give_what_belongs_to_their_versions(tmp_path):
    case = brain_case(tmp_path / "brain")
    assert (case_preparation.VERSION, summary(case.image, case.target)) == (2, near(CASE))
    copy = summary(*suppressed_case())[:-1]
    assert (contrast_suppression.VERSION, copy) == (1, near(SUPPRESSED))
    worse = summary(*degradation.degrade(*phantom_arrays(2), 1, list(degradation.KINDS)))
    assert (degradation.VERSION, worse) == (1, near(DEGRADED))
    two = summary(*tumor_transplant.transplant(*phantom_arrays(2), *phantom_arrays(5), 1))
    assert (tumor_transplant.VERSION, two) == (1, near(WITH_TUMOR))
    picture = picture_case(tmp_path)
    assert (picture_cases.VERSION, summary(picture.image, picture.target)) == (2, near(PICTURE))
    phantom = phantom_case.make_phantom(3, (40, 40, 14))
    found = summary(phantom.volumes["t1c"], phantom.labels)
    assert (phantom_case.VERSION, found) == (1, near(PHANTOM))


def keys(folder):
    """The keys of a case, its contrast-suppressed and its degraded copy, and a phantom."""
    data = DataConfig(validation_every=0, contrast_suppressed=1, degraded=1, phantoms=1)
    steps = (MarkBrain(), Standardize())
    train, _ = BrainsTask().sources(Experiment(data=data, preprocessing=steps), folder, None)
    return [source.key for source in train]


def version_of(kind):
    return lambda patch: patch.setitem(training_copies.VERSIONS, kind, {"any": 99})


def test_every_version_enters_the_keys_it_concerns(tmp_path, monkeypatch):
    write_small_case(tmp_path, "Brats18_A_1_1", 1)
    before = keys(tmp_path)
    assert len(set(before)) == 4
    changes = (
        (lambda m: m.setattr(case_preparation, "VERSION", 99), [True, True, True, True]),
        (version_of("contrast_suppressed"), [False, True, False, False]),
        (version_of("degraded"), [False, False, True, False]),
        (lambda m: m.setattr(phantom_case, "VERSION", 99), [False, False, False, True]),
        (lambda m: m.setitem(STEP_VERSIONS, "zscore", 99), [True, True, True, True]),
        (lambda m: m.setitem(STEP_VERSIONS, "n4", 99), [False, False, False, False]),
    )
    for change, expected in changes:
        with monkeypatch.context() as patch:
            change(patch)
            after = keys(tmp_path)
        assert [a != b for a, b in zip(after, before, strict=True)] == expected


def test_pictures_and_libraries_enter_the_keys(tmp_path, monkeypatch):
    voc, experiment = write_voc(tmp_path / "VOC2012"), load_experiment(write_experiment(tmp_path))
    ((first, *_), _) = VocTask().sources(experiment, voc, None)
    with monkeypatch.context() as patch:
        patch.setattr(picture_cases, "VERSION", 99)
        ((other, *_), _) = VocTask().sources(experiment, voc, None)
    assert (other.name, other.key != first.key) == (first.name, True)
    before = digest([], {})
    monkeypatch.setattr(cache, "_libraries", lambda: b"another numpy")
    assert digest([], {}) != before
