"""Statements whose best plan depends on what is asked for.

From its sixth time on, PostgreSQL may plan a prepared statement once for all values. Such a plan
proves no partial index and takes any value for a common one: with a LIMIT it then reads millions of
rows for the few that a rare type has. What always asks for one row by its key is right to keep it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def planned_by_value() -> Iterator[None]:
    """Have each statement of this block planned for its own values; on SQLite this changes none."""
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    wrapped = connection.connection
    before = wrapped.prepare_threshold
    wrapped.prepare_threshold = None
    try:
        yield
    finally:
        wrapped.prepare_threshold = before
