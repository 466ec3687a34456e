"""Model folders: what a model says about itself, its weights, its card, and where models lie.

    description        `ModelDescription`, the typed content of model.json (`description_parts`)
    missing_sequences  which sequences a model can do without
    image_scales       what weights trained on pictures expect of one
    model_folders      paths, shipped and user models, checksums
    weights            `Model`: load a folder, write one (`skeleton`, `state_dicts` check first)
    card, monai_files  the model card, and the files of the MONAI bundle
    registry           list, import (`archive`, `foreign_files`, `zip_files`) and remove models
    importers/         models of other programs, one file a format
    exporters/         models for other programs, one file a format
    shipped/           the weights that come with the package

Outside of this package use the names below. Those that load weights import PyTorch when they are
first asked for; all others do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scripted_models.bundle.description import (
    CrfSettings,
    Decision,
    ModelDescription,
    NetworkDescription,
    Region,
    RegionScores,
    TaskName,
    TrainingRecord,
    parse_description,
    read_description,
)
from scripted_models.bundle.image_scales import IMAGE_SCALES, ImageScale
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.missing_sequences import missing_finding, needs_one_of
from scripted_models.bundle.model_folders import (
    MODEL_JSON,
    WEIGHTS,
    find_model,
    shipped_models,
    user_models,
    user_models_folder,
    verify_files,
)
from scripted_models.bundle.registry import (
    StoredModel,
    import_model,
    list_models,
    remove_model,
    stored_model,
)

if TYPE_CHECKING:
    from scripted_models.bundle.exporters.exported_model import export_model
    from scripted_models.bundle.weights import (
        Model,
        assemble_model,
        load_model,
        stored_type,
        write_model,
    )

__all__ = [
    "IMAGE_SCALES",
    "MODEL_JSON",
    "WEIGHTS",
    "Answers",
    "CrfSettings",
    "Decision",
    "ImageScale",
    "Model",
    "ModelDescription",
    "NetworkDescription",
    "Region",
    "RegionScores",
    "StoredModel",
    "TaskName",
    "TrainingRecord",
    "Understood",
    "assemble_model",
    "export_model",
    "find_model",
    "import_model",
    "list_models",
    "load_model",
    "missing_finding",
    "needs_one_of",
    "parse_description",
    "read_description",
    "remove_model",
    "shipped_models",
    "stored_model",
    "stored_type",
    "user_models",
    "user_models_folder",
    "verify_files",
    "write_model",
]
_WITH_TORCH = {
    **dict.fromkeys(
        ("Model", "assemble_model", "load_model", "stored_type", "write_model"), "weights"
    ),
    "export_model": "exporters.exported_model",
}


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch when it is first asked for."""
    if name in _WITH_TORCH:
        return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
