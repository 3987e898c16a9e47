"""From the sinks that were asked for to open ones, every wrong option refused before the work begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from panda_edge.detector import Detector
from panda_edge.errors import FullDiskError, PandaError
from panda_edge.stream.drift import SourceDrift
from panda_edge.stream.history.reader import HistoryReader
from panda_edge.stream.history.row import NAME
from panda_edge.stream.line.open import open_lines
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.csv import HEAD, CsvLines
from panda_edge.stream.sinks.delivery import Deliveries, Receiver
from panda_edge.stream.sinks.drift import Drift
from panda_edge.stream.sinks.history import History
from panda_edge.stream.sinks.jsonl import JsonLines, RotatedFile, write_to_stdout
from panda_edge.stream.sinks.metrics import Metrics, MetricsServer
from panda_edge.stream.sinks.mqtt import Mqtt
from panda_edge.stream.sinks.nearly import Nearly
from panda_edge.stream.sinks.saved import SavedFrames
from panda_edge.stream.sinks.sink import Sink
from panda_edge.stream.sinks.spool import DEFAULT_EVENTS, Spool, default_spool
from panda_edge.stream.sinks.webhook import Webhook
from panda_edge.stream.trigger.triggers import Triggers
from panda_edge.visualise.files import make_folder

_FAREWELL = 10.0  # seconds that a sink has for what it holds


@dataclass(frozen=True)
class SinkOptions:
    """jsonl: a file, or `-`; csv: a file; rotate_mb, rotate_hours, keep: see RotatedFile.
    save, quota_mb: see SavedFrames. history: the history's file, in save's folder by default; history_days,
    history_mb: see HistoryStore. mqtt, webhook: addresses; send: `anomalous` or `all`; spool, spool_events: see
    Spool. metrics: HOST:PORT.
    line: addresses of machines, see `parse_line`. http: HOST:PORT of the page; token, look_token: see Tokens; tls_cert,
    tls_key: see Tls; collect: folder of the pictures that visitors label, `labels` in save's folder by default;
    keep_bundles: before the one at work, see BetterBundle; require_signature: see AtWork.
    """

    jsonl: str | None = None
    csv: Path | None = None
    rotate_mb: float = 100.0
    rotate_hours: float = 24.0
    keep: int = 10
    save: Path | None = None
    quota_mb: float = 1000.0
    history: Path | None = None
    history_days: float = 90.0
    history_mb: float = 500.0
    mqtt: str | None = None
    webhook: str | None = None
    send: str = "anomalous"
    spool: Path | None = None
    spool_events: int = DEFAULT_EVENTS
    line: Sequence[str] | None = None
    metrics: str | None = None
    http: str | None = None
    token: str | None = None
    look_token: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    collect: Path | None = None
    keep_bundles: int = 3
    require_signature: str | None = None

    @property
    def labels(self) -> Path | None:
        """The folder of labelled pictures; None where there is none."""
        if self.collect is not None or self.save is None:
            return self.collect
        return self.save / "labels"


def open_sinks(
    options: SinkOptions,
    loop: Loop,
    may_wait: Callable[[], bool],
    closing: ExitStack,
    drift: Drift | None = None,
    triggers: Triggers | None = None,
) -> list[Sink]:
    """The sinks asked for; JSON lines on stdout where nothing else would tell. may_wait: a sink may keep the loop
    waiting. closing: gets what closes them, in an order in which what was taken is finished. drift: closed first, and
    shown by metrics and page. triggers: what was asked for from outside. Raises PandaError."""
    say = partial(loop.say, "sink")
    sinks: dict[str, Sink] = {}

    def add(name: str, sink: Sink) -> None:
        sinks[name] = sink
        closing.callback(sink.close, _FAREWELL)

    if triggers is not None:
        add("triggers", triggers)  # the first, as the line asks whether an outcome is too late
    late = (lambda outcome: False) if triggers is None else triggers.is_late
    for name, line in open_lines(options.line or (), loop, late).items():  # early: a machine waits for it
        add(name, line)
    if options.jsonl is not None and options.jsonl != "-":
        file = _rotated(options, Path(options.jsonl))
        add("jsonl", JsonLines(file.write, partial(say, options.jsonl), may_wait, file.close))
    if options.csv is not None:
        file = _rotated(options, options.csv, HEAD)
        add("csv", CsvLines(file.write, partial(say, str(options.csv)), may_wait, file.close))
    history = _open_history(options, loop, partial(say, "history"), may_wait)
    if history is not None:
        add("history", history)  # before what saves pictures, as it is closed after it
    if options.save is not None:
        segmentation = partial(lambda: loop.detector.bundle.manifest.segmentation)
        tell = (lambda identity, name: None) if history is None else history.saved
        nearly = None if options.http is None else Nearly()  # a page is there to look at them
        say_saved = partial(say, str(options.save))
        add("save", SavedFrames(options.save, _bytes(options.quota_mb), segmentation, say_saved, tell, nearly))
    deliveries = _open_deliveries(options, may_wait, say)
    if deliveries is not None:
        add("spool", deliveries)
    if options.jsonl == "-" or not sinks.keys() - {"triggers"}:
        add("stdout", JsonLines(write_to_stdout, partial(say, "stdout"), may_wait, lambda: None))
    if options.metrics is not None or options.http is not None:
        sinks |= _open_counters(options, loop, sinks, drift, closing)
    if drift is not None:
        add("drift", drift)
    return list(sinks.values())


def _open_deliveries(
    options: SinkOptions, may_wait: Callable[[], bool], say: Callable[[str, str], None]
) -> Deliveries | None:
    """What hands events to a broker and an address; None where neither was asked for."""
    receivers: list[Receiver] = []
    if options.mqtt is not None:
        receivers.append(Mqtt(options.mqtt))
    if options.webhook is not None:
        receivers.append(Webhook(options.webhook))
    if not receivers:
        return None
    if options.spool_events < 1:
        raise PandaError("--spool-events: at least 1 is needed")
    names = [receiver.name for receiver in receivers]
    spool = Spool(options.spool or default_spool(), names, options.spool_events)
    return Deliveries(spool, receivers, options.send == "all", may_wait, say)


def _open_counters(
    options: SinkOptions, loop: Loop, sinks: Mapping[str, Sink], drift: Drift | None, closing: ExitStack
) -> dict[str, Sink]:
    """Counters, their server, and the page that shows them, as far as they were asked for."""
    drifts: Callable[[], dict[str, SourceDrift]] = dict if drift is None else lambda: drift.sources
    losing = {name: sink for name, sink in sinks.items() if hasattr(sink, "lost")}
    metrics = Metrics(
        lambda: loop.states,
        lambda: {name: int(getattr(s, "lost", 0)) for name, s in losing.items()},
        drifts,
    )
    if options.metrics is not None:
        closing.callback(MetricsServer(options.metrics, metrics.text, lambda: loop.looked).close)
    if options.http is None:
        return {"metrics": metrics}
    return {"metrics": metrics, "page": _open_page(options, options.http, loop, metrics, drifts, closing)}


def _rotated(options: SinkOptions, path: Path, head: bytes = b"") -> RotatedFile:
    if options.rotate_mb < 0.001 or not options.rotate_hours > 0:
        raise PandaError("--rotate-mb: expected at least 0.001; --rotate-hours: more than 0")
    return RotatedFile(path, _bytes(options.rotate_mb), options.rotate_hours * 3600, options.keep, head)


def _bytes(megabytes: float) -> int:
    return round(megabytes * 1e6)


def _open_history(
    options: SinkOptions, loop: Loop, say: Callable[[str], None], may_wait: Callable[[], bool]
) -> History | None:
    path = _history_path(options)
    if path is None:
        return None
    if options.save is not None:
        with suppress(FullDiskError):
            make_folder(options.save)
    return History(path, options.history_days, _bytes(options.history_mb), lambda: loop.detector.bundle, say, may_wait)


def _history_path(options: SinkOptions) -> Path | None:
    if options.history is not None or options.save is None:
        return options.history
    return options.save / NAME


def about(detector: Detector) -> dict[str, Any]:
    """The bundle at work, as Board shows it."""
    known: dict[str, Any] = {"name": detector.bundle.path.name, "id": detector.bundle.manifest.identity}
    if detector.decider is not None:
        calibration = detector.decider.calibration
        known |= {"promised": detector.decider.promised, "least": calibration.promised(0.0)}
    return known


def _open_page(
    options: SinkOptions,
    address: str,
    loop: Loop,
    metrics: Metrics,
    drifts: Callable[[], dict[str, SourceDrift]],
    closing: ExitStack,
) -> Sink:
    # Imported where it is wanted: a page is drawn and served by what no other sink needs.
    from panda_edge.stream.bundles.better import AtWork, BetterBundle
    from panda_edge.stream.bundles.labels import Labels
    from panda_edge.stream.page.board import Board
    from panda_edge.stream.page.decisions import Decisions
    from panda_edge.stream.page.past import Past
    from panda_edge.stream.page.server import PageServer, Tls
    from panda_edge.stream.page.visitors import Tokens

    if (options.tls_cert is None) != (options.tls_key is None):
        raise PandaError("--tls-cert and --tls-key go together; give both, or none")
    tls = None
    if options.tls_cert is not None and options.tls_key is not None:
        tls = Tls(options.tls_cert, options.tls_key)
    token = options.token or os.environ.get("PANDA_EDGE_TOKEN") or None
    look = options.look_token or os.environ.get("PANDA_EDGE_LOOK_TOKEN") or None
    path = _history_path(options)
    past = None if path is None else Past(HistoryReader(path, expected=True), options.save)
    if options.keep_bundles < 1:
        raise PandaError("--keep-bundles: at least 1 is needed, so that one can go back")
    labels = None if options.labels is None else Labels(options.labels)
    better = None
    if labels is not None:
        at_work = AtWork(lambda: loop.detector, loop.reload, options.require_signature, options.save)
        better = BetterBundle(at_work, labels, options.keep_bundles)
        closing.callback(better.close)
    board = Board(
        lambda: loop.states,
        lambda: loop.detector.bundle.manifest.segmentation,
        labels,
        drifts,
        lambda: about(loop.detector),
        past,
    )
    decisions = Decisions(board, loop.set_fpr, partial(loop.say, "decision", None), better)
    tokens = Tokens(token, look, tls is not None)
    server = PageServer(address, tokens, decisions, metrics.text, tls)
    closing.callback(server.close)
    loop.say("page", None, f"the page is served on port {server.port}")
    return board
