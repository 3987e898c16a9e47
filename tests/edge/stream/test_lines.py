"""JSON lines: whole ones, in order, rotated; what writes them may fail or hang and delays no frame."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from panda_edge.errors import PandaError
from panda_edge.stream.sinks import jsonl, worker
from panda_edge.stream.sinks.jsonl import RotatedFile
from panda_edge.stream.sinks.worker import Room, Worker


class TestWorker:
    def test_everything_in_order(self) -> None:
        done: list[int] = []
        work: Worker[int] = Worker("t", done.extend, lambda line: None, lambda item: 1, lambda: True, Room(3))
        for number in range(500):
            work.put(number)
        work.close(5)
        assert done == list(range(500))

    def test_one_that_hangs_delays_nobody_and_loses_the_oldest(self) -> None:
        go = threading.Event()
        done: list[int] = []

        def hang(batch: list[int]) -> None:
            go.wait(5)
            done.extend(batch)

        work: Worker[int] = Worker("t", hang, lambda line: None, lambda item: 1, room=Room(10, batch=1))
        started = time.monotonic()
        for number in range(100):
            work.put(number)
        assert time.monotonic() - started < 0.5
        go.set()
        work.close(5)
        assert done[-10:] == list(range(90, 100))
        assert len(done) + work.lost == 100

    def test_a_failure_is_said_once_and_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "_FIRST_PAUSE", 0.01)
        said: list[str] = []
        done: list[int] = []
        failures = [OSError(errno.ENOSPC, "No space left on device")] * 3 + [None]

        def fail(batch: list[int]) -> None:
            if failure := failures.pop(0):
                raise failure
            failures.append(None)
            done.extend(batch)

        work: Worker[int] = Worker("t", fail, said.append, lambda item: 1)
        for number in range(5):
            work.put(number)
        work.close(5)
        assert done == list(range(5))
        assert said == ["No space left on device; tried again with growing pauses", "works again, nothing lost"]

    def test_one_that_fails_to_the_end_gives_up_in_time_and_says_what_is_lost(self) -> None:
        said: list[str] = []

        def fail(batch: list[int]) -> None:
            raise PandaError("never")

        work: Worker[int] = Worker("t", fail, said.append, lambda item: 1, may_wait=lambda: True, room=Room(2))
        for number in range(7):
            work.put(number)
        started = time.monotonic()
        work.close(0.5)
        assert time.monotonic() - started < 2
        assert said[-1] == "never; 7 lost"


class TestRotatedFile:
    def test_by_size(self, tmp_path: Path) -> None:
        path = tmp_path / "w.jsonl"
        file = RotatedFile(path, max_bytes=1000, max_seconds=1e9, keep=2)
        for number in range(60):
            file.write(b'{"n": %d}\n' % number + b" " * 89 + b"\n")
        file.close()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["w.jsonl", "w.jsonl.1", "w.jsonl.2"]
        assert all(p.stat().st_size <= 1000 for p in tmp_path.iterdir())
        kept = (tmp_path / "w.jsonl.2").read_text() + (tmp_path / "w.jsonl.1").read_text() + path.read_text()
        numbers = [int(line.split()[1][:-1]) for line in kept.split("\n") if line.startswith("{")]
        assert numbers == list(range(numbers[0], 60))

    def test_by_age(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr(jsonl.time, "monotonic", lambda: now[0])
        file = RotatedFile(tmp_path / "w.jsonl", 10**9, max_seconds=60, keep=1)
        file.write(b"1\n")
        now[0] += 61
        file.write(b"2\n")
        file.close()
        assert (tmp_path / "w.jsonl.1").read_text() == "1\n"
        assert (tmp_path / "w.jsonl").read_text() == "2\n"

    def test_an_unfinished_line_is_cut_off(self, tmp_path: Path) -> None:
        path = tmp_path / "w.jsonl"
        path.write_bytes(b'{"a": 1}\n{"id": "' + b"x" * 100_000)
        file = RotatedFile(path, 10**9, 1e9, 1)
        file.write(b'{"c": 3}\n')
        file.close()
        assert path.read_text() == '{"a": 1}\n{"c": 3}\n'

    @pytest.mark.parametrize("tail", [b"a note of mine", b'{"b": ', b'{"id"; '])
    def test_what_is_not_ours_is_never_cut(self, tmp_path: Path, tail: bytes) -> None:
        path = tmp_path / "w.jsonl"
        for before in (b"", b"line\n"):
            path.write_bytes(before + tail)
            with pytest.raises(PandaError, match="give another file"):
                RotatedFile(path, 10**9, 1e9, 1)
            assert path.read_bytes() == before + tail
        path.write_bytes(b"{")
        RotatedFile(path, 10**9, 1e9, 1).close()
        assert path.read_bytes() == b""

    def test_a_disk_that_fills_up_takes_all_or_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "w.jsonl"
        file = RotatedFile(path, 10**9, 1e9, 1)
        file.write(b"1\n")
        write, calls = os.write, []

        def half(handle: int, data: bytes) -> int:
            calls.append(1)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(handle, bytes(data)[: len(data) // 2])

        monkeypatch.setattr(jsonl.os, "write", half)
        with pytest.raises(OSError, match="No space"):
            file.write(b"222222222\n")
        monkeypatch.undo()
        file.write(b"3\n")
        file.close()
        assert path.read_text() == "1\n3\n"

    def test_a_place_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PandaError, match="cannot be written"):
            RotatedFile(tmp_path / "missing" / "w.jsonl", 10**9, 1e9, 1)
