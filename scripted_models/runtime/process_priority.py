"""How this process takes memory and processor time; for programs, not for libraries."""

import ctypes
import gc
import os
import sys

_NICENESS = 5
_WINDOWS_BELOW_NORMAL = 0x00004000
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc


def give_way() -> None:
    """Let programs that somebody works with go first; alone, this one is as fast as before."""
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass(ctypes.c_void_p(kernel.GetCurrentProcess()), _WINDOWS_BELOW_NORMAL)
    else:
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, max(niceness, _NICENESS))


def keep_freed_memory() -> None:
    """Use freed memory again instead of giving it back, where the C library is glibc.

    Every layer frees what the next slice needs again. Fresh pages would take a tenth of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, 2**30)
        mallopt(_M_MMAP_THRESHOLD, 2**30) or mallopt(_M_MMAP_THRESHOLD, 2**25)  # before glibc 2.35


def end_soon() -> None:
    """Skip the search for garbage in all modules, with which Python would end."""
    gc.freeze()
