"""Events to receivers that may be away: through the spool, in order, at least once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event as Flag
from threading import Thread
from typing import Protocol

from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.lines import notice_line, outcome_line
from panda_edge.stream.sinks.jsonl import json_bytes
from panda_edge.stream.sinks.spool import Event, Spool
from panda_edge.stream.sinks.worker import Room, Worker
from panda_edge.stream.started import start
from panda_edge.stream.why import why

_BATCH = 64
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between tries
_TURN = 1.0


class Receiver(Protocol):
    """Somewhere that events go. `deliver` raises OSError or PandaError unless all of them have arrived."""

    name: str

    def deliver(self, events: Sequence[Event]) -> None: ...

    def close(self) -> None: ...


class Deliveries:
    """A sink that keeps events in the spool, and a thread a receiver that brings them out."""

    def __init__(
        self,
        spool: Spool,
        receivers: Sequence[Receiver],
        every_frame: bool,
        may_wait: Callable[[], bool],
        say: Callable[[str, str], None],
    ) -> None:
        """every_frame: send each frame's outcome; otherwise anomalous ones, the first of each run of frames that were
        not judged, and notices. may_wait: see Worker. say: receiver and one line."""
        self._spool = spool
        self._every_frame = every_frame
        self._not_judged: dict[str, str | None] = {}
        self._keep: Worker[tuple[str, bytes]] = Worker(
            "spool",
            spool.add,
            lambda line: say("spool", line),
            lambda event: len(event[1]),
            may_wait,
            Room(10_000),
        )
        self._stop = Flag()
        self._receivers = receivers
        self._threads = [
            Thread(target=self._deliver, args=(receiver, say), name=receiver.name, daemon=True)
            for receiver in receivers
        ]
        for thread in self._threads:
            start(thread)

    @property
    def gave_up(self) -> bool:
        """Whether the spool still took nothing when it was closed."""
        return self._keep.gave_up

    @property
    def lost(self) -> int:
        """Events given up before they were delivered: the spool was full, or could not be written."""
        return self._spool.lost + self._keep.lost

    def outcome(self, outcome: Outcome) -> None:
        if self._wanted(outcome):
            self._keep.put((outcome.id, json_bytes(outcome_line(outcome))))

    def notice(self, notice: Notice) -> None:
        if notice.kind != "sink":  # that a receiver is away cannot be told to itself
            self._keep.put((notice.id, json_bytes(notice_line(notice))))

    def close(self, timeout: float) -> None:
        self._keep.close(timeout)
        self._stop.set()
        self._spool.wake()
        for thread in self._threads:
            thread.join(timeout)
        for receiver in self._receivers:
            receiver.close()
        self._spool.close()

    def _wanted(self, outcome: Outcome) -> bool:
        why = outcome.not_judged and outcome.not_judged.partition(":")[0]
        before = self._not_judged.get(outcome.source)
        self._not_judged[outcome.source] = why
        return self._every_frame or bool(outcome.anomalous) or (why is not None and why != before)

    def _deliver(self, receiver: Receiver, say: Callable[[str, str], None]) -> None:
        pause = _FIRST_PAUSE
        failing = False
        while True:
            try:
                events = self._spool.waiting(receiver.name, _BATCH, 0 if self._stop.is_set() else _TURN)
                if not events:
                    if self._stop.is_set():
                        return
                    continue
                receiver.deliver(events)
                self._spool.delivered(receiver.name, events[-1].seq)
            except Exception as error:  # a disk, a network, a defect: events are never given up for it
                if not failing:
                    say(receiver.name, f"{why(error)}; events wait in the spool")
                failing = True
                if self._stop.wait(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            if failing:
                say(receiver.name, "delivers again")
            failing, pause = False, _FIRST_PAUSE
