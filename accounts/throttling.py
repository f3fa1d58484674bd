"""The rate limit of an account's plan: exact under concurrency, counted in one statement."""

from dataclasses import dataclass

from django.db import connection
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import RequestCount, User

WINDOW_SECONDS = 60

# The minute starts with the first request after the one before, so that no burst straddles a
# boundary that everybody knows. The row's lock makes requests that come at once count one by one.
_COUNT = """
INSERT INTO {table} (user_id, resets_at, requests) VALUES (%s, {now} + %s, 1)
ON CONFLICT (user_id) DO UPDATE SET
    requests = CASE WHEN {table}.resets_at <= {now} THEN 1 ELSE {table}.requests + 1 END,
    resets_at = CASE WHEN {table}.resets_at <= {now} THEN excluded.resets_at
                     ELSE {table}.resets_at END
RETURNING requests, resets_at, {now}
"""
NOW = {
    "postgresql": "extract(epoch FROM statement_timestamp())::double precision",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


@dataclass(frozen=True)
class RateLimit:
    """What the headers of an authenticated answer say; times in Unix seconds."""

    limit: int
    remaining: int
    resets_at: int
    retry_after: int


def count_request(user_id: int, limit: int) -> tuple[bool, RateLimit]:
    """Count one request; return whether it is within the limit, and what is left of it."""
    sql = _COUNT.format(table=RequestCount._meta.db_table, now=NOW[connection.vendor])
    with connection.cursor() as cursor:
        cursor.execute(sql, [user_id, WINDOW_SECONDS])
        requests, resets_at, now = cursor.fetchone()
    return requests <= limit, RateLimit(
        limit=limit,
        remaining=max(0, limit - requests),
        resets_at=int(resets_at) + 1,
        retry_after=int(resets_at - now) + 1,  # A minute that counted has not ended.
    )


class PlanThrottle(BaseThrottle):
    """DRF's throttle by the plan of `request.user`; the headers are the middleware's."""

    def allow_request(self, request: Request, view: object) -> bool:
        user = request.user
        if not isinstance(user, User):
            return True  # The 401 that is on its way names no account to count against.
        allowed, self.state = count_request(user.pk, user.plan.requests_per_minute)
        request._request.rate_limit = self.state  # type: ignore[attr-defined]  # noqa: SLF001
        return allowed

    def wait(self) -> float:
        return self.state.retry_after
