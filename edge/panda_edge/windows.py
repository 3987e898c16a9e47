"""What the system module asks of Windows alone, by its own calls. Imported nowhere else."""

from __future__ import annotations

import ctypes
import msvcrt
import os
import sys
from ctypes import wintypes

assert sys.platform == "win32"

_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)

_GENERIC_READ, _GENERIC_WRITE = 0x80000000, 0x40000000
_SHARE_READ, _SHARE_WRITE, _SHARE_DELETE = 1, 2, 4
_OPEN_EXISTING, _OPEN_ALWAYS = 3, 4
_NORMAL = 0x80
_SYNCHRONIZE, _WAIT_TIMEOUT, _ACCESS_DENIED = 0x00100000, 0x102, 5

_create_file = _kernel32.CreateFileW
_create_file.restype = wintypes.HANDLE
_create_file.argtypes = (
    wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID, wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE
)  # fmt: skip
_open_process = _kernel32.OpenProcess
_open_process.restype = wintypes.HANDLE
_open_process.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
_wait = _kernel32.WaitForSingleObject
_wait.restype = wintypes.DWORD
_wait.argtypes = (wintypes.HANDLE, wintypes.DWORD)
_close = _kernel32.CloseHandle
_close.argtypes = (wintypes.HANDLE,)


def open_shared(path: str, write: bool) -> int:
    """A descriptor of a file that others may read, write, rename and delete meanwhile. Raises OSError.

    write: the file is made where there is none; what is written goes to its end.
    """
    access, how = (_GENERIC_READ | _GENERIC_WRITE, _OPEN_ALWAYS) if write else (_GENERIC_READ, _OPEN_EXISTING)
    flags = (os.O_RDWR | os.O_APPEND if write else os.O_RDONLY) | os.O_BINARY | os.O_NOINHERIT
    return msvcrt.open_osfhandle(_opened(path, access, _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE, how), flags)


def hold(path: str) -> int:
    """A descriptor for reading of a file that nobody can write to, rename or delete until it is closed.

    Raises OSError.
    """
    return msvcrt.open_osfhandle(_opened(path, _GENERIC_READ, _SHARE_READ, _OPEN_EXISTING), os.O_RDONLY | os.O_BINARY)


def _opened(path: str, access: int, share: int, how: int) -> int:
    handle = _create_file(path, access, share, None, how, _NORMAL, None)
    if handle is None or handle == wintypes.HANDLE(-1).value:
        code = ctypes.get_last_error()
        raise OSError(None, ctypes.FormatError(code).strip(), path, code)
    return int(handle)


def process_lives(process: int) -> bool:
    """os.kill would end it, or send it Ctrl+C."""
    if not 0 < process < 1 << 32:
        return False
    handle = _open_process(_SYNCHRONIZE, False, process)
    if not handle:
        return ctypes.get_last_error() == _ACCESS_DENIED
    try:
        return bool(_wait(handle, 0) == _WAIT_TIMEOUT)
    finally:
        _close(handle)


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS_EX."""

    _fields_ = (
        ("size", wintypes.DWORD), ("faults", wintypes.DWORD), ("peak", ctypes.c_size_t), ("resident", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6), ("private", ctypes.c_size_t),
    )  # fmt: skip


def memory_mb() -> dict[str, float]:
    """See `system.memory_mb`. `own` is what was asked for, resident or not, at most all that is resident."""
    counters = _Counters()
    counters.size = ctypes.sizeof(counters)
    current = _kernel32.GetCurrentProcess
    current.restype = wintypes.HANDLE
    ask = _kernel32.K32GetProcessMemoryInfo
    ask.argtypes = (wintypes.HANDLE, ctypes.POINTER(_Counters), wintypes.DWORD)
    ask(current(), ctypes.byref(counters), counters.size)
    unit = 1024 * 1024
    own = min(counters.private, counters.resident)
    return {"peak": counters.peak / unit, "own": own / unit, "mapped": (counters.resident - own) / unit}
