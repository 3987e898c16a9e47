"""Counters for Prometheus, in its text format (exposition format 0.0.4), and whether the loop works, over HTTP."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

from panda_edge.stream.capture import SourceState
from panda_edge.stream.door import Door, host_and_port
from panda_edge.stream.drift import SourceDrift
from panda_edge.stream.frame import Notice, Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MOST = 16  # connections at a time
_MOST_REQUEST = 8192  # bytes
_ALIVE = 30.0  # seconds since the loop last looked around, beyond which it is said to hang; systemd's unit has as many
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_P_VALUES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class _Histogram:
    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        so_far = 0
        comma = "," if labels else ""
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            so_far += count
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {so_far}'
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {self.total:.6f}"
        yield f"{name}_count{braces} {so_far}"


class Metrics:
    """A sink that counts. `text` is what Prometheus reads."""

    def __init__(
        self,
        states: Callable[[], list[SourceState]],
        lost: Callable[[], dict[str, int]],
        drifts: Callable[[], dict[str, SourceDrift]] = dict,
    ) -> None:
        """states: of the sources. lost: what each sink gave up, by its name. drifts: of the sources."""
        self._states = states
        self._drifts = drifts
        self._lost = lost
        self._lock = Lock()
        self._judged: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._not_judged: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._stages: defaultdict[str, _Histogram] = defaultdict(lambda: _Histogram(_SECONDS))
        self._latency = _Histogram(_SECONDS)
        self._p_values = _Histogram(_P_VALUES)
        self._notices: defaultdict[str, int] = defaultdict(int)

    def outcome(self, outcome: Outcome) -> None:
        with self._lock:
            if outcome.not_judged is not None:
                self._not_judged[outcome.source, outcome.not_judged.partition(":")[0]] += 1
            else:
                decision = {True: "anomalous", False: "normal", None: "undecided"}[outcome.anomalous]
                self._judged[outcome.source, decision] += 1
            for stage, milliseconds in outcome.stages_ms.items():
                self._stages[stage].observe(milliseconds / 1e3)
            self._latency.observe(outcome.latency_ms / 1e3)
            if outcome.p_value is not None:
                self._p_values.observe(outcome.p_value)

    def notice(self, notice: Notice) -> None:
        with self._lock:
            self._notices[notice.kind] += 1

    def close(self, timeout: float) -> None:
        pass

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        with self._lock:
            return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        states = self._states()
        yield from _family("frames_total", "counter", "Pictures that a source gave")
        yield from (f"panda_edge_frames_total{{{_labels(source=s.name)}}} {s.frames}" for s in states)
        yield from _family("dropped_total", "counter", "Frames given up because newer ones came")
        yield from (f"panda_edge_dropped_total{{{_labels(source=s.name)}}} {s.dropped}" for s in states)
        yield from _family("source_up", "gauge", "1 while a source gives pictures")
        yield from (f"panda_edge_source_up{{{_labels(source=s.name)}}} {int(s.up and not s.silent)}" for s in states)
        yield from _family("source_losses_total", "counter", "How often a source was lost")
        yield from (f"panda_edge_source_losses_total{{{_labels(source=s.name)}}} {s.losses}" for s in states)
        yield from _family("judged_total", "counter", "Frames judged, by decision")
        for (source, decision), count in self._judged.items():
            yield f"panda_edge_judged_total{{{_labels(source=source, decision=decision)}}} {count}"
        yield from _family("not_judged_total", "counter", "Frames that could not be judged, by reason")
        for (source, why), count in self._not_judged.items():
            yield f"panda_edge_not_judged_total{{{_labels(source=source, reason=why)}}} {count}"
        yield from _family("latency_seconds", "histogram", "From a picture's arrival to its decision")
        yield from self._latency.lines("panda_edge_latency_seconds", "")
        yield from _family("stage_seconds", "histogram", "Time by stage")
        for stage, histogram in self._stages.items():
            yield from histogram.lines("panda_edge_stage_seconds", _labels(stage=stage))
        yield from _family("p_value", "histogram", "P-values; uniform while production is normal")
        yield from self._p_values.lines("panda_edge_p_value", "")
        drifts = self._drifts().items()
        yield from _family("drift", "gauge", "1 from when the world was found to have changed")
        yield from (f"panda_edge_drift{{{_labels(source=name)}}} {int(d.found is not None)}" for name, d in drifts)
        yield from _family("drift_evidence", "gauge", "Wealth of the test martingale; drift at sources / alpha")
        yield from (
            f"panda_edge_drift_evidence{{{_labels(source=name)}}} {d.martingale.wealth:.6g}" for name, d in drifts
        )
        yield from _family("notices_total", "counter", "Notices, by kind")
        yield from (f"panda_edge_notices_total{{{_labels(kind=kind)}}} {n}" for kind, n in self._notices.items())
        yield from _family("sink_lost_total", "counter", "What sinks gave up")
        yield from (f"panda_edge_sink_lost_total{{{_labels(sink=name)}}} {n}" for name, n in self._lost().items())


def _family(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP panda_edge_{name} {about}."
    yield f"# TYPE panda_edge_{name} {kind}"


def _labels(**labels: str) -> str:
    def escaped(value: str) -> str:
        text = value.encode(errors="backslashreplace").decode()
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())


class MetricsServer:
    """Serves `text` at /metrics, and at /healthz 200 or, while the loop hangs, 503.

    Raises PandaError where the address is taken.
    """

    def __init__(self, address: str, text: Callable[[], str], looked: Callable[[], float] = time.monotonic) -> None:
        """looked: `time.monotonic()` when the loop last looked around."""
        place = host_and_port(address, "--metrics")
        self._door = Door(place, "--metrics", _MOST, lambda: _Answer(text, looked))
        self.port = self._door.port

    def close(self) -> None:
        self._door.close()


class _Answer(asyncio.Protocol):
    """One request, one answer, and the end."""

    def __init__(self, text: Callable[[], str], looked: Callable[[], float]) -> None:
        self._text = text
        self._looked = looked
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._request += data
        if b"\r\n\r\n" in self._request:
            self._transport.write(self._answer())
            self._transport.close()
        elif len(self._request) > _MOST_REQUEST:
            self._transport.abort()

    def _answer(self) -> bytes:
        method, _, rest = self._request.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            status, body = "405 Method Not Allowed", b""
        elif path == b"/healthz":
            status, body = self._health()
        elif path not in (b"/metrics", b"/"):
            status, body = "404 Not Found", b""
        else:
            status, body = "200 OK", self._text().encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Connection: close\r\n\r\n".encode() + (b"" if method == b"HEAD" else body)

    def _health(self) -> tuple[str, bytes]:
        seconds = time.monotonic() - self._looked()
        if seconds <= _ALIVE:
            return "200 OK", b"the loop works\n"
        return "503 Service Unavailable", f"the loop has hung for {seconds:.0f} s\n".encode()
