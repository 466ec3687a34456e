"""Experiments as wholes: trained, tested, set beside the papers' rows; and the embedded example.

`runner` runs a list of experiments, `cross_validation` a list on `folds`. `ablation` tests without
some sequences, `failure_gallery` draws the worst cases, `demonstration` is the demo. `recipes`
holds the shipped experiment files. What the data of a list is, its task knows.

`personal_model` trains a finished model further on a user's cases: `personal_cases` splits them,
`personal_experiment` says how it is trained, `personal_scores` compares, `personal_card` tells.

Commands call `run_list`, `folds_of`, `cross_validate`, `run_demo` and `personalise`; the rest
serves these and the benchmarks.
"""
