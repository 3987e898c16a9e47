"""SQLite files that sinks write, opened in one way: a full disk, which may be freed, told from a file of others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from panda_edge.errors import FullDiskError
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
