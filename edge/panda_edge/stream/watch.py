"""`panda_edge.watch`: sources and a bundle in, outcomes out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

from panda_edge.detector import Detector, load
from panda_edge.printable import printable
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sinks.drift import DEFAULT_ALPHA, Drift, check_drift, open_drift


def watch(
    bundle: str | os.PathLike[str] | Detector,
    *sources: str,
    once: bool = False,
    new_only: bool = False,
    raw: tuple[int, int, int] | None = None,
    frames: FrameOptions = FrameOptions(),
    drift: float = DEFAULT_ALPHA,
    notify: Callable[[Notice], None] | None = None,
) -> Iterator[Outcome]:
    """Judge what the sources give, frame by frame, until they end. Closing the iterator closes them.

    Args:
        bundle: A bundle's path, opened as `panda_edge.load` does without options; or what `load` returned, with a
            false-alarm rate, a roi or threads of your own.
        sources: Each a camera ("0", "/dev/video0"), a video file, an rtsp:// or http:// address, a folder, or "-" for
            stdin.
        once: A folder ends when it was worked off.
        new_only: The pictures that lie in a folder at first are not judged.
        raw: (width, height, channels) of frames that come on stdin without a header.
        frames: Which frames are judged.
        drift: The chance that drift is told though nothing has changed, in [0, 0.5]; 0 does not look for it.
        notify: Is told of sources lost and found and of drift, by any thread. None prints a line on stderr.

    Returns:
        An outcome a frame. Its `result` is None where the frame was not judged; `not_judged` says why.

    Raises:
        PandaError: The bundle or a source cannot be opened, or an argument is out of its range.
    """
    check_drift(drift, None)
    detector = bundle if isinstance(bundle, Detector) else load(bundle)
    opened = open_sources(sources, once, raw, detector.preprocessing.decode, new_only)
    loop = Loop(lambda: detector, opened, frames, notify or print_notice)
    return _watched(loop, open_drift(loop, drift))


def _watched(loop: Loop, drift: Drift | None) -> Iterator[Outcome]:
    with closing(loop.outcomes()) as outcomes:
        for outcome in outcomes:
            if drift is not None:
                drift.outcome(outcome)
            yield outcome
            del outcome


def print_notice(notice: Notice) -> None:
    """One line on stderr."""
    source = f"{notice.source}: " if notice.source and not notice.text.startswith(notice.source) else ""
    print(f"panda-edge watch: {printable(source + notice.text)}", file=sys.stderr, flush=True)
