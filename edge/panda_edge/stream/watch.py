"""`panda_edge.watch`: sources and a bundle in, outcomes out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.detector import load
from panda_edge.images.roi import RoiLike
from panda_edge.printable import printable
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.judgeable import FROZEN_AFTER
from panda_edge.stream.loop import Loop, LoopOptions
from panda_edge.stream.setup import check_options, open_sources
from panda_edge.stream.sinks.drift import DEFAULT_ALPHA, Drift, check_drift, open_drift


def watch(
    bundle: str | os.PathLike[str],
    *sources: str,
    once: bool = False,
    new_only: bool = False,
    fpr: float = DEFAULT_FPR,
    every: int = 1,
    max_fps: float | None = None,
    drop: str | None = None,
    raw: tuple[int, int, int] | None = None,
    frozen_after: float = FROZEN_AFTER,
    threads: int | None = None,
    provider: str = "cpu",
    epsilon: float = 0.0,
    require_signature: str | os.PathLike[str] | None = None,
    roi: RoiLike | None = None,
    drift: float = DEFAULT_ALPHA,
    notify: Callable[[Notice], None] | None = None,
) -> Iterator[Outcome]:
    """Judge what the sources give, frame by frame, until they end; closing the iterator closes them.

    sources: a camera ("0", "/dev/video0"), a video file, an rtsp:// or http:// address, a folder, or "-" for stdin
    (raw: (width, height, channels) of frames without a header). once: a folder ends when it was worked off; new_only:
    what is in it at first is passed over. every: one frame of so many is judged; max_fps: at most so many a second.
    drop: "old" gives up frames that newer ones overtake, "never" lets the sources wait; None: "old" for cameras,
    "never" for files. frozen_after: seconds for which a camera may show the very same pixels, 0 for ever. drift: the
    chance that drift is told though nothing has changed; 0 for off. notify: is told of sources lost and found and of
    drift, by any thread; None prints a line on stderr. The others are as in `panda_edge.load`.

    An outcome's `result` is None where the frame was not judged; `not_judged` says why. Raises PandaError.
    """
    check_options(every=every, max_fps=max_fps, drop=drop, frozen_after=frozen_after)
    check_drift(drift, None)
    options = LoopOptions(drop, every, max_fps, frozen_after)
    loop: list[Loop] = []
    opened = open_sources(
        sources, once, raw, lambda data, name: loop[0].detector.preprocessing.decode(data, name), new_only
    )
    loop.append(
        Loop(
            lambda: load(bundle, threads, provider, epsilon, fpr, require_signature, roi),
            opened,
            options,
            notify or print_notice,
        )
    )
    return _watched(loop[0], open_drift(loop[0], drift))


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
