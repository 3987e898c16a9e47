"""What systems differ in: the one place that asks what Linux, macOS or Windows can do."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    from panda_edge import windows
try:
    import fcntl
except ImportError:  # Windows
    _HAS_FLOCK = False
else:
    _HAS_FLOCK = True

_BYTES = getattr(os, "O_BINARY", 0)  # Windows would turn \n into \r\n
_OWN = getattr(os, "O_CLOEXEC", getattr(os, "O_NOINHERIT", 0))
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_PATIENCE = 2.0  # seconds that Windows may keep others from a file that a virus scanner looks at

END_SIGNALS = [number for name in ("SIGTERM", "SIGINT", "SIGBREAK") if (number := getattr(signal, name, None))]
RELOAD_SIGNALS = [number for name in ("SIGHUP",) if (number := getattr(signal, name, None))]
"""Empty on Windows, which has no signal that programs send each other."""

_one_at_a_time = threading.Lock()  # where to read or write at a place is to go there first


def open_for_reading(path: str | os.PathLike[str], wait: bool = False) -> int:
    """A descriptor of a file. wait: for whoever writes to a pipe; else one is opened at once. Raises OSError."""
    if sys.platform == "win32":
        return windows.open_shared(os.fspath(path), write=False)
    return os.open(path, os.O_RDONLY | _BYTES | _OWN | (0 if wait else _AT_ONCE))


def open_to_append(path: Path) -> int:
    """A descriptor to append to and to read from, of a file that may be renamed meanwhile. Raises OSError."""
    if sys.platform == "win32":
        return windows.open_shared(str(path), write=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BYTES | _OWN, 0o644)


def read_at(handle: int, size: int, offset: int) -> bytes:
    """As os.pread. Raises OSError."""
    if hasattr(os, "pread"):
        return os.pread(handle, size, offset)
    with _one_at_a_time:
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, size)


def write_at(handle: int, data: memoryview, offset: int) -> None:
    """Write all bytes at a place of a file, which `read_at` reads. Raises OSError."""
    while data:
        if hasattr(os, "pwrite"):
            written = os.pwrite(handle, data, offset)
        else:
            with _one_at_a_time:
                os.lseek(handle, offset, os.SEEK_SET)
                written = os.write(handle, data)
        data, offset = data[written:], offset + written


def reserve(handle: int, size: int) -> None:
    """Take `size` bytes of the disk for an open file. Raises OSError.

    Where the system has no call for it this does nothing. Windows' files have their room as soon as they have their
    size; macOS' have not.
    """
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)


def replace(source: Path, target: Path) -> None:
    """As os.replace. Windows lets nobody replace a file that another has open: it is tried for a while.

    Raises OSError.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return os.replace(source, target)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > until:
                raise
            time.sleep(0.02)


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk. Raises OSError.

    Windows has no such call for a folder: NTFS keeps its names in a journal of its own.
    """
    if sys.platform == "win32" and path.is_dir():
        return
    # Windows syncs only what could be written to.
    handle = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | _BYTES)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where this system or file system cannot (Linux can, mostly)."""
    if sys.platform != "linux":
        return False
    import ctypes

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    current_folder, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if renameat2 is None:
        return False
    return bool(renameat2(current_folder, os.fsencode(one), current_folder, os.fsencode(other), swap) == 0)


class FolderClaim:
    """A folder that this process works in, which its death gives back, however it dies.

    POSIX: the folder is locked (flock). Windows: it is this process's as long as one of its number lives.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._handle = os.open(folder, os.O_RDONLY) if _HAS_FLOCK else None
        self._take()

    def _take(self) -> bool:
        try:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another holds it, or locks are not known
            return False
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)

    @classmethod
    def is_held(cls, folder: Path, process: str) -> bool:
        """Whether a living process works in a folder. process: the number of the one that made it. Raises OSError."""
        if not _HAS_FLOCK:
            return process.isdecimal() and process_lives(int(process))
        claim = cls.__new__(cls)
        claim._handle = os.open(folder, os.O_RDONLY)
        try:
            return not claim._take()
        finally:
            claim.release()


class PrivateCopy:
    """A file for this process alone: written by `handle`, then sealed, and read by its path.

    Linux: memory that nobody can write to any more. Windows: a temporary file that nobody can write to as long as it is
    held. macOS: a temporary file that only the same user can reach.
    """

    def __init__(self, name: str) -> None:
        """name: what the system calls it where it shows it. Raises OSError."""
        self.unbroken = sys.platform != "win32"
        """Whether nobody can have written to it before it was sealed."""
        self._folder: str | None = None
        if hasattr(os, "memfd_create"):
            self.handle = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self._path = Path(f"/dev/fd/{self.handle}")
            return
        import tempfile  # which takes longer than a bundle to open

        self._folder = tempfile.mkdtemp(prefix="panda-edge-")
        self._path = Path(self._folder, "held")
        self.handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BYTES | _OWN, 0o600)

    def sealed(self) -> Path:
        """Where to read it until it is closed. Raises OSError."""
        if self._folder is None:
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.handle, fcntl.F_ADD_SEALS, seals)
        elif sys.platform == "win32":
            os.close(self.handle)
            self.handle = windows.hold(str(self._path))
        return self._path

    def close(self) -> None:
        with suppress(OSError):
            os.close(self.handle)
        if self._folder is not None:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)


def process_lives(process: int) -> bool:
    """Whether a process has this number; True where that cannot be told."""
    if sys.platform == "win32":
        return windows.process_lives(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def usable_processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def memory_mb() -> dict[str, float]:
    """This process's memory, MB: `peak` resident so far; now `own` (backed by no file), `mapped` (banks, libraries)."""
    if sys.platform == "win32":
        return windows.memory_mb()
    with suppress(OSError, KeyError, ValueError):
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        in_mb = {key: int(fields[key].split()[0]) / 1024 for key in ("VmHWM", "RssAnon", "RssFile")}
        return {"peak": in_mb["VmHWM"], "own": in_mb["RssAnon"], "mapped": in_mb["RssFile"]}
    import resource

    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"peak": peak, "own": peak, "mapped": 0.0}


def keep_port(listening: socket.socket) -> None:
    """Of a socket to be bound: a port whose last connections are dying may be taken, one that is listened on not."""
    # On Windows SO_REUSEADDR would let any other program take the port over.
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1)
