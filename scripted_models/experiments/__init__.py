"""Experiments as wholes: trained, tested, set beside the papers' rows; and the embedded example.

`runner` runs a list of experiments, `cross_validation` a list on `folds`. `ablation` tests without
some sequences, `failure_gallery` draws the worst cases, `demonstration` is the demo. `recipes`
holds the shipped experiment files. What the data of a list is, its task knows. Commands call
`run_list`, `folds_of`, `cross_validate` and `run_demo`; the rest serves these and the benchmarks.
"""
