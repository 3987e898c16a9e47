"""A sink that shows verdicts to a machine at the right moment, and takes them back."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Condition, Thread

from panda_edge.errors import PandaError
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.line.address import Timing
from panda_edge.stream.line.signals import Limits, Output, Signals, signals_of
from panda_edge.stream.line.way import Counted, Elapsed, Way
from panda_edge.stream.started import start
from panda_edge.stream.why import why

_BEAT_EVERY = 0.2  # seconds
_ALIVE = 3.0  # seconds since the loop last looked around, beyond which the heartbeat stops
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds before an output that failed is tried again
_MOST = 10_000  # verdicts that may wait for their moment
_DOUBT = frozenset({"source_lost", "source_silent", "source_failed"})


@dataclass(order=True)
class _Due:
    """Signals that wait for their moment on the way. stays: shown until the next verdict."""

    moment: float
    order: int
    place: int = field(compare=False)
    signals: Signals = field(compare=False)
    stays: bool = field(compare=False, default=False)


class Line:
    """Each verdict is shown when its product has come the way to the machine, until `hold` has passed or the source's
    next one comes.

    Fail-safe: OK is shown only of a frame that was judged in time, and for `hold` at most. A lost source shows not
    judged until it gives a verdict again; the heartbeat stops with the loop, the program or the connection.
    """

    def __init__(
        self,
        output: Output,
        sources: Sequence[str],
        timing: Timing,
        limits: Limits,
        looked: Callable[[], float],
        say: Callable[[str], None],
        missed: Callable[[Outcome], bool] = lambda outcome: False,
        way: Way | None = None,
    ) -> None:
        """sources: their names. looked: `time.monotonic()` when the loop last looked around. missed: whether a trigger
        was told already that this outcome is not there. way: None is the timing's delay. Raises PandaError."""
        self.lost = 0
        """Verdicts that were never shown: the output failed, or too many waited."""
        self.late = 0
        """Verdicts that came after their deadline, and were shown as not judged."""
        self._output = output
        self._places = {name: place for place, name in enumerate(sources)}
        self._timing = timing
        self._limits = limits
        self._looked = looked
        self._say = say
        self._missed = missed
        self._way = Elapsed(timing.delay, timing.deadline) if way is None else way
        self._order = itertools.count()
        self._due: list[_Due] = []
        self._counts = [0] * len(sources)
        self._shown = [Signals()] * len(sources)
        self._until = [float("inf")] * len(sources)  # when what is shown is taken back
        self._unsaid = set(range(len(sources)))  # sources of which the other side does not know what is shown
        self._beats = 0
        self._next_beat = 0.0
        self._failing = False
        self._closing = False
        self._changed = Condition()
        if isinstance(self._way, Counted):
            self._way.changed = self._look
        self._thread = Thread(target=self._run, name=output.name, daemon=True)
        start(self._thread)

    def outcome(self, outcome: Outcome) -> None:
        place = self._places.get(outcome.source)
        if place is None or self._missed(outcome):
            return
        now, arrived = time.monotonic(), outcome.frame.picture.arrived
        signals = signals_of(outcome, self._limits, self._count(place))
        moment = self._way.moment(arrived)
        if now > arrived + self._timing.deadline or moment is None:
            self.late += 1
            signals = _doubtful(signals)
        self._put(self._way.now() if moment is None else moment, place, signals)

    def notice(self, notice: Notice) -> None:
        place = self._places.get(notice.source or "")
        if place is None:
            return
        if notice.kind in _DOUBT:
            self._put(self._way.now(), place, Signals(not_judged=True), stays=True)
        elif notice.kind == "trigger_missed":
            due = self._way.moment(time.monotonic())
            self._put(
                self._way.now() if due is None else due, place, Signals(not_judged=True, count=self._count(place))
            )

    def close(self, timeout: float) -> None:
        """Show nothing any more, OK least of all; verdicts whose moment has not come are not waited for."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        self._way.close()

    def _look(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _count(self, place: int) -> int:
        with self._changed:
            self._counts[place] = (self._counts[place] + 1) % 65_536
            return self._counts[place]

    def _put(self, moment: float, place: int, signals: Signals, stays: bool = False) -> None:
        with self._changed:
            if len(self._due) >= _MOST:
                self.lost += 1
                return
            heapq.heappush(self._due, _Due(moment, next(self._order), place, signals, stays))
            self._changed.notify_all()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._sleep())
                if self._closing:
                    break
                self._turn(time.monotonic())
            try:
                self._write()
            except Exception as error:  # a network, a defect: the machine sees the heartbeat stop
                self._unsaid = set(range(len(self._shown)))
                if not self._failing:
                    self._say(f"{why(error)}; nothing is shown to the line until it answers")
                self._failing = True
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            if self._failing:
                self._say(f"answers again, {self.lost or 'nothing'} lost")
            self._failing, pause = False, _FIRST_PAUSE
        self._farewell()

    def _has_work(self) -> bool:
        return self._closing or bool(self._due and self._due[0].moment <= self._way.now())

    def _sleep(self) -> float:
        first = min(self._next_beat, *self._until) - time.monotonic()
        return max(min([first, *(self._way.sleep(due.moment) for due in self._due[:1])]), 0.0)

    def _turn(self, now: float) -> None:
        """Bring what is shown to what it is to be now."""
        for place, until in enumerate(self._until):
            if until <= now:
                self._show(place, Signals(count=self._shown[place].count), float("inf"))
        new: set[int] = set()
        while self._due and self._due[0].moment <= self._way.now():
            due = heapq.heappop(self._due)
            self.lost += due.place in new  # its moment passed while the output was away
            new.add(due.place)
            if due.stays:
                self._show(due.place, replace(due.signals, count=self._shown[due.place].count), float("inf"))
                continue
            late = now > self._way.late(due.moment) and due.signals.ok
            self.late += late
            self._show(due.place, _doubtful(due.signals) if late else due.signals, now + self._timing.hold)

    def _show(self, place: int, signals: Signals, until: float) -> None:
        self._shown[place], self._until[place] = signals, until
        self._unsaid.add(place)

    def _write(self) -> None:
        for place in sorted(self._unsaid):
            self._output.write(place, self._shown[place])
            self._unsaid.discard(place)
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + _BEAT_EVERY
            if now - self._looked() < _ALIVE:
                self._beats = (self._beats + 1) % 65_536
                self._output.beat(self._beats)

    def _farewell(self) -> None:
        try:
            for place, shown in enumerate(self._shown):
                self._output.write(place, Signals(count=shown.count))
        except (OSError, PandaError) as error:
            self._say(f"{why(error)}; what is shown could not be taken back, the heartbeat has stopped")
        finally:
            self._output.close()


def _doubtful(signals: Signals) -> Signals:
    return Signals(not_judged=True, severity=signals.severity, count=signals.count)
