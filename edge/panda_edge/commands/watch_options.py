"""The options of `panda-edge watch`: a dataclass for each panel of its help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from panda_edge.commands.grouped import option

Drop = StrEnum("Drop", ["old", "never"])
Send = StrEnum("Send", ["anomalous", "all"])


@dataclass(frozen=True)
class SourceOptions:
    """Which pictures of the sources are judged."""

    panel = "Sources"
    once: bool = option(False, "End when the pictures of folders are judged.")
    new_only: bool = option(False, "Do not judge pictures that are in folders at the start.")
    every: int = option(1, "Judge one frame of so many.", min=1)
    max_fps: float | None = option(None, "Judge at most so many frames of a source a second.")
    drop: Drop | None = option(
        None, "old: drop old frames when newer ones come. never: keep all. If not given: old of cameras, else never."
    )
    raw: str | None = option(
        None, "Size of frames on stdin that have no header: RGB bytes, or grey with x1 behind.", metavar="WxH[x1]"
    )
    frozen_after: float = option(
        1.0, "Seconds after which a camera that shows the very same pixels is called frozen; 0: never."
    )
    trigger: str | None = option(
        None,
        "Judge one picture a trigger: http://127.0.0.1:9100 (POST), mqtt://host/topic, "
        "modbus://plc/?input=0, or gpio://gpiochip0/?input=4. &deadline= gives the milliseconds for an answer.",
        metavar="URL",
    )


@dataclass(frozen=True)
class FileOptions:
    """What is written on this machine."""

    panel = "Files"
    jsonl: str | None = option(
        None, "Write a JSON line a frame; - for stdout, which is the default without other outputs.", metavar="FILE"
    )
    csv: Path | None = option(None, "Write a CSV line a frame.", metavar="FILE")
    rotate_mb: float = option(100.0, "Begin a new file of --jsonl or --csv at so many megabytes.")
    rotate_hours: float = option(24.0, "Begin a new file of --jsonl or --csv after so many hours.")
    keep: int = option(10, "Keep so many older files of --jsonl and --csv.", min=0)
    save: Path | None = option(None, "Save anomalous frames, with overlays, in this folder.", metavar="DIR")
    quota_mb: float = option(1000.0, "Most megabytes in --save's folder; the oldest frames go first.")
    history: Path | None = option(
        None,
        "Keep every frame's outcome, for `panda-edge history` and the page. With --save it is kept in that "
        "folder, as history.sqlite, if not given.",
        metavar="FILE",
    )
    history_days: float = option(90.0, "Delete frames from the history after so many days.")
    history_mb: float = option(500.0, "Most megabytes of the history; the oldest frames go first.")


@dataclass(frozen=True)
class NetworkOptions:
    """What is sent to other machines."""

    panel = "Network and machines"
    mqtt: str | None = option(
        None,
        "Publish events at mqtt://host:1883/topic; with ?homeassistant behind it, Home Assistant shows the device.",
        metavar="URL",
    )
    webhook: str | None = option(None, "POST events as JSON to this address.", metavar="URL")
    send: Send = option(Send.anomalous, "Which frames --mqtt and --webhook are told of.")
    spool: Path | None = option(
        None, "Keep undelivered events in this file; in the user's state folder if not given.", metavar="FILE"
    )
    spool_events: int = option(100_000, "Most undelivered events that are kept; the oldest are lost first.", min=1)
    line: list[str] | None = option(
        None,
        "Send verdicts to a machine: modbus://plc/?coil=0&register=0, opcua://0.0.0.0:4840, "
        "gpio://gpiochip0/?ok=17&ng=27; &delay=, &hold=, &deadline= in ms, &pulses= of an encoder.",
        metavar="URL",
    )
    metrics: str | None = option(None, "Serve counters for Prometheus.", metavar="HOST:PORT")


@dataclass(frozen=True)
class PageOptions:
    """The page in a browser."""

    panel = "Page"
    http: str | None = option(
        None, "Serve a page that shows the line; beyond 127.0.0.1 it needs a token.", metavar="HOST:PORT"
    )
    token: str | None = option(
        None, "Password of the page, to look and to decide; safer in the environment, as PANDA_EDGE_TOKEN."
    )
    look_token: str | None = option(
        None, "Password to look, not to decide; safer in the environment, as PANDA_EDGE_LOOK_TOKEN."
    )
    tls_cert: Path | None = option(None, "Certificate to serve the page by TLS.", metavar="PEM")
    tls_key: Path | None = option(None, "The certificate's private key.", metavar="PEM")
    collect: Path | None = option(
        None, "Keep pictures here that visitors label; labels in --save's folder.", metavar="DIR"
    )
    keep_bundles: int = option(3, "Earlier bundles that the page can go back to.", min=1)


@dataclass(frozen=True)
class DriftOptions:
    """When scores are said to have changed."""

    panel = "Drift"
    drift: float = option(
        0.01,
        "Warn when scores differ from those at fit. ALPHA: the chance of a warning though nothing changed; 0: off.",
        metavar="ALPHA",
    )
    drift_state: Path | None = option(None, "Keep what --drift has seen in this file, over restarts.", metavar="FILE")
