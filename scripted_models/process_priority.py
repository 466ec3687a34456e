"""A long computation on all cores must not freeze the machine that somebody works at."""

import os

_NICENESS = 5
_WINDOWS_BELOW_NORMAL = 0x00004000


def give_way() -> None:
    """Let programs that somebody works with go first; alone, this one is as fast as before."""
    if os.name == "nt":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass(ctypes.c_void_p(kernel.GetCurrentProcess()), _WINDOWS_BELOW_NORMAL)
    else:
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, max(niceness, _NICENESS))
