"""`extend` killed while a `watch` runs on the bundle that it writes, and signals in bursts for that `watch`."""

from __future__ import annotations

import atexit
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_SECONDS = 60.0  # in which a picture must be judged, and an end come, on a machine that does other things
_TURNS = 10  # checks after which `watch` is ended and begun again
_MOST_SIGNALS = 20


class Watch:
    """A `panda-edge watch` of its own, on a folder that pictures come into."""

    def __init__(self, bundle: Path, folder: Path, pictures: list[Path]) -> None:
        self._bundle, self._pictures = bundle, pictures
        self._incoming, self._lines = folder / "incoming", folder / "lines.jsonl"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._chance, self._number, self._checks = random.Random(0), 0, 0
        atexit.register(self._kill)

    def check(self) -> None:
        """It takes a burst of SIGHUP, and judges the next picture; every tenth time it ends at one SIGTERM.

        Raises AssertionError.
        """
        if self._process is None:
            self._process = self._begun()
        for _ in range(self._chance.randint(1, _MOST_SIGNALS)):
            self._process.send_signal(signal.SIGHUP)
        self._judged(self._process)
        self._checks += 1
        if self._checks % _TURNS == 0:
            self._process.send_signal(signal.SIGTERM)
            try:
                code = self._process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                raise AssertionError("watch does not end at SIGTERM") from None
            assert code == 0, f"watch ended with {code}"
            self._process = None

    def _begun(self) -> subprocess.Popen[bytes]:
        command = [Path(sys.executable).with_name("panda-edge"), "watch", self._bundle, self._incoming, "--threads",
                   "1", "--jsonl", self._lines]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._judged(process)
        return process

    def _judged(self, process: subprocess.Popen[bytes]) -> None:
        """A new picture gets its line."""
        name = f"{self._number}.png"
        shutil.copy(self._pictures[self._number % len(self._pictures)], self._incoming / f".{name}")
        (self._incoming / f".{name}").rename(self._incoming / name)
        self._number += 1
        until = time.monotonic() + _SECONDS
        while not self._lines.exists() or f"/{name}".encode() not in self._lines.read_bytes():
            assert process.poll() is None, f"watch ended with {process.poll()}"
            assert time.monotonic() < until, f"{name} got no line in {_SECONDS:.0f} s"
            time.sleep(0.05)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
