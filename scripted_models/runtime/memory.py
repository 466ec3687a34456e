"""How much memory a case needs and how much there is, so that neither is found out too late."""

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scripted_models.errors import ResourceError

# Largest resident sizes of `segment` on two cores: for 240 x 240 x 155 voxels of 1 mm 1.2 GB
# (`fast`) to 2.1 GB (`InputCascadeCNN`), for 512 x 512 x 400 of 0.4 to 0.5 mm 5.7 GB (`fast`)
# and 6.2 GB (`default`). The formula gives 2.1 and 7.0 GB.
_PROGRAM_BYTES = 1.1e9
_BYTES_PER_INPUT_VOXEL = 50
_BYTES_PER_TRAINING_VOXEL = 60


def needed_bytes(voxels: int, training_voxels: int, network_bytes: int = 0) -> int:
    """Estimate the memory of a whole process that segments a case.

    Args:
        voxels: of the input.
        training_voxels: of the grid that the network works on.
        network_bytes: what the network takes beyond that of a network of slices.
    """
    inner = _BYTES_PER_TRAINING_VOXEL * training_voxels
    return int(_PROGRAM_BYTES + _BYTES_PER_INPUT_VOXEL * voxels + inner + network_bytes)


def check_memory(voxels: int, training_voxels: int, network_bytes: int = 0) -> None:
    """Refuse a case that this machine has no memory for; arguments as for `needed_bytes`.

    Raises:
        ResourceError: less than the estimate can be had, swap space included.
    """
    needed, there = needed_bytes(voxels, training_voxels, network_bytes), obtainable_bytes()
    large_windows = network_bytes > needed / 2
    if there is not None and needed > there:
        raise ResourceError(
            found=f"{_gib(there)} of memory for a case of {voxels / 1e6:.1f} million voxels",
            expected=f"about {_gib(needed)}",
            action="close other programs, or choose another model, whose windows are smaller"
            if large_windows
            else "close other programs, crop the volumes to the brain, or resample them to 1 mm",
        )


def _gib(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"


def is_shortage(error: BaseException) -> bool:
    """Tell whether an error says that the memory of the machine (not of a GPU) did not suffice."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def obtainable_bytes() -> int | None:
    """Return what this process has and can still get; None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_bytes()
    own = _kilobytes("/proc/self/status", ("VmRSS",))
    if own is None:  # macOS: all that is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = _kilobytes("/proc/meminfo", ("MemAvailable", "SwapFree"))
    limits = [own + free] if free is not None else []
    return min([*limits, *_container_limits(), *_process_limits()], default=None)


def _kilobytes(path: str, names: Sequence[str]) -> int | None:
    """Add up lines such as 'MemAvailable:  123 kB', in bytes."""
    try:
        lines = [line.split() for line in Path(path).read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    found = [int(words[1]) for words in lines if words and words[0].rstrip(":") in names]
    return 1024 * sum(found) if found else None


def _container_limits() -> list[int]:
    """Return what a container (control group) may use, less than the machine has."""
    limits = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdigit() else []
    return limits


def _process_limits() -> list[int]:
    import resource  # not on Windows

    soft = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return [] if soft == resource.RLIM_INFINITY else [soft]


if sys.platform == "win32":

    class _MemoryStatus(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in (
                *("total", "free", "total_page", "free_page"),
                *("total_virtual", "free_virtual", "free_extended"),
            )
        ]

    def _windows_bytes() -> int | None:
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        known = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.free_page) if known else None
