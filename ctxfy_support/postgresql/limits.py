"""How long this process's statements may take, where DATABASE_STATEMENT_TIMEOUT_MS is not set."""

from django.db import connection


def limit_statements(milliseconds: int) -> None:
    """Bound every statement of this process from now on; on SQLite there is nothing to bound."""
    if connection.vendor != "postgresql":
        return
    options = connection.settings_dict["OPTIONS"]  # the same for every thread's connection
    if "statement_timeout_ms" not in options:
        options["statement_timeout_ms"] = milliseconds
        connection.close()
