"""From the sinks that were asked for to open ones, every wrong option refused before the work begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from panda_edge.errors import PandaError
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.jsonl import JsonLines, RotatedFile, write_to_stdout
from panda_edge.stream.sinks.sink import Sink


@dataclass(frozen=True)
class SinkOptions:
    """jsonl: a file, or `-`; rotate_bytes, rotate_seconds, keep: see RotatedFile."""

    jsonl: str | None = None
    rotate_bytes: int = 100_000_000
    rotate_seconds: float = 86_400.0
    keep: int = 10


def open_sinks(options: SinkOptions, loop: Loop, may_wait: bool) -> list[Sink]:
    """The sinks asked for; JSON lines on stdout where there is none. may_wait: a sink may keep the loop waiting.

    Raises PandaError.
    """
    say = partial(loop.say, "sink")
    sinks: list[Sink] = []
    if options.jsonl is not None and options.jsonl != "-":
        if options.rotate_bytes < 1000 or not options.rotate_seconds > 0:
            raise PandaError("--rotate-mb: expected at least 0.001; --rotate-hours: more than 0")
        file = RotatedFile(Path(options.jsonl), options.rotate_bytes, options.rotate_seconds, options.keep)
        sinks.append(JsonLines(file.write, partial(say, options.jsonl), may_wait, file.close))
    if options.jsonl == "-" or not sinks:
        sinks.append(JsonLines(write_to_stdout, partial(say, "stdout"), may_wait, lambda: None))
    return sinks
