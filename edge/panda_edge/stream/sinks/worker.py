"""The thread that stands between the loop and what may hang or fail."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Generic, TypeVar

from panda_edge.errors import PandaError
from panda_edge.stream.started import start
from panda_edge.stream.why import why

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0  # seconds between tries
_TURN = 0.5  # seconds after which one who waits looks whether he may still


def never() -> bool:
    """The caller never waits."""
    return False


class WorkerSink(Generic[T]):
    """A sink whose work one Worker does: what it says of it, and how it ends."""

    _worker: Worker[T]

    @property
    def lost(self) -> int:
        """Items given up: they came faster than they could be worked off, or the work failed or hung."""
        return self._worker.lost

    @property
    def gave_up(self) -> bool:
        """Whether it still failed when it was closed."""
        return self._worker.gave_up

    def close(self, timeout: float) -> None:
        self._worker.close(timeout)


@dataclass(frozen=True)
class Room:
    """What may wait for a worker. items, bytes: at most so many; one item of more bytes waits alone. batch: items that
    are worked on at once. linger: seconds that a first item waits for others of its batch."""

    items: int = 1000
    bytes: int = 16_000_000
    batch: int = 256
    linger: float = 0.0


class Worker(Generic[T]):
    """A bounded queue and a thread that works it off in batches; one that fails is tried again, with growing pauses.

    When the queue is full the oldest item is lost and counted; where it `may_wait`, the caller waits instead, as long
    as the work does not fail.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], None],
        say: Callable[[str], None],
        weigh: Callable[[T], int],
        may_wait: Callable[[], bool] = never,
        room: Room = Room(),
    ) -> None:
        """work: raises OSError or PandaError where it failed, and did then nothing of the batch; BrokenPipeError ends
        the worker, as nobody reads any more; a batch that fails in another way is lost. say: one line, when it begins
        to fail and when it works again. weigh: bytes of an item.
        may_wait: asked twice a second by a caller for whose item there is no room. Raises PandaError."""
        self.lost = 0
        self.broken = self.gave_up = False
        self._work = work
        self._say = say
        self._weigh = weigh
        self._may_wait = may_wait
        self._room = room
        self._queue: deque[T] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._failing = self._closing = False
        self._deadline = float("inf")
        self._thread = Thread(target=self._run, name=name, daemon=True)
        start(self._thread)

    def put(self, item: T) -> None:
        """Queue an item."""
        size = self._weigh(item)

        def goes_on() -> bool:
            return self._has_room(size) or self._failing or self._closing or self.broken

        with self._changed:
            while not goes_on() and self._may_wait():
                self._changed.wait_for(goes_on, _TURN)
            while not self._has_room(size):
                self._take()
                self.lost += 1
            self._queue.append(item)
            self._bytes += size
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Work off what is queued, for at most `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._deadline = time.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join(timeout)

    @property
    def working(self) -> bool:
        """Whether its thread is still at work, as one that hangs is after `close`."""
        return self._thread.is_alive()

    def _has_room(self, size: int) -> bool:
        if not self._queue:
            return True
        return len(self._queue) < self._room.items and self._bytes + size <= self._room.bytes

    def _take(self) -> T:
        item = self._queue.popleft()
        self._bytes -= self._weigh(item)
        return item

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                self._changed.wait_for(lambda: self._closing or len(self._queue) >= self._room.batch, self._room.linger)
                batch = [self._take() for _ in range(min(self._room.batch, len(self._queue)))]
                self._changed.notify_all()
            if not self._done(batch):
                return

    def _done(self, batch: list[T]) -> bool:
        """Work on a batch until it succeeds; False where the worker is to end."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._work(batch)
            except BrokenPipeError:
                with self._changed:
                    self.broken = True
                    self._changed.notify_all()
                return False
            except (OSError, PandaError) as error:
                if not self._fails(why(error), pause, len(batch)):
                    return False
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception as error:  # too little memory, a defect of ours: the next batch may be better
                self.lost += len(batch)
                self._say(f"{why(error)}; {self.lost} lost")
                return True
            else:
                if self._failing:
                    self._failing = False
                    self._say(f"works again, {self.lost or 'nothing'} lost")
                return True

    def _fails(self, reason: str, pause: float, unfinished: int) -> bool:
        """Say so once and wait before the next try; False where there is no time for one."""
        if not self._failing:
            self._say(f"{reason}; tried again with growing pauses")
        with self._changed:
            self._failing = True
            self._changed.notify_all()
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, pause)
            elif time.monotonic() + pause < self._deadline:
                time.sleep(pause)
            else:
                self.lost += unfinished + len(self._queue)
                self.gave_up = True
                self._say(f"{reason}; {self.lost} lost")
                return False
        return True
