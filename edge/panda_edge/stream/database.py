"""SQLite files that sinks write, opened in one way: a full disk, which may be freed, told from a file of others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from panda_edge.errors import FullDiskError, PandaError
from panda_edge.visualise.files import FULL

LOGGED = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;"
"""Statements for a write-ahead log, by which a commit survives the process being killed, and for half a megabyte of
pages kept in memory: the two of the default fill in the first hours and look like a leak."""

# The last two: of the log's index and of a page, where the file was there before.
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE)


def open_database(path: Path, prepare: Callable[[sqlite3.Connection], object], timeout: float) -> sqlite3.Connection:
    """A database, its folder made where there is none. Any thread may use it, one at a time.

    prepare: is called with it first, and makes its tables. timeout: seconds that another process may hold the file.
    Raises FullDiskError; sqlite3.Error or OSError where the file cannot be used for another reason.
    """
    database = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError("not a plain file")
        database = sqlite3.connect(path, timeout=timeout, check_same_thread=False, isolation_level=None)
        prepare(database)
    except (sqlite3.Error, OSError) as error:
        if database is not None:
            database.close()
        if getattr(error, "errno", None) in FULL or getattr(error, "sqlite_errorcode", None) in _FULL:
            raise FullDiskError(f"{path}: cannot be written (no space left on the disk); make room") from error
        raise
    return database


class Database:
    """A file that one sink writes. On a full disk it is opened once there is room."""

    def __init__(
        self,
        path: Path,
        what: str,
        prepare: Callable[[sqlite3.Connection], object],
        timeout: float,
        refused: Callable[[Exception], PandaError],
    ) -> None:
        """what: it is, for errors. prepare, timeout: as of `open_database`. refused: the error where the file cannot be
        used. Raises that."""
        self._path, self._what, self._prepare, self._timeout, self._refused = path, what, prepare, timeout, refused
        self._opened: sqlite3.Connection | None = None
        with suppress(FullDiskError):
            self.connection()

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def connection(self) -> sqlite3.Connection:
        """The open file. Raises PandaError, of which FullDiskError is one."""
        if self._opened is None:
            try:
                self._opened = open_database(self._path, self._prepare, self._timeout)
            except (sqlite3.Error, OSError) as error:
                raise self._refused(error) from error
        return self._opened

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is done within, all or nothing. Raises as `connection`, and OSError where the file takes nothing."""
        database = self.connection()
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise OSError(0, f"the {self._what} takes nothing ({error})") from error
        finally:
            with suppress(sqlite3.Error):
                if database.in_transaction:
                    database.execute("ROLLBACK")

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
