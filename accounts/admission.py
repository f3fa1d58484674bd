"""Who may come in: finds an API key and counts the request, in one statement."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar
from uuid import UUID

from django.db import connection, models
from django.utils import timezone

from accounts import api_keys
from accounts.models import APIKey, RequestCount, User
from accounts.windows import count_act, make_rate_limit
from ctxfy_support.first_statement import fetch_first

M = TypeVar("M", bound=models.Model)

REQUEST_WINDOW_SECONDS = 60

# Every request begins with this. The ORM's own query for the key alone took four times the
# processor time, most of it to build the statement and the columns that nobody reads.
_SHOWN = (
    *("k.id", "k.key_prefix", "k.name", "k.expiration_date", "k.last_used_at", "k.user_id"),
    *("u.username", "u.token_balance", "u.plan_id", "p.requests_per_minute"),
)
_ACTIVE = """
FROM accounts_apikey k
JOIN accounts_user u ON u.id = k.user_id
JOIN accounts_plan p ON p.slug = u.plan_id
WHERE k.digest = %(digest)s AND k.revoked_at IS NULL AND u.is_active
  AND (k.expiration_date IS NULL OR k.expiration_date > %(now)s)
"""
_LOOK = f"SELECT 1 {_ACTIVE}"
_FIND_AND_COUNT = """
WITH caller AS (SELECT {shown} {active}), counted AS ({count})
SELECT caller.*, counted.* FROM caller, counted
"""
_FIRST = f"SELECT user_id, {{now}} + {REQUEST_WINDOW_SECONDS}, 1"


@cache
def _admit(vendor: str) -> str:
    """The statement that finds a key and counts its request: _SHOWN, and what windows.py counts."""
    shown = ", ".join(_SHOWN)
    table = RequestCount._meta.db_table
    if vendor == "postgresql":
        count = count_act(table, "user_id", "requests", f"{_FIRST} FROM caller")
        return _FIND_AND_COUNT.format(shown=shown, active=_ACTIVE, count=count)
    # SQLite's WITH takes no INSERT, but what it returns may be looked up.
    count = count_act(table, "user_id", "requests", f"{_FIRST} {_ACTIVE}")
    return f"{count}, (SELECT json_array({shown}) {_ACTIVE})"


def load(model: type[M], **values: object) -> M:
    """An instance as if read from the database, the columns without a value deferred."""
    names = [field.attname for field in model._meta.concrete_fields if field.attname in values]
    return model.from_db(connection.alias, names, [values[name] for name in names])


def _read_moment(value: datetime | str | None) -> datetime | None:
    """A column's time; SQLite's are text."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value


def _read_key(
    digest: str,
    key_id: UUID | str,
    key_prefix: str,
    name: str,
    expiration_date: datetime | str | None,
    last_used_at: datetime | str | None,
    user_id: int,
    username: str,
    token_balance: int,
    plan: str,
) -> APIKey:
    """The key and its user."""
    key = load(
        APIKey,
        id=UUID(str(key_id)),
        user_id=user_id,
        key_prefix=key_prefix,
        name=name,
        digest=digest,
        expiration_date=_read_moment(expiration_date),
        last_used_at=_read_moment(last_used_at),
    )
    key.user = load(
        User,
        id=user_id,
        username=username,
        is_active=True,
        token_balance=token_balance,
        plan_id=plan,
    )
    return key


def admit(secret: str, *, in_doubt: bool = False) -> APIKey | None:
    """The working key with this secret, this request counted against its account's limit.

    One statement, which also says what is left of the limit; None, and nothing is counted, if
    no such key works. Working: neither revoked nor expired, and of an active account. Columns
    that a request does not need are deferred. `in_doubt`: a flood of useless keys may be on, so
    one more must cost no writer anything.
    """
    if not api_keys.is_well_formed(secret):
        return None
    digest = api_keys.digest(secret)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    values = {"digest": digest, "now": now}
    # PostgreSQL's statement takes neither a row's lock nor a transaction's number where it counts
    # nothing; SQLite's takes the file from all other writers first.
    if in_doubt and connection.vendor == "sqlite" and fetch_first(_LOOK, values) is None:
        return None
    row = fetch_first(_admit(connection.vendor), values)
    if row is None:
        return None
    if connection.vendor == "sqlite":
        *counted, shown = row
        row = (*json.loads(shown), *counted)
    *key_and_user, limit, requests, resets_at, at = row
    key = _read_key(digest, *key_and_user)
    key.rate_limit = make_rate_limit(limit, requests, resets_at, at)
    return key
