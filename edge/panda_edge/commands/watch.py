"""The command `panda-edge watch`."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.options import BundlePath, Epsilon, Fpr, Provider, RequireSignature, Roi, Threads
from panda_edge.decide.false_alarms import DEFAULT_FPR

_SOURCES, _SINKS = "Sources", "Sinks"


class Drop(StrEnum):
    old = "old"
    never = "never"


class Send(StrEnum):
    anomalous = "anomalous"
    all = "all"


def watch(
    bundle: BundlePath,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A camera (0, /dev/video0), a video file, an rtsp:// or http:// address, a folder that is being "
            "filled, or - for pictures on stdin.",
            show_default=False,
        ),
    ],
    once: Annotated[bool, typer.Option(help="End when folders are worked off.", rich_help_panel=_SOURCES)] = False,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Pass over what is in folders at first.", rich_help_panel=_SOURCES)
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Judge one frame of so many.", rich_help_panel=_SOURCES)] = 1,
    max_fps: Annotated[
        float | None, typer.Option(help="Judge at most so many frames a second of a source.", rich_help_panel=_SOURCES)
    ] = None,
    drop: Annotated[
        Drop | None,
        typer.Option(
            help="Give up old frames when newer ones come (cameras), or never (files).",
            show_default=False,
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(help="Frames on stdin are WIDTHxHEIGHT RGB bytes; WIDTHxHEIGHTx1 grey.", rich_help_panel=_SOURCES),
    ] = None,
    frozen_after: Annotated[
        float,
        typer.Option(
            help="Seconds for which a camera may show the very same pixels; 0 for ever.", rich_help_panel=_SOURCES
        ),
    ] = 1.0,
    trigger: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Judge one picture a trigger: http://127.0.0.1:9100 (POST), mqtt://host/topic, or "
            "modbus://plc/?input=0; &deadline= in ms.",
            show_default=False,
            rich_help_panel=_SOURCES,
        ),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSON lines, - for stdout; there without any sink.", rich_help_panel=_SINKS),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A CSV line a frame.", show_default=False, rich_help_panel=_SINKS),
    ] = None,
    rotate_mb: Annotated[
        float, typer.Option(help="A new file when that of --jsonl or --csv is so large.", rich_help_panel=_SINKS)
    ] = 100.0,
    rotate_hours: Annotated[float, typer.Option(help="… or so old.", rich_help_panel=_SINKS)] = 24.0,
    keep: Annotated[int, typer.Option(min=0, help="Older files that are kept.", rich_help_panel=_SINKS)] = 10,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Anomalous frames with overlays, into this folder.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    quota_mb: Annotated[
        float, typer.Option(help="The oldest go where --save's folder would be larger.", rich_help_panel=_SINKS)
    ] = 1000.0,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Every frame's outcome, for `panda-edge history` and the page; history.sqlite in --save's folder.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    history_days: Annotated[float, typer.Option(help="Older frames leave the history.", rich_help_panel=_SINKS)] = 90.0,
    history_mb: Annotated[
        float, typer.Option(help="The oldest frames leave where the history would be larger.", rich_help_panel=_SINKS)
    ] = 500.0,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="mqtt://host:1883/topic; ?homeassistant behind it shows the device there.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="POST events as JSON.", show_default=False, rich_help_panel=_SINKS),
    ] = None,
    send: Annotated[
        Send, typer.Option(help="What --mqtt and --webhook get of frames.", rich_help_panel=_SINKS)
    ] = Send.anomalous,
    spool: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where events wait that could not be delivered; the user's state folder by default.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    spool_events: Annotated[
        int, typer.Option(min=1, help="Events that may wait; then the oldest are lost.", rich_help_panel=_SINKS)
    ] = 100_000,
    line: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Verdicts to a machine: modbus://plc/?coil=0&register=0, opcua://0.0.0.0:4840, "
            "gpio://gpiochip0/?ok=17&ng=27; &delay=, &hold=, &deadline= in ms.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Counters for Prometheus.", show_default=False, rich_help_panel=_SINKS),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A page to look at; beyond 127.0.0.1 it needs a token.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="What the page's visitors must know; better in the environment as PANDA_EDGE_TOKEN.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    look_token: Annotated[
        str | None,
        typer.Option(
            help="Who knows this one may look, and not decide; in the environment PANDA_EDGE_LOOK_TOKEN.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Serve the page by TLS.", show_default=False, rich_help_panel=_SINKS),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="The certificate's key.", show_default=False, rich_help_panel=_SINKS),
    ] = None,
    collect: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the page's button 'this was normal' puts pictures.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    drift: Annotated[
        float,
        typer.Option(
            metavar="ALPHA",
            help="Say when scores no longer come as at fit; the chance of saying it though nothing changed. 0: off.",
            rich_help_panel=_SINKS,
        ),
    ] = 0.01,
    drift_state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keeps what --drift has seen over restarts.",
            show_default=False,
            rich_help_panel=_SINKS,
        ),
    ] = None,
    fpr: Fpr = DEFAULT_FPR,
    roi: Roi = None,
    epsilon: Epsilon = 0.0,
    threads: Threads = None,
    provider: Provider = "cpu",
    require_signature: RequireSignature = None,
) -> None:
    """Judge what cameras, videos and folders give, for months: every frame is judged, or said why not.

    SIGTERM ends after the frame at work; SIGHUP takes up a new bundle.
    """
    from panda_edge.stream.asked import Asked, signals

    with signals(Asked()) as asked:  # from now on: a SIGHUP while the libraries are read must not end it
        from panda_edge.detector import load
        from panda_edge.stream.frame_options import FrameOptions
        from panda_edge.stream.run import RunOptions, run_watch
        from panda_edge.stream.sinks.open import SinkOptions

        sinks = SinkOptions(
            jsonl=jsonl,
            csv=csv,
            rotate_bytes=round(rotate_mb * 1e6),
            rotate_seconds=rotate_hours * 3600,
            keep=keep,
            save=save,
            quota_bytes=round(quota_mb * 1e6),
            history=history,
            history_days=history_days,
            history_bytes=round(history_mb * 1e6),
            mqtt=mqtt,
            webhook=webhook,
            send=send.value,
            spool=spool,
            spool_events=spool_events,
            line=tuple(line or ()),
            metrics=metrics,
            http=http,
            token=token,
            look_token=look_token,
            tls_cert=tls_cert,
            tls_key=tls_key,
            collect=collect,
        )
        options = RunOptions(
            load=partial(load, bundle, threads, provider, epsilon, fpr, require_signature, roi),
            sources=tuple(sources),
            once=once,
            new_only=new_only,
            raw=raw,
            frames=FrameOptions(every, max_fps, None if drop is None else drop.value, frozen_after),
            trigger=trigger,
            drift=drift,
            drift_state=drift_state,
            sinks=sinks,
        )
        good = run_watch(options, asked)
    if not good:
        raise typer.Exit(2)
