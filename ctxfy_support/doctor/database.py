"""Is the database there, is it the one that this release needs, and does it keep its promises?"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from ctxfy_support.doctor import postgresql, sqlite
from ctxfy_support.doctor.findings import Finding, notice, well, wrong

# Leases go by the database's clock, times in answers by the hosts'.
LARGEST_DIFFERENCE = timedelta(seconds=2)
SLOW_MS = 100


def check_database() -> Iterator[Finding]:
    """Reachable, migrated, and set up so that what was acknowledged is stored."""
    kind = postgresql if connection.vendor == "postgresql" else sqlite
    if missing := kind.find_reason_not_to_open():
        yield missing
        return
    started = time.perf_counter()
    try:
        connection.ensure_connection()
    except DatabaseFailure as exc:
        yield wrong(f"The database does not answer: {' '.join(str(exc).split())}", kind.HOW_TO_MEND)
        return
    took = (time.perf_counter() - started) * 1000
    what = f"{kind.describe()} answers, after {took:.0f} ms"
    yield notice(what, "Every new connection takes that long.") if took > SLOW_MS else well(what)
    yield from check_migrations()
    yield from kind.check()


def check_migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    waiting = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    known = set(executor.loader.disk_migrations)
    ours = {app for app, _ in known}
    later = sorted(
        f"{app}.{name}"
        for app, name in executor.loader.applied_migrations
        if app in ours and (app, name) not in known and not _is_replaced(executor, (app, name))
    )
    if waiting:
        yield wrong(
            f"{len(waiting)} migrations are not applied: {', '.join(waiting[:5])}"
            f"{' …' if len(waiting) > 5 else ''}",
            "Run manage.py migrate; the release before this one may go on serving meanwhile.",
        )
    elif later:
        yield notice(
            f"The database is of a later release: it has {', '.join(later)}",
            "Fine while you roll back or upgrade; else install that release here.",
        )
    else:
        yield well("All migrations are applied")


def _is_replaced(executor: MigrationExecutor, key: tuple[str, str]) -> bool:
    return any(key in squashed.replaces for squashed in executor.loader.replacements.values())


def check_clock() -> Iterator[Finding]:
    """This host's clock against the database's, on PostgreSQL; SQLite has no other."""
    if connection.vendor != "postgresql":
        yield well("SQLite goes by this host's clock")
        return
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
        after = timezone.now()
    difference = theirs - (before + (after - before) / 2)
    # What the question itself took is no difference.
    sure = abs(difference) - (after - before) / 2
    if sure > LARGEST_DIFFERENCE:
        yield wrong(
            f"This host's clock is {abs(difference).total_seconds():.0f} seconds "
            f"{'behind' if difference > timedelta(0) else 'ahead of'} the database's",
            "Let both hosts keep time by NTP (timedatectl, chronyc tracking).",
        )
    else:
        yield well(
            f"This host's clock is the database's, to {abs(difference).total_seconds():.3f} s"
        )
