"""A request's first statement: it finds out, for nothing, whether the kept connection still lives.

A connection that is kept from request to request may have died meanwhile (the server restarted, a
proxy forgot it). Django asks with a statement of its own before the first one; here the first one
is the question, and is repeated on a new connection where the old one turns out to be dead.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

# As long as Django's question may take; a new connection and an answer still fit into a request.
ANSWER_SECONDS = 0.7


def fetch_first(sql: str, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Run a statement that may be repeated; return its first row, None if it has none."""
    connection: Any = connections[DEFAULT_DB_ALIAS]  # The stubs know no health_check_done.
    is_kept = connection.connection is not None and not connection.in_atomic_block
    if not is_kept:
        return _fetch(sql, parameters)
    connection.health_check_done = True
    # Only PostgreSQL's has a wait to bound (postgresql/base.py).
    limit = getattr(connection, "waiting_at_most", nullcontext)
    try:
        with limit(ANSWER_SECONDS):
            return _fetch(sql, parameters)
    except (OperationalError, InterfaceError):
        # psycopg's; a statement that merely took too long, or SQLite's lock, leaves it open.
        if not getattr(connection.connection, "closed", False):
            raise
    connection.close()
    return _fetch(sql, parameters)


def _fetch(sql: str, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row
