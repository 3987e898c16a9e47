"""What must not stop a service: signals in bursts, a reload that fails in any way, no thread, a frame that fails."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from panda_edge.detector import Detector, load
from panda_edge.errors import PandaError
from panda_edge.stream import capture
from panda_edge.stream.asked import Asked, signals
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.run import GIVE_WAY, RunOptions, run_watch
from panda_edge.stream.sinks.worker import Room, Worker


@pytest.fixture
def told() -> list[Notice]:
    return []


@pytest.fixture
def make_loop(bundle_path: Path, told: list[Notice]) -> Callable[..., Loop]:
    def make(*sources: Any, opened: Callable[[], Any] = lambda: None, asked: Asked | None = None) -> Loop:
        def open_it() -> Any:
            opened()
            return load(bundle_path, threads=1)

        return Loop(open_it, sources, FrameOptions(frozen_after=0), told.append, asked=asked)

    return make


class Bursts(Asked):
    """Asks for signals whenever the loop looks at its flags, so that they come while it holds whatever it holds."""

    sent = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "reload" and Bursts.sent < 300:
            Bursts.sent += 3
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGHUP)
        return super().__getattribute__(name)


def test_bursts_of_sighup_and_one_sigterm(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable[[int], Image.Image], told: list[Notice]
) -> None:
    with signals(Bursts()) as asked:
        loop = make_loop(list_source([noise(i) for i in range(3)], live=True), asked=asked)
        number = 0
        for outcome in loop.outcomes():
            number = outcome.frame.number
            if number == 3:
                os.kill(os.getpid(), signal.SIGTERM)
    assert number == 3
    assert asked.end
    assert "bundle_refused" not in [notice.kind for notice in told]


def test_a_handler_takes_no_lock_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a handler did more than set a flag")

    with signals(Asked()) as asked:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        monkeypatch.setattr(threading.Event, "set", refuse)
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert asked == Asked(end=True, reload=True)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # the second one ends at once


def test_threads_give_way_while_it_watches_and_as_before_after(
    bundle_path: Path, tmp_path: Path, noise: Callable[[int], Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise(1).save(tmp_path / "one.png")
    found: list[float] = []
    monkeypatch.setattr(Loop, "_look_around", lambda loop: found.append(sys.getswitchinterval()))
    before = sys.getswitchinterval()
    assert run_watch(RunOptions(lambda: load(bundle_path, threads=1), (str(tmp_path),), once=True))
    assert found[0] == pytest.approx(GIVE_WAY)
    assert sys.getswitchinterval() == before > GIVE_WAY


def test_a_sighup_while_starting_is_no_end(
    bundle_path: Path, tmp_path: Path, noise: Callable[[int], Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise(1).save(tmp_path / "one.png")
    opened = []

    def slow_load() -> Detector:
        opened.append(None)
        os.kill(os.getpid(), signal.SIGHUP)
        return load(bundle_path, threads=1)

    before = signal.getsignal(signal.SIGHUP)
    options = RunOptions(slow_load, (str(tmp_path),), once=True)
    assert run_watch(options)
    assert signal.getsignal(signal.SIGHUP) == before


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("odd"), OSError(5, "Input/output error"), PandaError("x")]
)
def test_a_reload_that_fails_in_any_way_is_said_and_the_next_one_works(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, told: list[Notice], error: Exception
) -> None:
    failures: list[Exception | None] = [None, error, None]

    def opened() -> None:
        if (failure := failures.pop(0)) is not None:
            raise failure

    loop = make_loop(list_source([noise(i) for i in range(400)], pause=0.01), opened=opened)
    for outcome in loop.outcomes():
        kinds = [notice.kind for notice in told]
        if outcome.frame.number == 1 or (kinds == ["bundle_refused"] and len(failures) == 1):
            loop.reload()
        if "bundle" in kinds:
            break
    assert [notice.kind for notice in told] == ["bundle_refused", "bundle"]


def test_without_a_thread_for_a_reload_the_loop_goes_on(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, told: list[Notice], monkeypatch: Any
) -> None:
    loop = make_loop(list_source([noise(i) for i in range(5)]))

    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    outcomes = loop.outcomes()
    next(outcomes)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    loop.reload()
    assert len(list(outcomes)) == 4
    (notice,) = told
    assert "no thread can be started for the bundle (can't start new thread)" in notice.text


@pytest.mark.parametrize("where", ["segment", "check", "stream"])
def test_a_frame_that_fails_in_any_way_is_said(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    loop = make_loop(list_source([noise(i) for i in range(3)]))

    def fail(*_: Any) -> Any:
        raise MemoryError

    if where == "check":
        monkeypatch.setattr(loop._check, "reason", fail)
    else:
        monkeypatch.setattr(loop.detector, "segment_stream", fail)
    if where == "segment":
        monkeypatch.setattr(loop.detector, "segment", fail)
    reasons = [outcome.not_judged for outcome in loop.outcomes()]
    assert reasons == [None if where == "stream" else "failed: not enough memory"] * 3


@pytest.mark.parametrize("bank", ["exact", "gaussian"])
def test_a_bundle_that_is_replaced_under_it_changes_nothing(
    calibrated_bundles: dict[str, Path],
    list_source: Any,
    noise: Callable,
    told: list[Notice],
    tmp_path: Path,
    bank: str,
) -> None:
    """As `extend` does in its own place: the folder is another one, the one before is gone."""
    bundle = Path(shutil.copytree(calibrated_bundles[bank], tmp_path / "x.panda"))
    images = [noise(i) for i in range(4)]
    expected = [load(bundle, threads=1).segment(image).score for image in images]
    loop = Loop(lambda: load(bundle, threads=1), [list_source(images)], FrameOptions(frozen_after=0), told.append)
    found = []
    for outcome in loop.outcomes():
        if outcome.frame.number == 1:
            shutil.rmtree(bundle)
            bundle.mkdir()
            loop.set_fpr(0.2)
        found.append(None if outcome.result is None else outcome.result.score)
    assert found == expected
    assert told == []


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1 - 1e-16])
def test_the_oddest_rate_is_taken_or_refused(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, rate: float
) -> None:
    loop = make_loop(list_source([noise(i) for i in range(3)]))
    if rate < 0.5:  # less than any bundle can promise
        with pytest.raises(PandaError, match="the least is"):
            loop.set_fpr(rate)
    else:
        loop.set_fpr(rate)
    assert [outcome.not_judged for outcome in loop.outcomes()] == [None] * 3


def test_a_sink_that_fails_loses_its_outcome_alone(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, told: list[Notice]
) -> None:
    from panda_edge.stream.run import _give

    class Broken:
        def outcome(self, outcome: Outcome) -> None:
            raise MemoryError

    loop = make_loop(list_source([noise(1)]))
    for outcome in loop.outcomes():
        _give(outcome, Broken(), loop)  # type: ignore[arg-type]
    (notice,) = told
    assert notice.text.startswith("Broken: not enough memory; ")


class Failing:
    """A source that gives a picture, then fails as no source should, and then gives another."""

    name, live = "odd", False

    def __init__(self, image: Image.Image, endless: bool) -> None:
        self.endless = endless
        self._image, self._opened = image, 0

    def pictures(self, stop: threading.Event) -> Any:
        from panda_edge.images.reading import OpenedImage
        from panda_edge.stream.frame import Picture

        self._opened += 1
        yield Picture(OpenedImage(self._image, self._image.size), time.monotonic())
        if self._opened == 1:
            raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(("endless", "kinds"), [(True, ["source_lost", "source_back"]), (False, ["source_failed"])])
def test_a_source_that_fails_in_any_way_is_said(
    make_loop: Callable[..., Loop], noise: Callable, told: list[Notice], monkeypatch: Any, endless: bool, kinds: Any
) -> None:
    monkeypatch.setattr(capture, "_FIRST_PAUSE", 0.01)
    loop = make_loop(Failing(noise(1), endless))
    assert len(list(loop.outcomes())) == len(kinds)
    assert [notice.kind for notice in told] == kinds
    assert "ZeroDivisionError: a defect" in told[0].text


def test_a_camera_that_never_gave_a_picture_is_silent(
    make_loop: Callable[..., Loop], list_source: Any, told: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_SILENT", 0.2)
    loop = make_loop(list_source([], live=True))
    threading.Timer(1.2, loop.stop).start()
    assert list(loop.outcomes()) == []
    assert [notice.kind for notice in told] == ["source_silent"]


def test_work_that_fails_as_no_work_should_loses_its_batch_alone() -> None:
    said: list[str] = []
    done: list[int] = []

    def work(batch: list[int]) -> None:
        if 3 in batch:
            raise MemoryError
        done.extend(batch)

    worker: Worker[int] = Worker("t", work, said.append, lambda item: 1, lambda: True, Room(batch=1))
    for number in range(6):
        worker.put(number)
    worker.close(5)
    assert done == [0, 1, 2, 4, 5]
    assert (worker.lost, said) == (1, ["not enough memory; 1 lost"])


def test_a_sink_that_hangs_does_not_keep_the_loop_from_ending() -> None:
    go = threading.Event()
    asked = Asked()
    worker: Worker[int] = Worker(
        "t", lambda batch: go.wait(20) and None, lambda line: None, lambda item: 1, lambda: not asked.end, Room(2)
    )
    for number in range(3):
        worker.put(number)
    threading.Timer(0.2, lambda: setattr(asked, "end", True)).start()
    started = time.monotonic()
    for number in range(10):
        worker.put(number)
    assert time.monotonic() - started < 2
    go.set()
    worker.close(5)


def test_an_outcome_of_a_large_picture_is_light(make_frame: Callable[..., Any]) -> None:
    from panda_edge.stream.weight import lightened, outcome_bytes

    picture = make_frame(Image.new("RGB", (4000, 3000)), encoded=b"x" * 10)
    outcome = Outcome("1", picture, 0, None, None, {}, 0.0)
    assert outcome_bytes(outcome) == 4 * 12_000_000 + 10
    light = lightened(outcome, 2048, keep_file=True)
    assert light.frame.picture.opened.image.size == (2048, 1536)
    assert light.frame.picture.opened.full_size == (4000, 3000)
    assert outcome_bytes(light) == 4 * 2048 * 1536 + 10
    assert lightened(light, 2048, keep_file=False) is light
