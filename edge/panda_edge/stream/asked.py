"""What the loop is asked for from outside: flags, which a signal's handler may set whatever is at work."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from panda_edge.system import END_SIGNALS, RELOAD_SIGNALS


@dataclass
class Asked:
    """end: after the frame at work. reload: take up the bundle anew. The loop looks at them twice a second."""

    end: bool = False
    reload: bool = False


@contextmanager
def signals(asked: Asked) -> Iterator[Asked]:
    """SIGTERM and SIGINT end after the frame at work, a second one at once; SIGHUP takes up a new bundle. Windows has
    Ctrl+C and Ctrl+Break, which end it, and no SIGHUP.

    A handler runs between any two steps of the main thread, which may hold any lock: so it takes none, starts nothing
    and says nothing, but sets a flag.
    """

    def end(*_: object) -> None:
        asked.end = True
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def reload(number: int, frame: FrameType | None) -> None:
        asked.reload = True

    before = {number: signal.signal(number, end) for number in END_SIGNALS}
    before |= {number: signal.signal(number, reload) for number in RELOAD_SIGNALS}
    try:
        yield asked
    finally:
        for number, handle in before.items():
            signal.signal(number, handle)
