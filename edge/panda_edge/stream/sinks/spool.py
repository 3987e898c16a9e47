"""Events on disk until they are delivered: bounded, in order, whatever happens to the process."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition

from panda_edge.errors import PandaError
from panda_edge.stream.database import LOGGED, Database

DEFAULT_EVENTS = 100_000
MOST_BYTES = 1_000_000_000  # of what waits, however few events it is

_TABLES = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS receivers (name TEXT PRIMARY KEY, delivered INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Event:
    """seq: its place in the order; id: the same in every delivery; payload: JSON."""

    seq: int
    id: str
    payload: bytes


class Spool:
    """Events in an SQLite file, each until every receiver has it; one process at a time.

    A commit survives the process being killed (write-ahead log); a power cut may cost the last ones, and never leaves
    half an event.
    """

    def __init__(
        self,
        path: Path,
        receivers: Sequence[str],
        max_events: int = DEFAULT_EVENTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """receivers: whom events are for; one that is new gets what comes from now on. max_events, most_bytes: that
        wait; beyond, the oldest are lost. On a full disk the file is opened once there is room. Raises PandaError."""
        self.lost = 0
        """Events given up undelivered because the spool was full."""
        self._max_events = max_events
        self._most_bytes = most_bytes
        self._changed = Condition()
        self._path = path
        self._receivers = receivers
        self._bytes = 0
        self._file = Database(path, "spool", self._prepare, 0, self._refused)

    def add(self, events: Sequence[tuple[str, bytes]]) -> None:
        """Keep events, (id, payload) each, all or none. Raises OSError, PandaError where the disk takes none."""
        with self._changed:
            with self._file.transaction() as database:
                database.executemany("INSERT INTO events (id, payload) VALUES (?, ?)", events)
                held = self._bytes + sum(len(payload) for _, payload in events)
                lost, held = self._give_up(database, held)
            self.lost += lost
            self._bytes = held
            self._changed.notify_all()

    def waiting(self, receiver: str, most: int, timeout: float) -> list[Event]:
        """The next events that a receiver has not got, in order; waits up to `timeout` seconds for one."""
        with self._changed:
            found = self._next(receiver, most)
            if not found:
                self._changed.wait(timeout)
                found = self._next(receiver, most)
            return found

    def delivered(self, receiver: str, seq: int) -> None:
        """A receiver has all events up to `seq`; those that everyone has are forgotten. Raises OSError."""
        with self._changed:
            with self._file.transaction() as database:
                database.execute("UPDATE receivers SET delivered = ? WHERE name = ?", (seq, receiver))
                freed = _forget(database)
            self._bytes -= freed

    def wake(self) -> None:
        """Let those who wait look around."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._file.close()

    def _refused(self, error: Exception) -> PandaError:
        if "locked" in str(error):
            return PandaError(f"{self._path}: in use by another `watch`; give --spool another file")
        return PandaError(f"{self._path}: no spool can be kept there ({error}); choose another --spool")

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Tables and receivers of a file that has just been opened."""
        # Held for as long as we live, so that a second process is refused instead of delivering all twice.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.executescript(LOGGED + _TABLES)
        database.execute("BEGIN IMMEDIATE")
        (newest,) = database.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()
        marks = ",".join("?" * len(self._receivers))
        database.execute(f"DELETE FROM receivers WHERE name NOT IN ({marks})", tuple(self._receivers))
        for name in self._receivers:
            database.execute("INSERT OR IGNORE INTO receivers VALUES (?, ?)", (name, newest))
        _forget(database)
        database.execute("COMMIT")
        (self._bytes,) = database.execute("SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM events").fetchone()

    def _give_up(self, database: sqlite3.Connection, held: int) -> tuple[int, int]:
        """Delete the oldest events, of `held` bytes in all, that are too many; returns how many, and what is left."""
        count, lost, last = _count(database), 0, 0
        if count > self._max_events or held > self._most_bytes:
            for seq, size in database.execute("SELECT seq, LENGTH(payload) FROM events ORDER BY seq"):
                if count - lost <= self._max_events and held <= self._most_bytes:
                    break
                lost, last, held = lost + 1, seq, held - size
            database.execute("DELETE FROM events WHERE seq <= ?", (last,))
        return lost, held

    def _next(self, receiver: str, most: int) -> list[Event]:
        if not self._file.is_open:
            return []
        rows = self._file.connection().execute(
            "SELECT seq, id, payload FROM events WHERE seq > (SELECT delivered FROM receivers WHERE name = ?) "
            "ORDER BY seq LIMIT ?",
            (receiver, most),
        )
        return [Event(*row) for row in rows]


def _count(database: sqlite3.Connection) -> int:
    # Sequence numbers have no gaps but at the ends, and a count by them needs no scan.
    low, high = database.execute("SELECT MIN(seq), MAX(seq) FROM events").fetchone()
    return 0 if low is None else int(high - low + 1)


def _forget(database: sqlite3.Connection) -> int:
    """Delete what every receiver has; returns its bytes."""
    delivered = "seq <= (SELECT MIN(delivered) FROM receivers)"
    (freed,) = database.execute(f"SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM events WHERE {delivered}").fetchone()
    database.execute(f"DELETE FROM events WHERE {delivered}")
    return int(freed)


def default_spool() -> Path:
    """Where systemd, or the user's own settings, keep a program's state."""
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        return Path(state) / "spool.sqlite"
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "panda-edge" / "spool.sqlite"
