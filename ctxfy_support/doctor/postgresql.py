"""What is asked of a PostgreSQL server alone."""

from collections.abc import Iterator

from django.db import connection

from ctxfy_support.doctor.findings import Finding, notice, well, wrong
from ctxfy_support.environment import is_set

HOW_TO_MEND = "Look whether PostgreSQL runs and DATABASE_URL has its host, name, user and password."
# The web process's own; a client is told to try again within three seconds.
LONGEST_STATEMENT_MS = 2_000
# Of all threads of one web process (README, "A slow mail provider").
CONNECTIONS_OF_A_PROCESS = 28
FULL_SHARE = 0.8
# What a server must not have turned off: it would confirm what a power cut undoes.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


def find_reason_not_to_open() -> Finding | None:
    return None


def describe() -> str:
    return f"PostgreSQL {_show('server_version').split()[0]}"


def check() -> Iterator[Finding]:
    yield from check_promises()
    yield from check_time_outs()
    yield from check_connections()


def check_promises() -> Iterator[Finding]:
    """Can we write, does a commit last, and do transactions see what they are written for?"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        if cursor.fetchone()[0] or _show("default_transaction_read_only") == "on":
            yield wrong(
                "The server takes no writes: it is a standby, or read-only",
                "Point DATABASE_URL at the primary (target_session_attrs=read-write finds it).",
            )
    if off := [name for name in DURABLE if _show(name) == "off"]:
        yield wrong(
            f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off: what was "
            "acknowledged may be gone after a crash",
            "Turn it on in postgresql.conf.",
        )
    isolation = _show("default_transaction_isolation")
    if isolation != "read committed":
        yield wrong(
            f"Transactions are {isolation}: some would fail that must not",
            "Leave default_transaction_isolation at 'read committed' for this role and database.",
        )
    if (encoding := _show("server_encoding")) != "UTF8":
        yield wrong(f"The database's encoding is {encoding}", "Create it with ENCODING 'UTF8'.")


def check_time_outs() -> Iterator[Finding]:
    if not is_set("DATABASE_STATEMENT_TIMEOUT_MS"):
        yield well(f"A request waits {LONGEST_STATEMENT_MS} ms for a statement at most")
        return
    limit = int(connection.settings_dict["OPTIONS"]["statement_timeout_ms"])
    if limit == 0:
        yield wrong(
            "DATABASE_STATEMENT_TIMEOUT_MS is 0: a request may wait for the database for ever",
            "Leave it empty; migrations have no limit then, requests have 2000.",
        )
    elif limit > LONGEST_STATEMENT_MS:
        yield notice(
            f"DATABASE_STATEMENT_TIMEOUT_MS is {limit}: a 503 may take longer than three seconds"
        )
    else:
        yield well(f"Every statement is ended after {limit} ms")


def check_connections() -> Iterator[Finding]:
    room = int(_show("max_connections")) - int(_show("superuser_reserved_connections"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usesysid IS NOT NULL")
        used = int(cursor.fetchone()[0])
    what = f"{used} of {room} connections are in use"
    if used > room * FULL_SHARE:
        yield wrong(what, "Raise max_connections, or find who holds them in pg_stat_activity.")
    elif room < 2 * CONNECTIONS_OF_A_PROCESS:
        yield notice(
            what, f"A web process uses up to {CONNECTIONS_OF_A_PROCESS}: raise max_connections."
        )
    else:
        yield well(what)


def _show(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])
