"""How many threads are of use; a system that is asked for a million of them stands still."""

import os

from scripted_models.errors import InputError, Problem

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def useful_threads(wanted: int, option: str) -> tuple[int, Problem | None]:
    """Return how many threads to take for a stated number, at most one for each core.

    Args:
        wanted: by the user.
        option: that states it, for the sentence.

    Returns:
        The number of threads, and what the user should know when it is not the wanted one.

    Raises:
        InputError: a number below 1.
    """
    if wanted < 1:
        raise InputError(
            found=f"{option} {wanted}",
            expected="a number of at least 1",
            action="leave it out for all cores",
        )
    cores = usable_cores()
    if wanted <= cores:
        return wanted, None
    return cores, Problem(
        f"{option} {wanted}",
        f"at most {cores}, the cores of this machine",
        f"{cores} are used",
    )


def limit_thread_variables() -> None:
    """Lower what the environment asks of OpenMP and MKL to the cores, before they read it."""
    cores = usable_cores()
    for name in THREAD_VARIABLES:
        stated = os.environ.get(name, "")
        if stated.strip().isdecimal() and int(stated[:19]) > cores:
            os.environ[name] = str(cores)
