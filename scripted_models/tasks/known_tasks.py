"""The tasks by the names that experiments have for them."""

from collections.abc import Sequence

from scripted_models.bundle.description import TaskName
from scripted_models.errors import InputError
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.tasks.list_run import ListTask
from scripted_models.tasks.voc.voc_task import VocTask
from scripted_models.training.experiment_config import Experiment

TASKS: dict[TaskName, ListTask] = {task.name: task for task in (BrainsTask(), VocTask())}


def task_of(experiment: Experiment) -> ListTask:
    """Return the task of an experiment."""
    return TASKS[experiment.data.task]


def common_task(experiments: Sequence[Experiment]) -> ListTask:
    """Return the task that all experiments of a list share.

    Raises:
        InputError: they have several.
    """
    names = {experiment.data.task: experiment.name for experiment in experiments}
    if len(names) > 1:
        raise InputError(
            found="experiments for " + " and ".join(f"{t} ({name})" for t, name in names.items()),
            expected="a list for one of them",
            action="run two lists",
        )
    return task_of(experiments[0])
