"""Dense inference: whole volumes, only where there is brain, in the fastest form of equal result.

`devices` chooses where a network runs, `boxes` which part of each slice it sees, `spectral`
exchanges its large convolutions for equal ones, `volume` leads the slices through, and
`memory_ladder` says how to go on when memory runs out. `windows` leads a network of volumes through
one (`even_windows` as nnU-Net does), `window_cost` says beforehand what that takes, and
`label_probabilities` what comes out.
`reference` computes the same patch by patch, for tests and measurements. `brain_inferer` is the
inferer of MONAI's workflows.

Call what `__all__` names.
"""

from scripted_models.inference.boxes import brain_box, iterate_slices, padded_window, slab
from scripted_models.inference.devices import (
    CPU_AFTER_GPU,
    GpuMemoryError,
    Placement,
    choose_device,
    leave_gpu,
    place_network,
)
from scripted_models.inference.memory_ladder import Rung
from scripted_models.inference.volume import (
    FORMS,
    MOST_WORKERS,
    choose_form,
    predict_slice,
    predict_volume,
)
from scripted_models.inference.windows import cost_of, predict_windows

__all__ = [
    "CPU_AFTER_GPU",
    "FORMS",
    "MOST_WORKERS",
    "GpuMemoryError",
    "Placement",
    "Rung",
    "brain_box",
    "choose_device",
    "choose_form",
    "cost_of",
    "iterate_slices",
    "leave_gpu",
    "padded_window",
    "place_network",
    "predict_slice",
    "predict_volume",
    "predict_windows",
    "slab",
]
