"""The thread that stands between the loop and what may hang or fail."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

from panda_edge.errors import PandaError

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0  # seconds between tries


class Worker(Generic[T]):
    """A bounded queue and a thread that works it off in batches; one that fails is tried again, with growing pauses.

    When the queue is full the oldest item is lost and counted; where it may `wait`, the caller waits instead, as long
    as the work does not fail.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], None],
        say: Callable[[str], None],
        capacity: int = 1000,
        wait: bool = False,
        batch: int = 256,
    ) -> None:
        """work: raises OSError or PandaError where it failed, and did then nothing of the batch; BrokenPipeError ends
        the worker, as nobody reads any more. say: one line, when it begins to fail and when it works again."""
        self.lost = 0
        self.broken = self.gave_up = False
        self._work = work
        self._say = say
        self._capacity = capacity
        self._wait = wait
        self._batch = batch
        self._queue: deque[T] = deque()
        self._changed = Condition()
        self._failing = self._closing = False
        self._deadline = float("inf")
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue an item."""
        with self._changed:
            if self._wait:
                self._changed.wait_for(lambda: self._has_room() or self._failing or self._closing or self.broken)
            if not self._has_room():
                self._queue.popleft()
                self.lost += 1
            self._queue.append(item)
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Work off what is queued, for at most `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._deadline = time.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join(timeout)

    def _has_room(self) -> bool:
        return len(self._queue) < self._capacity

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
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
                if not self._fails(reason(error), pause, len(batch)):
                    return False
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if self._failing:
                    self._failing = False
                    self._say(f"works again, {self.lost or 'nothing'} lost")
                return True

    def _fails(self, why: str, pause: float, unfinished: int) -> bool:
        """Say so once and wait before the next try; False where there is no time for one."""
        if not self._failing:
            self._say(f"{why}; tried again with growing pauses")
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
                self._say(f"{why}; {self.lost} lost")
                return False
        return True


def reason(error: Exception) -> str:
    """Why something failed, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
