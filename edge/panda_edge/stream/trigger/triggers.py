"""Which picture answers which trigger, and which triggers were not answered in time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Thread

from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.started import start

Answer = Callable[[list[Outcome | None]], None]
"""Is given each source's outcome, None where it was not there in time. Called by any thread, and must not fail."""

_MOST = 1000  # triggers of a source that may wait, and that are remembered as missed


@dataclass(eq=False)
class _Call:
    """One trigger. waiting: sources that have not answered."""

    at: float
    waiting: set[str]
    answer: Answer
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@dataclass(eq=False)
class _Wanted:
    """One source's part of a trigger. number: of the frame that was taken for it."""

    source: str
    call: _Call
    number: int | None = None


class Triggers:
    """Takes one picture of each source a trigger, the first that arrives after it, and passes over all others.

    It is a sink, too, and must be the first of them: others ask whether an outcome came too late.
    """

    def __init__(
        self,
        sources: Sequence[str],
        deadline: float,
        after: float,
        tell: Callable[[str, str], None],
    ) -> None:
        """deadline: seconds from a trigger to its outcome. after: seconds from a trigger within which no picture is
        taken, as one that arrives then was exposed before. tell: is told of each that was missed: source and a line.
        Raises PandaError."""
        self.fired = self.missed = 0
        """Triggers, and those of which a source did not answer in time."""
        self._sources = tuple(sources)
        self._deadline = deadline
        self._after = after
        self._tell = tell
        self._changed = Condition()
        self._wanted: deque[_Wanted] = deque()
        self._late: deque[tuple[str, int]] = deque(maxlen=_MOST)
        self._closing = False
        self._thread = Thread(target=self._watch, name="triggers", daemon=True)
        start(self._thread)

    def fire(self, answer: Answer = lambda outcomes: None) -> None:
        """Ask every source for a picture now."""
        with self._changed:
            self.fired += 1
            call = _Call(time.monotonic(), set(self._sources), answer)
            self._wanted.extend(_Wanted(source, call) for source in self._sources)
            self._changed.notify_all()

    def takes(self, source: str, number: int, arrived: float) -> bool:
        """Whether a picture answers a trigger. Called once a picture, by the source's own thread."""
        with self._changed:
            for wanted in self._wanted:
                if wanted.source == source and wanted.number is None and wanted.call.at + self._after <= arrived:
                    wanted.number = number
                    return True
            return False

    def is_late(self, outcome: Outcome) -> bool:
        """Whether the trigger was told already that there is no answer."""
        return (outcome.source, outcome.frame.number) in self._late

    def outcome(self, outcome: Outcome) -> None:
        with self._changed:
            wanted = next((one for one in self._wanted if self._answers(one, outcome)), None)
            if wanted is None:
                return
            self._wanted.remove(wanted)
            wanted.call.outcomes[outcome.source] = outcome
        self._answered(wanted)

    def notice(self, notice: Notice) -> None:
        pass

    def close(self, timeout: float) -> None:
        """Those that wait are told that there is no answer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _answers(self, wanted: _Wanted, outcome: Outcome) -> bool:
        return wanted.source == outcome.source and wanted.number == outcome.frame.number

    def _answered(self, wanted: _Wanted) -> None:
        call = wanted.call
        with self._changed:
            call.waiting.discard(wanted.source)
            if call.waiting:
                return
        call.answer([call.outcomes.get(source) for source in self._sources])

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                if self._closing:
                    now = float("inf")
                # In the order of their calls, so that the first is the next that may be missed.
                expired = []
                while self._wanted and (self._wanted[0].call.at + self._deadline <= now or len(self._wanted) > _MOST):
                    expired.append(wanted := self._wanted.popleft())
                    if wanted.number is not None:
                        self._late.append((wanted.source, wanted.number))
                self.missed += len({id(wanted.call) for wanted in expired})
                if not expired:
                    if self._closing:
                        return
                    first = self._wanted[0].call.at + self._deadline if self._wanted else None
                    self._changed.wait(None if first is None else max(first - now, 0.0))
                    continue
            for wanted in expired:
                why = "no picture came" if wanted.number is None else f"frame {wanted.number} was not judged by then"
                self._tell(wanted.source, f"trigger not answered within {self._deadline * 1e3:.0f} ms: {why}")
                self._answered(wanted)
