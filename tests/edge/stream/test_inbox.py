"""The bounded queues: nothing without bound, newest first where frames are dropped, sources in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from PIL import Image

from panda_edge.stream.frame import Frame
from panda_edge.stream.inbox import Inbox
from panda_edge.stream.pace import Pace


def test_a_full_queue_makes_room_for_the_newest_and_counts(make_frame: Callable[..., Frame]) -> None:
    inbox = Inbox([2])
    assert [inbox.put(0, make_frame(None, n), drop=True) for n in range(1, 8)] == [0, 0, 2, 0, 2, 0, 2]
    taken = inbox.take(0)
    assert taken is not None
    frame, dropped = taken
    assert (frame.number, dropped) == (7, 6)
    assert inbox.take(0) is None


def test_without_dropping_the_source_waits(make_frame: Callable[..., Frame]) -> None:
    inbox = Inbox([2])
    put = []

    def fill() -> None:
        for number in range(1, 6):
            inbox.put(0, make_frame(None, number), drop=False)
            put.append(number)
        inbox.end(0)

    thread = threading.Thread(target=fill)
    thread.start()
    time.sleep(0.05)
    assert put == [1, 2]
    numbers = []
    while not inbox.finished:
        taken = inbox.take(1)
        assert taken is not None
        numbers.append(taken[0].number)
    thread.join()
    assert numbers == [1, 2, 3, 4, 5]


def test_sources_are_served_in_turn(make_frame: Callable[..., Frame]) -> None:
    inbox = Inbox([4, 4])
    for number in range(3):
        inbox.put(0, make_frame(None, number, source="a"), drop=False)
        inbox.put(1, make_frame(None, number, source="b"), drop=False)
    order = [taken[0].source for _ in range(6) if (taken := inbox.take(0))]
    assert order == ["a", "b"] * 3


def test_stopping_lets_everyone_go(make_frame: Callable[..., Frame]) -> None:
    inbox = Inbox([1])
    inbox.put(0, make_frame(None), drop=False)
    thread = threading.Thread(target=lambda: inbox.put(0, make_frame(None), drop=False))
    thread.start()
    inbox.stop()
    thread.join(1)
    assert not thread.is_alive()


def test_every_nth_and_at_most_so_many() -> None:
    stop = threading.Event()
    assert [Pace(every=3).takes(True, stop) for _ in range(1)] == [True]
    pace = Pace(every=3)
    assert [pace.takes(True, stop) for _ in range(7)] == [True, False, False, True, False, False, True]
    camera = Pace(max_fps=20.0)
    started = time.monotonic()
    taken = 0
    while time.monotonic() - started < 0.5:
        taken += camera.takes(True, stop)
    assert 9 <= taken <= 12
    file = Pace(max_fps=50.0)
    started = time.monotonic()
    assert all(file.takes(False, stop) for _ in range(11))
    assert time.monotonic() - started == pytest.approx(0.2, abs=0.1)


def test_large_frames_wait_by_their_bytes(make_frame: Callable[..., Frame]) -> None:
    large = Image.new("RGB", (1000, 1000))  # 4 MB in memory
    inbox = Inbox([4, 4], most_bytes=9_000_000)
    held: list[int] = []
    most = 0

    def fill(source: int) -> None:
        for number in range(8):
            inbox.wait_for_room(source)
            held.append(1)
            inbox.put(source, make_frame(large, number), drop=False)
        inbox.end(source)

    threads = [threading.Thread(target=fill, args=(source,)) for source in (0, 1)]
    for thread in threads:
        thread.start()
    taken = 0
    while not inbox.finished:
        time.sleep(0.005)
        most = max(most, len(held) - taken)
        taken += inbox.take(1) is not None
    for thread in threads:
        thread.join()
    assert taken == 16
    assert most <= 4  # two by the bound, and one more a source, that was begun at the same moment


def test_what_drops_makes_room_by_bytes_too(make_frame: Callable[..., Frame]) -> None:
    large = Image.new("RGB", (1000, 1000))
    inbox = Inbox([4], most_bytes=9_000_000)
    assert [inbox.put(0, make_frame(large, n), drop=True) for n in range(5)] == [0, 0, 2, 0, 2]


def test_one_that_is_larger_than_all_may_hold_passes_alone(make_frame: Callable[..., Frame]) -> None:
    inbox = Inbox([4], most_bytes=1000)
    for number in range(3):
        inbox.wait_for_room(0)
        inbox.put(0, make_frame(Image.new("RGB", (1000, 1000)), number), drop=False)
        assert inbox.take(0) is not None
        inbox.take(0)
