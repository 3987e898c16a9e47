"""The loop: frames from every source in turn, each judged or said why not, with a bundle that may be replaced."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import Any

from panda_edge.banks import traits_of
from panda_edge.detector import Detector
from panda_edge.errors import PandaError
from panda_edge.images.quality import QualityRange
from panda_edge.images.reading import OpenedImage
from panda_edge.result import Result
from panda_edge.stream.asked import Asked
from panda_edge.stream.capture import Capture, SourceState
from panda_edge.stream.frame import Frame, Gate, Notice, Outcome, Source
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.inbox import Inbox
from panda_edge.stream.judgeable import PictureCheck, normal_range
from panda_edge.stream.pace import Pace
from panda_edge.stream.started import started
from panda_edge.stream.why import why

_DEPTH_DROPPING, _DEPTH_WAITING = 2, 4  # frames that may wait: as fresh as can be, or so that nobody idles
_TURN = 0.5  # seconds after which the loop looks around though no frame came
_LONGEST_BURST = 64  # frames that are judged in one pipelined run, before the loop looks around again
_FAREWELL = 2.0  # seconds that a source's thread is given to end


class Loop:
    """Judges what the sources give. `outcomes` is run by one thread; the other methods may be called from any."""

    def __init__(
        self,
        load: Callable[[], Detector],
        sources: Sequence[Source],
        options: FrameOptions = FrameOptions(),
        notify: Callable[[Notice], None] = lambda notice: None,
        beat: Callable[[], None] = lambda: None,
        asked: Asked | None = None,
        gate: Gate | None = None,
    ) -> None:
        """load: opens the bundle, now and at every `reload`. notify: is told what is not of one frame, by any thread.
        beat: is called at least twice a second, by the loop itself. asked: flags that are looked at as often. gate:
        says which of the pictures that `options` leave are judged. Raises what `load` raises."""
        self._load = load
        self._notify = notify
        self._beat = beat
        self._asked = asked or Asked()
        self._run = secrets.token_hex(6)  # makes ids unlike those of other runs, whatever the clock says
        self._numbers = itertools.count(1)
        self._stop = Event()
        self._swap = Lock()
        self._loaded: _Loaded | None = None
        self._fpr: float | None = None
        self._asked_fpr: float | None = None
        self._loading = False
        self.looked = time.monotonic()
        """When `outcomes` last looked around or gave an outcome: a loop that hangs does neither."""
        first = _Loaded.of(load())
        self.detector = first.detector
        self._check = PictureCheck(first.normal, first.detector.preprocessing, options.frozen_after)
        drops = [options.drops(source.live) for source in sources]
        self._inbox = Inbox([_DEPTH_DROPPING if drop else _DEPTH_WAITING for drop in drops])
        self._live = {source.name: source.live for source in sources}
        self._captures = [
            Capture(i, source, self._inbox, Pace(options.every, options.max_fps), drops[i], self.say, self._stop, gate)
            for i, source in enumerate(sources)
        ]

    @property
    def states(self) -> list[SourceState]:
        """What is known of each source."""
        return [capture.state for capture in self._captures]

    @property
    def failed(self) -> bool:
        """Whether a source that has an end came to none."""
        return any(capture.failed for capture in self._captures)

    def outcomes(self) -> Generator[Outcome]:
        """An outcome a frame, until every source has ended or `stop` is called; then sources are closed."""
        for capture in self._captures:
            capture.start()
        try:
            while not self._asked.end:
                self._look_around()
                taken = self._inbox.take(_TURN)
                if taken is not None:
                    yield from self._burst(*taken)
                    del taken  # what is large must be gone before the next one is decoded
                elif self._inbox.finished:
                    return
        finally:
            self._stop.set()
            self._inbox.stop()
            for capture in self._captures:
                capture.join(_FAREWELL)

    def stop(self) -> None:
        """End after the frame that is being judged."""
        self._asked.end = True

    def reload(self) -> None:
        """Open the bundle again beside the one at work, and change over between two frames. One that cannot be opened
        is said, and the old one stays."""
        self._asked.reload = True

    def set_fpr(self, fpr: float) -> None:
        """Decide at another false-alarm rate from the next frame on. Raises PandaError: not in (0, 1), or less than the
        bundle can promise."""
        if not 0 < fpr < 1:
            raise PandaError(f"a false-alarm rate of {fpr:g}: expected one above 0 and below 1")
        decider = self.detector.decider
        if decider is None:
            raise PandaError("the bundle is not calibrated, and decides at no rate; fit it with more normal pictures")
        if decider.calibration.promised(fpr) > fpr:
            least = decider.calibration.promised(0.0)
            raise PandaError(
                f"a false-alarm rate of {fpr:g} cannot be promised with {decider.calibration.images} calibration "
                f"pictures; the least is {least:.3g}"
            )
        with self._swap:
            self._asked_fpr = fpr

    def say(self, kind: str, source: str | None, text: str, **facts: Any) -> None:
        """Give a notice to whoever listens."""
        self._notify(Notice(self._id(), kind, source, text, time.time(), facts))

    def _look_around(self) -> None:
        self.looked = time.monotonic()
        self._beat()
        for capture in self._captures:
            capture.check_silence()
        with self._swap:
            loaded, self._loaded = self._loaded, None
            asked, self._asked_fpr = self._asked_fpr, None
        if loaded is not None:
            self.detector = loaded.detector
            self._check.renew(loaded.normal, loaded.detector.preprocessing)
            self.say("bundle", None, f"{self.detector.bundle.path}: taken up")
        if asked is not None:
            self._fpr = asked
        if self._fpr is not None and (asked is not None or loaded is not None):
            try:
                self.detector.decide_at(self._fpr)
            except Exception as error:
                self.say("rate_refused", None, f"{why(error)}; the rate before stays")
        if self._asked.reload and not self._loading:
            self._asked.reload, self._loading = False, True
            try:
                started(self._load_beside, "the bundle")
            except PandaError as error:
                self._loading = False
                self._refuse(error)

    def _load_beside(self) -> None:
        try:
            loaded = _Loaded.of(self._load())
            with self._swap:
                self._loaded = loaded
        except Exception as error:  # too little memory, a defect: the next reload must be possible all the same
            self._refuse(error)
        finally:
            self._loading = False

    def _refuse(self, error: Exception) -> None:
        self.say("bundle_refused", None, f"{why(error)}; the bundle at work stays")

    def _burst(self, frame: Frame, dropped: int) -> Iterator[Outcome]:
        """The outcome of a frame; where more wait and that is faster, of those too, in one pipelined run. A run never
        waits for a frame, so that none comes later for it than by the next one's search."""
        if not traits_of(self.detector.bundle.manifest).pipelined or self._inbox.empty:
            yield self._judged(self._checked(frame, dropped))
            return
        waiting = deque([self._checked(frame, dropped)])

        def images() -> Iterator[OpenedImage]:
            for _ in range(_LONGEST_BURST):
                opened = waiting[-1].frame.picture.opened
                if waiting[-1].reason is None and opened is not None:
                    yield opened
                if self._asked.end or self._loaded is not None or (taken := self._inbox.take(0)) is None:
                    return
                waiting.append(self._checked(*taken))

        try:
            for result in self.detector.segment_stream(images()):
                while waiting[0].reason is not None:
                    yield self._outcome(waiting.popleft(), None)
                yield self._outcome(waiting.popleft(), result)
        except Exception:
            pass  # of one of those that wait: each is judged by itself now, and the culprit named
        while waiting:
            yield self._judged(waiting.popleft())

    def _checked(self, frame: Frame, dropped: int) -> _Checked:
        started = time.monotonic()
        try:
            reason = self._check.reason(frame, self._live[frame.source])
        except Exception as error:  # as below
            reason = f"failed: {why(error)}"
        return _Checked(frame, dropped, reason, started, (time.monotonic() - started) * 1e3)

    def _judged(self, checked: _Checked) -> Outcome:
        opened = checked.frame.picture.opened
        if checked.reason is not None or opened is None:
            return self._outcome(checked, None)
        try:
            return self._outcome(checked, self.detector.segment(opened))
        except Exception as error:  # too little memory, a defect of ours: this frame is lost, the line goes on
            return self._outcome(replace(checked, reason=f"failed: {why(error)}"), None)

    def _outcome(self, checked: _Checked, result: Result | None) -> Outcome:
        picture = checked.frame.picture
        stages = {"decode": picture.decode_ms}
        stages["wait"] = max((checked.started - picture.arrived) * 1e3 - picture.decode_ms, 0.0)
        stages["check"] = checked.check_ms
        if result is not None:
            stages |= {**result.stages_ms, "decode": picture.decode_ms + result.stages_ms.get("decode", 0.0)}
        self.looked = time.monotonic()
        latency = (self.looked - picture.arrived) * 1e3
        return Outcome(self._id(), checked.frame, checked.dropped, result, checked.reason, stages, latency)

    def _id(self) -> str:
        return f"{self._run}-{next(self._numbers)}"


@dataclass(frozen=True)
class _Checked:
    """A frame on its way. reason: why it is not to be judged. started: `time.monotonic()` when it left the queue."""

    frame: Frame
    dropped: int
    reason: str | None
    started: float
    check_ms: float


@dataclass(frozen=True)
class _Loaded:
    detector: Detector
    normal: QualityRange

    @classmethod
    def of(cls, detector: Detector) -> _Loaded:
        return cls(detector, normal_range(detector.bundle))
