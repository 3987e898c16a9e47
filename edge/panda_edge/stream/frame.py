"""What passes through the loop: a picture as its source gave it, a frame in a queue, what was decided of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from panda_edge.errors import PandaError
from panda_edge.images.reading import OpenedImage

if TYPE_CHECKING:
    from panda_edge.result import Result


class SourceLost(PandaError):
    """A source that cannot go on for now: a camera that restarts, a folder that is not mounted. It is tried again."""


@dataclass(frozen=True)
class Picture:
    """One picture from a source.

    opened: RGB or grey; None where `problem` says why there is none. arrived: `time.monotonic()` when its bytes were
    there, before they were decoded. encoded: the file's or the camera's own bytes, where there are any. where: what the
    source calls it, a file's path or a position in a video.
    """

    opened: OpenedImage | None
    arrived: float
    decode_ms: float = 0.0
    encoded: bytes | None = field(default=None, repr=False)
    where: str | None = None
    problem: str | None = None


class Source(Protocol):
    """Something that gives pictures. `live`: it goes on whether or not anyone looks, as a camera does; `endless`: it
    has no last picture, so that its end is a loss."""

    name: str
    live: bool
    endless: bool

    def pictures(self, stop: Event) -> Generator[Picture]:
        """Pictures until the source ends or `stop` is set. Raises SourceLost, PandaError."""
        ...


class Gate(Protocol):
    """Says which pictures are judged at all."""

    def takes(self, source: str, number: int, arrived: float) -> bool:
        """Asked once a picture, by the source's own thread. number, arrived: as of Frame and Picture."""
        ...


@dataclass(frozen=True)
class Frame:
    """A picture in its source's queue. number: of all that the source gave, from 1; captured: seconds since 1970."""

    source: str
    number: int
    captured: float
    picture: Picture


@dataclass(frozen=True)
class Outcome:
    """What became of one frame.

    id: the same for every delivery of it, and of no other. dropped: frames of this source that were given up since its
    last outcome because newer ones came. not_judged: why nothing is said of the picture; then `result` is None.
    stages_ms: milliseconds by stage; latency_ms: from the picture's arrival to the decision.
    """

    id: str
    frame: Frame
    dropped: int
    result: Result | None
    not_judged: str | None
    stages_ms: dict[str, float]
    latency_ms: float

    @property
    def source(self) -> str:
        return self.frame.source

    @property
    def p_value(self) -> float | None:
        """None where the frame was not judged or the bundle is not calibrated."""
        return None if self.result is None else self.result.p_value

    @property
    def anomalous(self) -> bool | None:
        """None where the frame was not judged or the bundle is not calibrated."""
        return None if self.result is None else self.result.anomalous


@dataclass(frozen=True)
class Notice:
    """Something to be said that is not of one frame. kind: `source_lost`, `source_back`, `source_silent`,
    `source_failed`, `bundle`, `sink`, `drift`, …; at: seconds since 1970; facts: what else is known, as JSON has it."""

    id: str
    kind: str
    source: str | None
    text: str
    at: float
    facts: dict[str, Any] = field(default_factory=dict)
