"""The command `panda-edge watch`."""

from __future__ import annotations

from typing import Annotated

import typer

from panda_edge.commands.grouped import grouped
from panda_edge.commands.options import BundlePath, DetectorOptions
from panda_edge.commands.watch_options import DriftOptions, FileOptions, NetworkOptions, PageOptions, SourceOptions


@grouped
def watch(
    bundle: BundlePath,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A camera (0, /dev/video0, genicam://SERIAL), a video file, or an rtsp:// or http:// address. Or a "
            "folder that is being filled, or - for pictures on stdin.",
        ),
    ],
    taken: SourceOptions,
    files: FileOptions,
    network: NetworkOptions,
    page: PageOptions,
    warned: DriftOptions,
    detector: DetectorOptions,
) -> None:
    """Judge pictures from cameras, videos and folders, for months. It says why where a picture cannot be judged.

    SIGTERM ends it after the frame at work. SIGHUP opens the bundle anew.
    """
    from panda_edge.stream.asked import Asked, signals

    with signals(Asked()) as asked:  # from now on: a SIGHUP while the libraries are read must not end it
        from panda_edge.stream.frame_options import FrameOptions
        from panda_edge.stream.run import RunOptions, run_watch
        from panda_edge.stream.sinks.open import SinkOptions

        drop = None if taken.drop is None else taken.drop.value
        options = RunOptions(
            load=lambda: detector.load(bundle),
            sources=tuple(sources),
            once=taken.once,
            new_only=taken.new_only,
            raw=taken.raw,
            frames=FrameOptions(taken.every, taken.max_fps, drop, taken.frozen_after),
            trigger=taken.trigger,
            **vars(warned),
            sinks=SinkOptions(
                **vars(files), **vars(network), **vars(page), require_signature=detector.require_signature
            ),
        )
        good = run_watch(options, asked)
    if not good:
        raise typer.Exit(2)
