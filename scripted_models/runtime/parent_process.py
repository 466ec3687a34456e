"""Is another process still there? A program started by another one can end with it."""

import _thread
import os
import signal
import sys
import threading
import time

INTERVAL_S = 1.0

if sys.platform == "win32":
    import ctypes

    _SYNCHRONIZE = 0x00100000  # access right of OpenProcess
    _TIMEOUT = 0x00000102  # WaitForSingleObject: still running

    def is_running(pid: int) -> bool:
        """Tell whether a process with this number exists."""
        kernel = ctypes.windll.kernel32
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = ctypes.c_void_p(kernel.OpenProcess(_SYNCHRONIZE, False, pid))
        if not handle.value:
            return False
        running = kernel.WaitForSingleObject(handle, 0) == _TIMEOUT
        kernel.CloseHandle(handle)
        return bool(running)

else:

    def is_running(pid: int) -> bool:
        """Tell whether a process with this number exists."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's
            return True
        return True


def end_with(pid: int) -> None:
    """End this program, as SIGTERM does, soon after the process `pid` is gone."""

    def watch() -> None:
        while is_running(pid):
            time.sleep(INTERVAL_S)
        if sys.platform == "win32":  # there a signal to oneself ends without clean-up
            _thread.interrupt_main()
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="process watch").start()
