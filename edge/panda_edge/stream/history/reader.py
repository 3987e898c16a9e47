"""Reading the history while it is written, or long after."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from panda_edge.errors import PandaError
from panda_edge.stream.history.row import COLUMNS, NAME, Row
from panda_edge.stream.lines import utc

VERDICTS = {
    "OK": "anomalous = 0",
    "NG": "anomalous = 1",
    "not judged": "not_judged IS NOT NULL",
    "undecided": "anomalous IS NULL AND not_judged IS NULL",
    "nearly NG": "anomalous = 0 AND saved IS NOT NULL",
}
_BUSY = 5.0  # seconds
_PART = 1000  # frames
_FIELDS = ", ".join(COLUMNS)


@dataclass(frozen=True)
class Wanted:
    """Which frames. since, until: seconds since 1970, the latter not included. verdict: one of VERDICTS. before: the
    history's `seq`, not included. saved: only frames with a saved picture."""

    source: str | None = None
    verdict: str | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None
    saved: bool = False

    def clause(self) -> tuple[str, list[Any]]:
        parts: list[str] = []
        values: list[Any] = []
        for part, value in (
            ("source = ?", self.source),
            ("captured >= ?", self.since),
            ("captured < ?", self.until),
            ("seq < ?", self.before),
        ):
            if value is not None:
                parts.append(part)
                values.append(value)
        if self.verdict is not None:
            parts.append(VERDICTS[self.verdict])
        if self.saved:
            parts.append("saved IS NOT NULL")
        return " AND ".join(parts) or "1", values


class HistoryReader:
    """Reads a history's file; each call opens it anew, so that any thread may."""

    def __init__(self, path: Path, expected: bool = False) -> None:
        """path: the file, or the folder of `--save` that holds it. expected: a file that is not there yet will be, as
        where the disk is full now. Raises PandaError: there is none."""
        self._path = path / NAME if path.is_dir() else path
        if not expected and not self._path.is_file():
            raise PandaError(f"{self._path}: no history; `panda-edge watch --save DIR` keeps one in DIR")

    def every(self, wanted: Wanted = Wanted()) -> Iterator[Row]:
        """All frames that are wanted, oldest first. Raises PandaError."""
        clause, values = wanted.clause()
        last = -1
        while True:
            # In parts: whoever takes them slowly must not keep the writer's log from being worked off.
            with self._opened() as database:
                found = database.execute(
                    f"SELECT {_FIELDS}, seq FROM frames WHERE {clause} AND seq > ? ORDER BY seq LIMIT ?",
                    [*values, last, _PART],
                ).fetchall()
            if not found:
                return
            yield from map(_row, found)
            last = found[-1][-1]

    def page(self, wanted: Wanted, most: int, worst_first: bool = False, skip: int = 0) -> list[Row]:
        """At most `most` frames, newest first, or by falling severity; the first `skip` left out. Raises PandaError."""
        clause, values = wanted.clause()
        order = "severity DESC, seq DESC" if worst_first else "seq DESC"
        with self._opened() as database:
            found = database.execute(
                f"SELECT {_FIELDS}, seq FROM frames WHERE {clause} ORDER BY {order} LIMIT ? OFFSET ?",
                [*values, most, skip],
            )
            return [_row(one) for one in found]

    def frame(self, identity: str) -> Row | None:
        """One frame by its id. Raises PandaError."""
        with self._opened() as database:
            found = database.execute(f"SELECT {_FIELDS}, seq FROM frames WHERE id = ?", (identity,)).fetchone()
            return None if found is None else _row(found)

    def decisions(self) -> Iterator[dict[str, Any]]:
        """What visitors decided, oldest first: `at`, `who`, `action`, `before`, `after`. Raises PandaError."""
        with self._opened() as database:
            found = database.execute("SELECT at, facts FROM decisions ORDER BY seq").fetchall()
        for at, facts in found:
            yield {"at": utc(at), **json.loads(facts)}

    def counts(self, since: float) -> dict[str, dict[str, int]]:
        """By source: frames OK, NG, not judged and undecided in the minutes from `since` on. Raises PandaError."""
        with self._opened() as database:
            found = database.execute(
                "SELECT source, SUM(ok), SUM(ng), SUM(not_judged), SUM(undecided) FROM minutes WHERE minute >= ? "
                "GROUP BY source",
                (int(since // 60),),
            )
            names = ("OK", "NG", "not judged", "undecided")
            return {source: dict(zip(names, numbers, strict=True)) for source, *numbers in found}

    def minutes(self, source: str, since: float, until: float) -> list[dict[str, Any]]:
        """A source's minutes with frames, oldest first: `at` (seconds since 1970), counts, `highest` score and
        `threshold`. Raises PandaError."""
        names = ("at", "ok", "ng", "not_judged", "highest", "threshold")
        with self._opened() as database:
            found = database.execute(
                "SELECT minute * 60, ok, ng, not_judged, highest, threshold FROM minutes "
                "WHERE minute >= ? AND minute < ? AND source = ? ORDER BY minute",
                (int(since // 60), -int(-until // 60), source),
            )
            return [dict(zip(names, one, strict=True)) for one in found]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connected()) as database:
                yield database
        except sqlite3.Error as error:
            raise PandaError(f"{self._path}: cannot be read as a history ({error})") from error

    def _connected(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path.absolute()))}"
        try:
            return _connected(f"{address}?mode=ro")
        except sqlite3.OperationalError:
            # On a disk that cannot be written there is no log beside the file, and nobody who writes.
            return _connected(f"{address}?immutable=1")


def _connected(address: str) -> sqlite3.Connection:
    database = sqlite3.connect(address, uri=True, timeout=_BUSY)
    try:
        database.execute("SELECT 1 FROM frames LIMIT 1").fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _row(found: tuple[Any, ...]) -> Row:
    known = dict(zip((*COLUMNS, "seq"), found, strict=True))
    known["anomalous"] = None if known["anomalous"] is None else bool(known["anomalous"])
    return Row(**known)
