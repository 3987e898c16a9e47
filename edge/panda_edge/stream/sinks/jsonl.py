"""JSON lines, on stdout or in a file that is rotated by size and age."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.printable import rounded
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.lines import notice_line, outcome_line
from panda_edge.stream.sinks.worker import Worker, WorkerSink
from panda_edge.system import open_to_append, read_at, replace


class JsonLines(WorkerSink[bytes]):
    """One JSON object a line for every frame and notice."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        say: Callable[[str], None],
        may_wait: Callable[[], bool],
        release: Callable[[], None],
    ) -> None:
        """write: takes whole lines, all or none of them. may_wait: see Worker."""
        self._worker = Worker("lines", lambda lines: write(b"".join(lines)), say, len, may_wait=may_wait)
        self._release = release

    @property
    def broken(self) -> bool:
        """Nobody reads the pipe any more."""
        return self._worker.broken

    def outcome(self, outcome: Outcome) -> None:
        self._worker.put(json_bytes(outcome_line(outcome)) + b"\n")

    def notice(self, notice: Notice) -> None:
        self._worker.put(json_bytes(notice_line(notice)) + b"\n")

    def close(self, timeout: float) -> None:
        super().close(timeout)
        self._release()


def json_bytes(line: dict[str, Any]) -> bytes:
    """JSON in ASCII: a file's name may hold what is no UTF-8, and is then escaped."""
    return json.dumps(rounded(line), allow_nan=False).encode("ascii")


def write_to_stdout(lines: bytes) -> None:
    """Write to stdout's own descriptor, past Python's buffer, whose lock a reader that hangs would hold."""
    while lines:
        lines = lines[os.write(sys.stdout.fileno(), lines) :]


_BEGINS = json_bytes({"id": ""})[:-2]  # as `outcome_line` and `notice_line` do


class RotatedFile:
    """A file of lines. When it is larger than `max_bytes` or older than `max_seconds` it becomes NAME.1, the one before
    NAME.2, and so on up to `keep`; each begins with `head`. Ages are counted by a clock that is never set back, from
    when this process took the file up."""

    def __init__(self, path: Path, max_bytes: int, max_seconds: float, keep: int, head: bytes = b"") -> None:
        """Raises PandaError where the file cannot be written, where it begins with another head, or where its last line
        is unfinished and not one of these: what a crash left unfinished is cut off, nothing else is ever deleted."""
        self._path = path
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._keep = keep
        self._head = head
        try:
            self._handle = self._open()
            self._check_head()
            self._cut_unfinished()
        except OSError as error:
            raise PandaError(f"{path}: cannot be written ({error.strerror or error}); choose another file") from error

    def write(self, lines: bytes) -> None:
        """Append whole lines, all of them or none. Raises OSError."""
        size = os.fstat(self._handle).st_size
        if size and (size + len(lines) > self._max_bytes or time.monotonic() - self._since > self._max_seconds):
            self._rotate()
            size = 0
        lines = lines if size else self._head + lines
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._handle, lines[written:])
        except OSError:
            os.ftruncate(self._handle, size)  # a disk that filled up took only a part
            raise

    def close(self) -> None:
        os.close(self._handle)

    def _open(self) -> int:
        self._since = time.monotonic()
        return open_to_append(self._path)

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                replace(older, self._numbered(number + 1))
        if self._keep:
            replace(self._path, self._numbered(1))
        else:
            os.unlink(self._path)
        handle = self._open()
        os.close(self._handle)
        self._handle = handle

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _check_head(self) -> None:
        """Raises PandaError where the file is somebody else's."""
        begin = read_at(self._handle, len(self._head), 0)
        if begin != self._head[: len(begin)]:
            self.close()
            raise PandaError(f"{self._path}: its first line is not the one of these columns; give another file")

    def _cut_unfinished(self) -> None:
        """Raises PandaError where that would cut what is somebody else's."""
        end = size = os.fstat(self._handle).st_size
        while end:
            start = max(end - 65536, 0)
            found = read_at(self._handle, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end == size:
            return
        tail = read_at(self._handle, len(_BEGINS), end)
        if not self._head and tail != _BEGINS[: len(tail)]:
            self.close()
            raise PandaError(f"{self._path}: its last line is none of these, and unfinished; give another file")
        os.ftruncate(self._handle, end)
