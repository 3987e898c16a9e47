"""A command of ours beside the loop: one at a time, on a share of the processors, behind everything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.stream.started import started

_LONGEST = 1800.0  # seconds
_MOST_SAID = 8000  # characters of an error
_FAREWELL = 5.0

# In a program of its own, as a person in a shell would: its memory and its crash are not the loop's.
_PROGRAM = """
import os, sys
if hasattr(os, "nice"):
    os.nice(15)
if hasattr(os, "sched_setaffinity"):
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[len(processors) // 2:])
from panda_edge.commands.app import main
main()
"""


@dataclass
class Job:
    """What is being done. what: in a word. said: `progress`, `done` and `total`, as the command says them. result: of
    its JSON, None while it runs or where it failed; error: why it failed."""

    what: str
    began: float = field(default_factory=time.monotonic)
    said: dict[str, Any] = field(default_factory=dict)
    running: bool = True
    seconds: float = 0.0
    result: dict[str, Any] | None = None
    error: str | None = None

    def facts(self) -> dict[str, Any]:
        seconds = time.monotonic() - self.began if self.running else self.seconds
        return {"what": self.what, "running": self.running, "seconds": round(seconds, 1), **self.said,
                "error": self.error}  # fmt: skip


class Work:
    """Runs `panda-edge ARGUMENTS`; every method may be called by any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self.job: Job | None = None

    def start(self, what: str, arguments: Sequence[str], stdin: bytes = b"", then: Callable[[], None] = print) -> Job:
        """stdin: what the command reads there. then: is called once the job has ended, well or not. Raises
        PandaError: something is being done already."""
        with self._lock:
            self.check_free()
            job = self.job = Job(what)
            try:
                process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # a Ctrl-C is for us
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            except OSError as error:
                self.job = None
                raise PandaError(f"cannot be tried ({error.strerror or error})") from error
            self._process = process
        started(lambda: self._attend(job, process, stdin, then), "a trial")
        return job

    def check_free(self) -> None:
        """Raise PandaError where something is being done."""
        if self._closed or (self.job is not None and self.job.running):
            raise PandaError("something is being tried already; wait until it has ended, or stop it")

    def stop(self) -> None:
        """End what is being done; it then has an error."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def close(self) -> None:
        self._closed = True
        self.stop()
        if self._process is not None:
            self._process.wait(_FAREWELL)

    def _attend(self, job: Job, process: subprocess.Popen[bytes], stdin: bytes, then: Callable[[], None]) -> None:
        said: list[str] = []
        reader = started(lambda: self._listen(job, process, said), "a trial's words")
        watchdog = started(lambda: _end_late(process), "a trial's end")
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(stdin)
                process.stdin.close()
            except OSError:  # it has ended
                pass
            output = process.stdout.read()
            code = process.wait()
            reader.join()
            watchdog.join()
            lines = output.decode(errors="replace").splitlines()
            result = [json.loads(line) for line in lines if line.startswith("{")] if lines else []
            job.result = {"lines": result} if result else None
            if code:
                job.error = " ".join(said)[-_MOST_SAID:].removeprefix("error: ") or f"ended with {code}"
        except Exception as error:  # a defect of ours: the page must not wait for ever
            job.error = f"{type(error).__name__}: {error}"
        finally:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
            then()  # before anyone can see that it has ended
            job.seconds = time.monotonic() - job.began
            job.running = False

    def _listen(self, job: Job, process: subprocess.Popen[bytes], said: list[str]) -> None:
        assert process.stderr is not None
        for raw in process.stderr:
            line = raw.decode(errors="replace").strip()
            try:
                progress = json.loads(line)
                job.said = {name: progress[name] for name in ("progress", "done", "total")}
            except (ValueError, KeyError, TypeError):
                said.append(line)


def _end_late(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
