"""`panda-edge watch` from its options to its end: loop, sinks and signals put together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from panda_edge.detector import Detector
from panda_edge.errors import PandaError
from panda_edge.printable import printable
from panda_edge.stream.asked import Asked, signals
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sinks.drift import DEFAULT_ALPHA, check_drift, open_drift
from panda_edge.stream.sinks.open import SinkOptions, open_sinks
from panda_edge.stream.sinks.sink import Sink
from panda_edge.stream.sources.stdin import parse_raw
from panda_edge.stream.systemd import Systemd
from panda_edge.stream.trigger.address import parse_trigger
from panda_edge.stream.trigger.open import listen
from panda_edge.stream.trigger.triggers import Triggers
from panda_edge.stream.watch import print_notice
from panda_edge.stream.why import why

GIVE_WAY = 0.0005
"""Seconds after which a thread of Python lets another go on, if that waits. By Python's own 5 ms, a frame that comes
back from the model might wait as long for each thread that draws or answers the page."""


@dataclass(frozen=True)
class RunOptions:
    """What the command line asked for; see `panda_edge.watch`. load: opens the bundle, now and at every SIGHUP."""

    load: Callable[[], Detector]
    sources: tuple[str, ...]
    once: bool = False
    new_only: bool = False
    raw: str | None = None
    frames: FrameOptions = FrameOptions()
    drift: float = DEFAULT_ALPHA
    drift_state: Path | None = None
    trigger: str | None = None
    sinks: SinkOptions = field(default_factory=SinkOptions)


def run_watch(options: RunOptions, asked: Asked | None = None) -> bool:
    """Watch until every source has ended or a signal says so. Returns False where a source failed, or a sink until the
    end. asked: by signals that are handled already. Raises PandaError."""
    if asked is None:
        with signals(Asked()) as asked:
            return run_watch(options, asked)
    check_drift(options.drift, options.drift_state)
    _check_save(options)
    trigger = None if options.trigger is None else parse_trigger(options.trigger)
    raw = None if options.raw is None else parse_raw(options.raw)
    loops: list[Loop] = []
    sources = open_sources(
        options.sources,
        options.once,
        raw,
        lambda data, name: loops[0].detector.preprocessing.decode(data, name),
        options.new_only,
    )
    triggers = None
    if trigger is not None:
        names = [source.name for source in sources]
        triggers = Triggers(
            names, trigger.deadline, trigger.after, lambda source, text: loops[0].say("trigger_missed", source, text)
        )
    systemd = Systemd()
    sinks: list[Sink] = []

    def notify(notice: Notice) -> None:
        print_notice(notice)
        for sink in sinks:
            sink.notice(notice)

    loop = Loop(options.load, sources, options.frames, notify, systemd.beat, asked, triggers)
    loops.append(loop)
    _warn_of(loop.detector)
    patient = not any(options.frames.drops(source.live) for source in sources)
    with ExitStack() as stack:
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(GIVE_WAY)
        drift = open_drift(loop, options.drift, options.drift_state)
        sinks += open_sinks(options.sinks, loop, lambda: patient and not asked.end, stack, drift, triggers)
        if trigger is not None and triggers is not None:
            listen(trigger, triggers, loop, options.sinks.token, stack)
        systemd.notify("READY=1")
        for outcome in loop.outcomes():
            for sink in sinks:
                _give(outcome, sink, loop)
            del outcome  # a large picture must be gone before the next one is decoded
            if any(getattr(sink, "broken", False) for sink in sinks):
                raise BrokenPipeError
        systemd.notify("STOPPING=1")
    return not loop.failed and not any(getattr(sink, "gave_up", False) for sink in sinks)


def _check_save(options: RunOptions) -> None:
    """Raise PandaError where what is saved would be taken up as a picture to judge."""
    for source in options.sources:
        if options.sinks.save is not None and os.path.realpath(source) == os.path.realpath(options.sinks.save):
            raise PandaError(
                f"--save {options.sinks.save}: is the folder that is watched; give one in it, or elsewhere"
            )


def _give(outcome: Outcome, sink: Sink, loop: Loop) -> None:
    """A sink that fails, as none should, loses this outcome; the others and the loop go on."""
    try:
        sink.outcome(outcome)
    except Exception as error:
        loop.say("sink", None, f"{type(sink).__name__}: {why(error)}; {outcome.id} is lost there")


def _warn_of(detector: Detector) -> None:
    if detector.decider is None:
        print("warning: the bundle is not calibrated; frames get scores, and no decisions", file=sys.stderr)
    for remark in detector.remarks:
        print(f"warning: {printable(remark)}", file=sys.stderr)
