"""What a data set is: its cases, labels, validation, test data and tables.

`brains` and `voc` implement `training.task.Task`, and `list_run.ListTask` for lists of experiments.
`known_tasks` finds the task by the name that an experiment has for it: from outside call `task_of`
and `common_task`, then only what the protocols name.
"""
