"""Which frames of a source are judged: every Nth, and at most so many a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event


@dataclass
class Pace:
    """every: judge one frame of so many. max_fps: frames a second at most; None for all. One source each."""

    every: int = 1
    max_fps: float | None = None
    _seen: int = field(default=0, init=False)
    _next: float = field(default=0.0, init=False)

    def takes(self, live: bool, stop: Event) -> bool:
        """Whether the frame that has just come is to be judged. A camera's surplus is passed over; a file is read no
        faster than `max_fps`, and nothing of it is lost."""
        self._seen += 1
        if (self._seen - 1) % self.every:
            return False
        if self.max_fps is None:
            return True
        now, pause = time.monotonic(), 1 / self.max_fps
        if live:
            # A frame that comes a little early is on time, or a camera of just this rate would lose every other one.
            if now < self._next - pause / 4:
                return False
        elif now < self._next:
            stop.wait(self._next - now)
        # Late frames do not make up for it: the next one comes no sooner than half a pause after this.
        self._next = max(self._next, now - pause / 4) + pause
        return True
