"""The history's file, SQLite with a write-ahead log: bounded by age and size, and whole after a crash."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from panda_edge.errors import PandaError
from panda_edge.stream.database import LOGGED, Database
from panda_edge.stream.history.row import COLUMNS, Row

_TIDY_EVERY = 30.0  # seconds between two looks at age and size
_BUSY = 5.0  # seconds that a reader may hold the file
_LOG_BYTES = 16_000_000
_SHARE = 0.05  # of the frames that go where the file would be larger than it may

# `minutes` answers for hours and shifts without a walk through every frame of them; `frames_anomalous` and
# `frames_verdict` give the page's list, worst or newest first, without sorting all frames of a verdict.
_TABLES = f"""
{LOGGED}
PRAGMA journal_size_limit = {_LOG_BYTES};
CREATE TABLE IF NOT EXISTS frames (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, captured REAL NOT NULL, source TEXT NOT NULL,
    frame INTEGER NOT NULL, place TEXT, score REAL, threshold REAL, severity REAL, p_value REAL, anomalous INTEGER,
    not_judged TEXT, bundle TEXT NOT NULL, saved TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS frames_id ON frames (id);
CREATE INDEX IF NOT EXISTS frames_captured ON frames (captured);
CREATE INDEX IF NOT EXISTS frames_anomalous ON frames (anomalous, severity);
CREATE INDEX IF NOT EXISTS frames_verdict ON frames (anomalous, seq);
CREATE TABLE IF NOT EXISTS minutes (
    minute INTEGER NOT NULL, source TEXT NOT NULL, ok INTEGER NOT NULL, ng INTEGER NOT NULL,
    undecided INTEGER NOT NULL, not_judged INTEGER NOT NULL, highest REAL, threshold REAL,
    PRIMARY KEY (minute, source)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, facts TEXT NOT NULL);
SELECT seq, {", ".join(COLUMNS)} FROM frames LIMIT 1;
"""
_ADD = f"INSERT OR IGNORE INTO frames ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_COUNT = """
INSERT INTO minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (minute, source) DO UPDATE SET
    ok = ok + excluded.ok, ng = ng + excluded.ng, undecided = undecided + excluded.undecided,
    not_judged = not_judged + excluded.not_judged,
    highest = MAX(COALESCE(highest, excluded.highest), COALESCE(excluded.highest, highest)),
    threshold = COALESCE(excluded.threshold, threshold)
"""


@dataclass
class _Minute:
    ok: int = 0
    ng: int = 0
    undecided: int = 0
    not_judged: int = 0
    highest: float | None = None
    threshold: float | None = None

    def add(self, row: Row) -> None:
        name = {"OK": "ok", "NG": "ng", "undecided": "undecided", "not judged": "not_judged"}[row.verdict]
        setattr(self, name, getattr(self, name) + 1)
        if row.score is not None:
            self.highest = row.score if self.highest is None else max(self.highest, row.score)
        self.threshold = self.threshold if row.threshold is None else row.threshold


class HistoryStore:
    """Writes the history. A commit survives the process being killed; a power cut may cost the last ones, and never
    leaves half a frame. Used by one thread at a time."""

    def __init__(self, path: Path, most_days: float, most_bytes: int) -> None:
        """most_days, most_bytes: beyond, the oldest frames go. On a full disk the file is opened once there is room.

        Raises PandaError."""
        if not 0 < most_days < 1e6:
            raise PandaError(f"--history-days {most_days:g}: expected more than 0, and less than a million")
        if most_bytes < 1_000_000:
            raise PandaError("--history-mb: at least 1 is needed")
        self._most_seconds = most_days * 86_400
        self._most_bytes = most_bytes
        self._tidied = -_TIDY_EVERY
        self._path = path
        self._file = Database(path, "history", lambda database: database.executescript(_TABLES), _BUSY, self._refused)

    def add(
        self,
        rows: Sequence[Row],
        saved: Sequence[tuple[str, str]] = (),
        decisions: Sequence[tuple[float, str]] = (),
    ) -> None:
        """Add frames, and say of frames by their ids which files were saved of them; add decisions: seconds since 1970
        and JSON, which are never forgotten. All of it or nothing.

        Raises OSError, FullDiskError, PandaError."""
        minutes: defaultdict[tuple[int, str], _Minute] = defaultdict(_Minute)
        for row in rows:
            minutes[int(row.captured // 60), row.source].add(row)
        if time.monotonic() - self._tidied >= _TIDY_EVERY:  # first: what fails here may be tried again
            self._tidy()
            self._tidied = time.monotonic()
        with self._file.transaction() as database:
            database.executemany(_ADD, ([getattr(row, name) for name in COLUMNS] for row in rows))
            database.executemany(_COUNT, ((*key, *astuple(minute)) for key, minute in minutes.items()))
            database.executemany("UPDATE frames SET saved = ? WHERE id = ?", ((name, id_) for id_, name in saved))
            database.executemany("INSERT INTO decisions (at, facts) VALUES (?, ?)", decisions)

    def close(self) -> None:
        self._file.close()

    def _refused(self, error: Exception) -> PandaError:
        return PandaError(f"{self._path}: no history can be kept there ({error}); give --history another file")

    def _tidy(self) -> None:
        """Forget what is too old, and the oldest frames where the file is too large. Pages that they leave are used
        again, so that the file does not grow."""
        oldest = time.time() - self._most_seconds
        with self._file.transaction() as database:
            database.execute("DELETE FROM frames WHERE captured < ?", (oldest,))
            database.execute("DELETE FROM minutes WHERE minute < ?", (int(oldest // 60),))
            while _used(database) > self._most_bytes:
                low, high = database.execute("SELECT MIN(seq), MAX(seq) FROM frames").fetchone()
                if low is None:
                    break
                database.execute("DELETE FROM frames WHERE seq <= ?", (low + int((high - low) * _SHARE),))


def _used(database: sqlite3.Connection) -> int:
    """Bytes of pages that hold something."""
    pages, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
