"""SQLite's writers take turns, and the database file is readable by its owner alone.

SQLite's own way of waiting lets some writers starve.

Whoever finds the file locked sleeps and looks again, so among twenty threads one may find it
locked every time until its time-out. A lock wakes them one after the other; SQLite's own wait is
left for other processes. Both waits together stay below the three seconds of a 503.
"""

import contextlib
import os
import re
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base

TURN_SECONDS = 1.4
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|BEGIN IMMEDIATE)\b", re.IGNORECASE)
_turn = threading.Lock()


class CursorInTurn(base.SQLiteCursorWrapper):
    """Waits for its turn before it writes, unless its transaction has the file already."""

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not _WRITES.match(query):
            return super().execute(query, params)
        if not _turn.acquire(timeout=TURN_SECONDS):
            raise sqlite3.OperationalError("database is locked")
        try:
            return super().execute(query, params)
        finally:
            _turn.release()


def keep_private(path: Path) -> None:
    """Create the file for its owner alone, or take an existing one from everybody else.

    A group that may write was let in on purpose and stays. SQLite gives -wal and -shm the file's
    own mode when it creates them. An existing file is never opened here: closing it would drop the
    locks that this process has on it.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(OSError):  # It is not there, or somebody else's.
            mode = stat.S_IMODE(file.stat().st_mode)
            private = mode & (0o770 if mode & stat.S_IWGRP else 0o700)
            if private != mode:
                file.chmod(private)


class DatabaseWrapper(base.DatabaseWrapper):
    """Opens cursors that take turns, and files that their owner alone can read."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        name = str(conn_params["database"])
        if not (self.is_in_memory_db() or name.startswith("file:")):
            keep_private(Path(name))
        return super().get_new_connection(conn_params)

    def create_cursor(self, name: str | None = None) -> CursorInTurn:
        cursor: CursorInTurn = self.connection.cursor(factory=CursorInTurn)
        return cursor
