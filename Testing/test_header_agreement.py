"""A header with a spoilt byte gives the volume that ITK makes of it, a refusal, or a doubt."""

import random

import numpy as np
import pytest
import SimpleITK as sitk
from volume_fixtures import RAMP, meta_image, nrrd, write_nifti

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.headers import header_doubts
from scripted_models.images.volume_files import read_volume

BYTES = b"0123456789. -+eE\x00\xff\x3f\x40\x80ANTx"
WRITERS = {
    ".nii": lambda path: write_nifti(path, RAMP, codes=(1, 1)),
    ".mha": lambda path: meta_image(path, RAMP.tobytes()),
    ".nrrd": lambda path: nrrd(path, RAMP.tobytes()),
}


def read_by_itk(path):
    """Return grid and voxels, None where ITK refuses the file."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    image = sitk.JoinSeries(image) if image.GetDimension() == 2 else image
    image = image[..., 0] if image.GetDimension() == 4 else image
    return Grid.of(image), sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("kind", WRITERS)
def test_no_spoilt_byte_gives_another_volume_without_a_word(tmp_path, kind):
    path, rng = tmp_path / f"a{kind}", random.Random(7)
    sound = WRITERS[kind](path).read_bytes()
    for _ in range(600):
        spoilt = bytearray(sound)
        place = rng.randrange(len(sound) - RAMP.nbytes)
        spoilt[place] = rng.choice(BYTES)
        path.write_bytes(spoilt)
        try:
            ours = read_volume(path)
        except InputError:
            continue
        theirs = read_by_itk(path)
        if theirs is None or header_doubts(path):
            continue
        assert Grid.of(ours).difference(theirs[0]) == "", (place, spoilt[place])
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), theirs[1])
