"""The options of `panda-edge watch`: a dataclass for each panel of its help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer


class Drop(StrEnum):
    old = "old"
    never = "never"


class Send(StrEnum):
    anomalous = "anomalous"
    all = "all"


@dataclass(frozen=True)
class SourceOptions:
    """Which pictures of the sources are judged."""

    panel: ClassVar[str | None] = "Sources"
    once: Annotated[bool, typer.Option("--once", help="End when the pictures of folders are judged.")] = False
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Do not judge pictures that are in folders at the start.")
    ] = False
    every: Annotated[int, typer.Option(min=1, help="Judge one frame of so many.")] = 1
    max_fps: Annotated[float | None, typer.Option(help="Judge at most so many frames of a source a second.")] = None
    drop: Annotated[
        Drop | None,
        typer.Option(
            help="Give up old frames when newer ones come (default for cameras), or never (default for files)."
        ),
    ] = None
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="WxH[x1]", help="Size of frames on stdin that have no header: RGB bytes, or grey with x1 behind."
        ),
    ] = None
    frozen_after: Annotated[
        float,
        typer.Option(help="Seconds after which a camera that shows the very same pixels is called frozen; 0: never."),
    ] = 1.0
    trigger: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Judge one picture a trigger: http://127.0.0.1:9100 (POST), mqtt://host/topic, "
            "modbus://plc/?input=0, or gpio://gpiochip0/?input=4. &deadline= gives the milliseconds for an answer.",
        ),
    ] = None


@dataclass(frozen=True)
class FileOptions:
    """What is written on this machine."""

    panel: ClassVar[str | None] = "Files"
    jsonl: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write a JSON line a frame; - for stdout, which is the default without other outputs."
        ),
    ] = None
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a CSV line a frame.")] = None
    rotate_mb: Annotated[float, typer.Option(help="Begin a new file of --jsonl or --csv at so many megabytes.")] = 100.0
    rotate_hours: Annotated[float, typer.Option(help="Begin a new file of --jsonl or --csv after so many hours.")] = (
        24.0
    )
    keep: Annotated[int, typer.Option(min=0, help="Keep so many older files of --jsonl and --csv.")] = 10
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save anomalous frames, with overlays, in this folder.")
    ] = None
    quota_mb: Annotated[float, typer.Option(help="Most megabytes in --save's folder; the oldest frames go first.")] = (
        1000.0
    )
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep every frame's outcome, for `panda-edge history` and the page. With --save it is kept in that "
            "folder, as history.sqlite, if not given.",
        ),
    ] = None
    history_days: Annotated[float, typer.Option(help="Delete frames from the history after so many days.")] = 90.0
    history_mb: Annotated[float, typer.Option(help="Most megabytes of the history; the oldest frames go first.")] = (
        500.0
    )


@dataclass(frozen=True)
class NetworkOptions:
    """What is sent to other machines."""

    panel: ClassVar[str | None] = "Network and machines"
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Publish events at mqtt://host:1883/topic; with ?homeassistant behind it, Home Assistant shows the "
            "device.",
        ),
    ] = None
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="POST events as JSON to this address.")] = None
    send: Annotated[Send, typer.Option(help="Which frames --mqtt and --webhook are told of.")] = Send.anomalous
    spool: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep undelivered events in this file; in the user's state folder if not given."
        ),
    ] = None
    spool_events: Annotated[
        int, typer.Option(min=1, help="Most undelivered events that are kept; the oldest are lost first.")
    ] = 100_000
    line: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Send verdicts to a machine: modbus://plc/?coil=0&register=0, opcua://0.0.0.0:4840, "
            "gpio://gpiochip0/?ok=17&ng=27; &delay=, &hold=, &deadline= in ms, &pulses= of an encoder.",
        ),
    ] = None
    metrics: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Serve counters for Prometheus.")] = None


@dataclass(frozen=True)
class PageOptions:
    """The page in a browser."""

    panel: ClassVar[str | None] = "Page"
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve a page that shows the line; beyond 127.0.0.1 it needs a token."),
    ] = None
    token: Annotated[
        str | None,
        typer.Option(
            help="Password of the page, to look and to decide; safer in the environment, as PANDA_EDGE_TOKEN."
        ),
    ] = None
    look_token: Annotated[
        str | None,
        typer.Option(help="Password to look, not to decide; safer in the environment, as PANDA_EDGE_LOOK_TOKEN."),
    ] = None
    tls_cert: Annotated[Path | None, typer.Option(metavar="PEM", help="Certificate to serve the page by TLS.")] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="PEM", help="The certificate's private key.")] = None
    collect: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep pictures here that visitors label; labels in --save's folder."),
    ] = None
    keep_bundles: Annotated[int, typer.Option(min=1, help="Earlier bundles that the page can go back to.")] = 3


@dataclass(frozen=True)
class DriftOptions:
    """When scores are said to have changed."""

    panel: ClassVar[str | None] = "Drift"
    drift: Annotated[
        float,
        typer.Option(
            metavar="ALPHA",
            help="Warn when scores differ from those at fit. ALPHA is the chance of a warning though nothing changed; "
            "0: off.",
        ),
    ] = 0.01
    drift_state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what --drift has seen in this file, over restarts.")
    ] = None
