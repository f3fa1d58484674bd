"""A client-side limit on every wait: a server that hangs keeps no `statement_timeout`.

The limit is the setting's statement time-out and a little more, so that a server that is merely
slow ends the statement itself; without a statement time-out (commands, migrations) there is none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors

MARGIN_SECONDS = 0.2
# A check and a new connection (2 seconds at most, see settings.py) fit into one answer.
HEALTH_CHECK_SECONDS = 0.7


class DatabaseWrapper(base.DatabaseWrapper):
    """Ends a connection, as if the server had, when an answer does not come in time."""

    wait_seconds: float | None = None

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        statement_ms = params.pop("statement_timeout_ms", 0)
        limits = f"-c statement_timeout={statement_ms} -c lock_timeout={statement_ms}"
        params["options"] = f"{params.get('options', '')} {limits}".strip()
        self.wait_seconds = statement_ms / 1000 + MARGIN_SECONDS if statement_ms else None
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection: Any = super().get_new_connection(conn_params)
        wait = connection.wait

        def wait_with_limit(generator: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = self.wait_seconds
            try:
                return wait(generator, *args, **kwargs)
            except errors._WaitTimeout:  # noqa: SLF001  (what psycopg documents that it raises)
                # Whatever the server says later must not be read as an answer to something else.
                connection.pgconn.finish()
                raise psycopg.OperationalError("the server did not answer in time") from None

        connection.wait = wait_with_limit
        return connection

    def is_usable(self) -> bool:
        with self.waiting_at_most(HEALTH_CHECK_SECONDS):
            usable: bool = super().is_usable()
        return usable

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        """Bound each wait within the block by so many seconds too."""
        before = self.wait_seconds
        self.wait_seconds = min(seconds, before or seconds)
        try:
            yield
        finally:
            self.wait_seconds = before
