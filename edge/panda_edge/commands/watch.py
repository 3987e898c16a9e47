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
            help="A camera (0, /dev/video0, genicam://SERIAL), a video file, an rtsp:// or http:// address, a folder "
            "that is being filled, or - for pictures on stdin.",
        ),
    ],
    taken: SourceOptions,
    files: FileOptions,
    network: NetworkOptions,
    page: PageOptions,
    warned: DriftOptions,
    detector: DetectorOptions,
) -> None:
    """Judge what cameras, videos and folders give, for months: every frame is judged, or said why not.

    SIGTERM ends after the frame at work; SIGHUP takes up a new bundle.
    """
    from panda_edge.stream.asked import Asked, signals

    with signals(Asked()) as asked:  # from now on: a SIGHUP while the libraries are read must not end it
        from panda_edge.stream.frame_options import FrameOptions
        from panda_edge.stream.run import RunOptions, run_watch
        from panda_edge.stream.sinks.open import SinkOptions

        sinks = SinkOptions(
            jsonl=files.jsonl,
            csv=files.csv,
            rotate_bytes=round(files.rotate_mb * 1e6),
            rotate_seconds=files.rotate_hours * 3600,
            keep=files.keep,
            save=files.save,
            quota_bytes=round(files.quota_mb * 1e6),
            history=files.history,
            history_days=files.history_days,
            history_bytes=round(files.history_mb * 1e6),
            mqtt=network.mqtt,
            webhook=network.webhook,
            send=network.send.value,
            spool=network.spool,
            spool_events=network.spool_events,
            line=tuple(network.line or ()),
            metrics=network.metrics,
            http=page.http,
            token=page.token,
            look_token=page.look_token,
            tls_cert=page.tls_cert,
            tls_key=page.tls_key,
            collect=page.collect,
        )
        drop = None if taken.drop is None else taken.drop.value
        options = RunOptions(
            load=lambda: detector.load(bundle),
            sources=tuple(sources),
            once=taken.once,
            new_only=taken.new_only,
            raw=taken.raw,
            frames=FrameOptions(taken.every, taken.max_fps, drop, taken.frozen_after),
            trigger=taken.trigger,
            drift=warned.drift,
            drift_state=warned.drift_state,
            sinks=sinks,
        )
        good = run_watch(options, asked)
    if not good:
        raise typer.Exit(2)
