"""Training: experiment settings, cases from a cache, patches, losses, the loop, checkpoints.

`experiment_config` reads an experiment. `task` says what training asks of a data set;
`train_experiment` of `training_run` gets one handed down and leaves a model folder. `assembly`
builds networks from trained parts and describes what was made. `first_checks` refuses before the
first step what would fail later. `trainer` is the loop; `sampling`, `augmentation` with its
`augmentation_steps`, `losses`, `optimizer` and `precision` serve it. `cache` keeps preprocessed
cases; `checkpoint`, `data_record` and `records` what a run knows; `distributed` several processes.
From outside call `load_experiment`, `train_experiment`, `write_ensemble` and `distributed`; tasks
also use `cache`, `task` and `training_case`.
"""
