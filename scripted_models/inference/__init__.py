"""Dense inference: whole volumes, only where there is brain, in the fastest form that gives the same result.

`devices` chooses where a network runs, `boxes` which part of each slice it sees, `spectral` exchanges its
large convolutions for equal ones, and `volume` leads the slices through.
"""

from scripted_models.inference.boxes import brain_box, iterate_slices, padded_window, slab
from scripted_models.inference.devices import (
    CPU_AFTER_GPU,
    GpuMemoryError,
    choose_device,
    place_network,
)
from scripted_models.inference.volume import (
    FORMS,
    MOST_WORKERS,
    choose_form,
    predict_slice,
    predict_volume,
)

__all__ = [
    "CPU_AFTER_GPU",
    "FORMS",
    "MOST_WORKERS",
    "GpuMemoryError",
    "brain_box",
    "choose_device",
    "choose_form",
    "iterate_slices",
    "padded_window",
    "place_network",
    "predict_slice",
    "predict_volume",
    "slab",
]
