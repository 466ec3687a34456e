"""The recorded steps that experiments start from (data only, no heavy imports)."""

DEFAULT_PREPROCESSING: tuple[dict, ...] = (
    {"step": "mark_brain"},
    {"step": "clip_percentiles", "lower": 1.0, "upper": 99.0},
    {"step": "crop_to_brain"},
    {"step": "zscore"},
)

DEFAULT_POSTPROCESSING: tuple[dict, ...] = (
    {"step": "inside_brain"},
    {"step": "remove_small_components", "min_volume_ml": 0.5, "min_share": 0.05},
)
