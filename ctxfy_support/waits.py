"""How long a web process waits for the database: an answer must come, if only a 503, within 3 s.

Commands and workers wait longer; a migration may take hours.
"""

from django.db import connection

SQLITE_LOCK_SECONDS = 1.4


def limit_statements(milliseconds: int) -> None:
    """Bound every statement of this process from now on, where the settings leave it open.

    On PostgreSQL alone; SQLite has no statement that takes long, but locks (limit_lock_waits).
    """
    options = connection.settings_dict["OPTIONS"]  # the same for every thread's connection
    if connection.vendor == "postgresql" and "statement_timeout_ms" not in options:
        options["statement_timeout_ms"] = milliseconds
        connection.close()


def limit_lock_waits() -> None:
    """Let connections that this process opens from now on wait no longer for SQLite's lock."""
    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["timeout"] = SQLITE_LOCK_SECONDS
