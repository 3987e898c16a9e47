"""A sink that keeps every frame's outcome in the history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from panda_edge.bundle.folder import Bundle
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.history.row import Row
from panda_edge.stream.history.store import HistoryStore
from panda_edge.stream.sinks.jsonl import json_bytes
from panda_edge.stream.sinks.worker import Room, Worker, WorkerSink, never

_LINGER = 1.0  # seconds that frames wait for others, so that a card is written once a second at most
_CAPACITY, _BATCH = 20_000, 5000


class _Saved(NamedTuple):
    id: str
    name: str


class _Decision(NamedTuple):
    at: float
    facts: str


class History(WorkerSink[Row | _Saved | _Decision]):
    """Writes rows from a thread of its own. Frames that come while the disk is full wait; then the oldest are lost."""

    def __init__(
        self,
        path: Path,
        most_days: float,
        most_bytes: int,
        bundle: Callable[[], Bundle],
        say: Callable[[str], None],
        may_wait: Callable[[], bool] = never,
    ) -> None:
        """most_days, most_bytes: see HistoryStore. bundle: the one at work. may_wait: see Worker. Raises PandaError."""
        self._store = HistoryStore(path, most_days, most_bytes)
        self._bundle = bundle
        self._known: tuple[Bundle | None, str] = (None, "")
        self._worker = Worker(
            "history", self._write, say, _weight, may_wait, Room(_CAPACITY, batch=_BATCH, linger=_LINGER)
        )

    def outcome(self, outcome: Outcome) -> None:
        bundle = self._bundle()
        if bundle is not self._known[0]:
            self._known = bundle, bundle.manifest.identity
        self._worker.put(Row.of(outcome, self._known[1]))

    def saved(self, identity: str, name: str) -> None:
        """The file of a frame that was saved. Called by any thread, after `outcome`."""
        self._worker.put(_Saved(identity, name))

    def notice(self, notice: Notice) -> None:
        if notice.kind == "decision":
            self._worker.put(_Decision(notice.at, json_bytes(notice.facts).decode()))

    def close(self, timeout: float) -> None:
        super().close(timeout)
        if not self._worker.working:
            self._store.close()

    def _write(self, batch: list[Row | _Saved | _Decision]) -> None:
        self._store.add(
            [item for item in batch if isinstance(item, Row)],
            [item for item in batch if isinstance(item, _Saved)],
            [item for item in batch if isinstance(item, _Decision)],
        )


def _weight(item: Row | _Saved | _Decision) -> int:
    if isinstance(item, Row):
        return 300 + len(item.source) + len(item.place or "") + len(item.not_judged or "")
    return 100 + len(item[1])
