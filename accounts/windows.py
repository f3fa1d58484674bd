"""What somebody did within a window of time, counted in one statement and exactly.

The window starts with the first act after the one before, so that no burst straddles a boundary
that everybody knows. The row's lock makes acts that come at once count one by one, in whatever
process; the clock is the database's.
"""

from dataclasses import dataclass

from django.db import connection

NOW = {
    "postgresql": "extract(epoch FROM statement_timestamp())::double precision",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_COUNT = """
INSERT INTO {table} ({who}, resets_at, {acts}) {rows}
ON CONFLICT ({who}) DO UPDATE SET
    {acts} = CASE WHEN {table}.resets_at <= {now} THEN 1 ELSE {table}.{acts} + 1 END,
    resets_at = CASE WHEN {table}.resets_at <= {now} THEN excluded.resets_at
                     ELSE {table}.resets_at END
RETURNING {acts}, resets_at, {now} AS now
"""


def count_act(table: str, who: str, acts: str, rows: str) -> str:
    """The statement that counts one act; it returns (acts, resets_at, now), times in Unix seconds.

    `who`, `acts`: the table's columns for whose act it is and for how many there were. `rows`: the
    row of the first act in a window, as VALUES or a SELECT, in which {now} is the present.
    """
    now = NOW[connection.vendor]
    return _COUNT.format(table=table, who=who, acts=acts, rows=rows.format(now=now), now=now)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the headers of an authenticated answer say; times in Unix seconds."""

    limit: int
    remaining: int
    resets_at: int
    retry_after: int
    is_exceeded: bool


def make_rate_limit(limit: int, requests: int, resets_at: float, now: float) -> RateLimit:
    """The limit as it stands once a request is counted, that one included."""
    return RateLimit(
        limit=limit,
        remaining=max(0, limit - requests),
        resets_at=int(resets_at) + 1,
        retry_after=int(resets_at - now) + 1,  # A minute that counted has not ended.
        is_exceeded=requests > limit,
    )
