"""One thread a source: pictures into the inbox, and a source that is lost taken up again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from threading import Event, Thread

from panda_edge.errors import PandaError
from panda_edge.stream.frame import Frame, Gate, Picture, Source, SourceLost
from panda_edge.stream.inbox import Inbox
from panda_edge.stream.pace import Pace
from panda_edge.stream.sources.folder import FolderSource
from panda_edge.stream.started import start
from panda_edge.stream.why import why

Say = Callable[[str, str | None, str], None]
"""Kind of the notice, its source, its text."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before a lost source is tried again
_SILENT = 10.0  # seconds without a picture after which a camera that is not lost is said to be silent


@dataclass
class SourceState:
    """What is known of a source. frames: that it gave; passed_over: by --every and --max-fps; dropped: because newer
    ones came; losses: how often it was lost. last: `time.monotonic()` of its last picture."""

    name: str
    up: bool = False
    ended: bool = False
    frames: int = 0
    passed_over: int = 0
    dropped: int = 0
    losses: int = 0
    last: float | None = None
    error: str | None = None
    silent: bool = False


class Capture:
    """Reads one source in a thread until it ends or is told to stop."""

    def __init__(
        self,
        index: int,
        source: Source,
        inbox: Inbox,
        pace: Pace,
        drop: bool,
        say: Say,
        stop: Event,
        gate: Gate | None = None,
    ) -> None:
        """index: the source's place in the inbox. drop: older frames make room for newer ones. gate: None takes all
        that `pace` takes."""
        self._gate = gate
        self.source = source
        self.state = SourceState(source.name)
        self.failed = False
        self._index = index
        self._inbox = inbox
        self._pace = pace
        self._drop = drop
        self._say = say
        if isinstance(source, FolderSource):
            source.tell = lambda text: say("passed_over", source.name, text)
        self._stop = stop
        self._reading: float | None = None  # since when the source has been at work
        self._thread = Thread(target=self._run, name=f"capture {source.name}", daemon=True)

    def start(self) -> None:
        start(self._thread)

    def join(self, timeout: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def check_silence(self) -> None:
        """Say once where a camera gives nothing though nothing broke, be it that it never gave a picture."""
        state, since = self.state, self._reading
        if not self.source.live or since is None or state.silent:
            return
        if time.monotonic() - max(since, state.last or since) > _SILENT:
            state.silent = True
            self._say("source_silent", state.name, f"no picture for {_SILENT:.0f} seconds; still waiting")

    def _run(self) -> None:
        try:
            pause = _FIRST_PAUSE
            while not self._stop.is_set():
                before = self.state.frames
                try:
                    self._read_once()
                    if not self._stop.is_set() and not self.state.frames:
                        raise PandaError(f"{self.source.name}: no pictures in it")
                    return
                except Exception as error:
                    # Of a source without an end, a defect of ours is a loss, too: its pictures go on.
                    if not isinstance(error, SourceLost) and (isinstance(error, PandaError) or not self.source.endless):
                        raise
                    pause = _FIRST_PAUSE if self.state.frames > before else pause
                    self._lost(why(error), pause)
                    # Not all of a site's cameras at the same moment, after a power cut.
                    self._stop.wait(pause * random.uniform(0.8, 1.2))
                    pause = min(pause * 2, _LONGEST_PAUSE)
        except Exception as error:
            self.failed = True
            self.state.error = why(error)
            self._say("source_failed", self.state.name, why(error))
        finally:
            self.state.up, self.state.ended = False, True
            self._inbox.end(self._index)

    def _read_once(self) -> None:
        # Closed here, in this thread, whatever comes: a source holds files and sockets.
        with closing(self.source.pictures(self._stop)) as pictures:
            self._reading = time.monotonic()
            try:
                while not self._stop.is_set():
                    if not self._drop:
                        self._inbox.wait_for_room(self._index)
                    if (picture := next(pictures, None)) is None:
                        return
                    self._up()
                    self._put(picture)
                    del picture  # the queue holds it; a large one must be gone before the next is decoded
            finally:
                self._reading = None

    def _put(self, picture: Picture) -> None:
        self.state.frames += 1
        number = self.state.frames
        taken = self._gate is None or self._gate.takes(self.source.name, number, picture.arrived)
        if not taken or not self._pace.takes(self.source.live, self._stop):
            self.state.passed_over += 1
            return
        frame = Frame(self.source.name, number, time.time(), picture)
        self.state.dropped += self._inbox.put(self._index, frame, self._drop)

    def _up(self) -> None:
        state = self.state
        state.last = time.monotonic()
        if state.silent or (not state.up and state.losses):
            self._say("source_back", state.name, "pictures again")
        state.up, state.silent, state.error = True, False, None

    def _lost(self, why: str, pause: float) -> None:
        """Said once a loss, not once a try."""
        state = self.state
        first = state.up or not state.losses
        state.up, state.error = False, why
        if first:
            state.losses += 1
            self._say("source_lost", state.name, f"{why}; tried again from now on")
