"""Frames that wait to be judged: a queue for each source, bounded by number and by bytes, taken from in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition

from panda_edge.stream.frame import Frame
from panda_edge.stream.weight import picture_bytes

MOST_BYTES = 200_000_000  # of all frames that wait and the one at work: two of 20 megapixels; a larger one is alone


class Inbox:
    """Bounded queues, one a source. What is put into a full one waits, or throws the older ones out."""

    def __init__(self, depths: Sequence[int], most_bytes: int = MOST_BYTES) -> None:
        """depths: how many frames of each source may wait. most_bytes: how many bytes of all, with the one at work."""
        self._depths = depths
        self._most_bytes = most_bytes
        self._queues: list[deque[Frame]] = [deque() for _ in depths]
        self._dropped = [0] * len(depths)
        self._last = [0] * len(depths)  # bytes of each source's last frame: the next will have about as many
        self._at_work = 0
        self._open = set(range(len(depths)))
        self._turn = 0
        self._changed = Condition()
        self._stopped = False

    def wait_for_room(self, source: int) -> None:
        """Wait until a source's next frame has room, so that it is not decoded before. For what does not drop."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(source, self._last[source]) or self._stopped)

    def put(self, source: int, frame: Frame, drop: bool) -> int:
        """Add a frame; returns how many were dropped for it.

        drop: where the queue is full, everything in it makes room, so that under a load that lasts the newest frame
        is next. Otherwise wait until it is not; see `wait_for_room`.
        """
        size = picture_bytes(frame.picture)
        with self._changed:
            queue = self._queues[source]
            dropped = 0
            if drop:
                if not self._has_room(source, size):
                    dropped = len(queue)
                    queue.clear()
                    self._dropped[source] += dropped
            else:
                self._changed.wait_for(lambda: len(queue) < self._depths[source] or self._stopped)
            if not self._stopped:
                self._last[source] = size
                queue.append(frame)
                self._changed.notify_all()
            return dropped

    def take(self, timeout: float) -> tuple[Frame, int] | None:
        """The next frame, of the sources in turn, and how many of its source were dropped before it; None where
        none came in `timeout` seconds or none can come any more. The one taken before is no longer at work."""
        with self._changed:
            self._at_work = 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: any(self._queues) or self.finished or self._stopped, timeout)
            for _ in self._queues:
                source = self._turn
                self._turn = (self._turn + 1) % len(self._queues)
                if self._queues[source]:
                    frame = self._queues[source].popleft()
                    self._at_work = picture_bytes(frame.picture)
                    dropped, self._dropped[source] = self._dropped[source], 0
                    self._changed.notify_all()
                    return frame, dropped
            return None

    def end(self, source: int) -> None:
        """Nothing more will come of this source."""
        with self._changed:
            self._open.discard(source)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let everyone who waits go; what is put from now on is not kept."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Every source has ended and every frame was taken."""
        return not self._open and not any(self._queues)

    @property
    def empty(self) -> bool:
        """No frame waits at this moment."""
        return not any(self._queues)

    def _has_room(self, source: int, size: int) -> bool:
        held = self._at_work + sum(picture_bytes(frame.picture) for queue in self._queues for frame in queue)
        return len(self._queues[source]) < self._depths[source] and (not held or held + size <= self._most_bytes)
