"""What happens before and after the network, as MONAI pipelines that are written down as data.

    steps              the steps as frozen dataclasses, read from tables
    preprocessing      volumes to what the network sees
    postprocessing     label maps to cleaner ones
    region_thresholds  class probabilities to labels
    volume_networks    what a network of volumes is shown, and what its outputs mean
    torchscript_steps  preprocessing in TorchScript, for exported models

Outside of this package use the names below. Those that build pipelines import MONAI when they are
first asked for; all others do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scripted_models.transforms.region_thresholds import (
    ESTIMATED_DICE,
    decide_labels,
    decision_expression,
    expected_dice,
)
from scripted_models.transforms.steps import (
    DEFAULT_POSTPROCESSING,
    DEFAULT_PREPROCESSING,
    CropToBrain,
    InsideBrain,
    KeepSequences,
    MarkBrain,
    PostprocessingStep,
    PreprocessingStep,
    SequenceName,
    Share,
    Standardize,
    check_order,
    check_postprocessing,
    kept_sequences,
    read_preprocessing,
)
from scripted_models.transforms.volume_networks import (
    OUR_AXES,
    LabelOutputs,
    NetworkOutputs,
    RegionOutputs,
    SlidingWindow,
)

if TYPE_CHECKING:
    from scripted_models.transforms.postprocessing import build_postprocessing
    from scripted_models.transforms.preprocessing import (
        STEP_VERSIONS,
        build_preprocessing,
        preprocess,
        standardizing,
    )
    from scripted_models.transforms.torchscript_steps import ScriptSteps, script_steps

__all__ = [
    "DEFAULT_POSTPROCESSING",
    "DEFAULT_PREPROCESSING",
    "ESTIMATED_DICE",
    "OUR_AXES",
    "STEP_VERSIONS",
    "CropToBrain",
    "InsideBrain",
    "KeepSequences",
    "LabelOutputs",
    "MarkBrain",
    "NetworkOutputs",
    "PostprocessingStep",
    "PreprocessingStep",
    "RegionOutputs",
    "ScriptSteps",
    "SequenceName",
    "Share",
    "SlidingWindow",
    "Standardize",
    "build_postprocessing",
    "build_preprocessing",
    "check_order",
    "check_postprocessing",
    "decide_labels",
    "decision_expression",
    "expected_dice",
    "kept_sequences",
    "preprocess",
    "read_preprocessing",
    "script_steps",
    "standardizing",
]
_WITH_MONAI = {
    "ScriptSteps": "torchscript_steps",
    "STEP_VERSIONS": "preprocessing",
    "build_postprocessing": "postprocessing",
    "build_preprocessing": "preprocessing",
    "preprocess": "preprocessing",
    "script_steps": "torchscript_steps",
    "standardizing": "preprocessing",
}


def __getattr__(name: str) -> Any:
    """Import what needs MONAI when it is first asked for."""
    if name in _WITH_MONAI:
        return getattr(import_module(f"{__name__}.{_WITH_MONAI[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
