"""The INSERT of a ticket, written by hand: every ticket that is taken pays for it.

Through the ORM the same row costs three times the processor time, most of it to build the
statement anew. test_ticket_insert.py holds it to the model's columns and defaults.
"""

import json
from datetime import datetime
from functools import cache
from typing import Protocol
from uuid import UUID

from django.db import connection

from support.claims import DATABASE_NOW

# So many seconds from DATABASE_NOW, written as that is.
_LATER = {
    "postgresql": "statement_timestamp() + interval '{seconds} seconds'",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{seconds} seconds')",
}
_AS_JSON = ("request_ids", "context", "leaked_keys")
# What comes with the ticket; the rest of its columns is NULL.
_GIVEN = (
    *("id", "user_id", "type", "reply_address", "message", "subscription_plan", "token_balance"),
    *("api_key_prefix", "api_key_name", "idempotency_key", "content_digest"),
    *("created_at", "updated_at", "email_status", "lease_token", "stored_by_request"),
    *_AS_JSON,
)
_ALWAYS = {
    "attempts": "0",
    "last_error": "''",
    "attempt_log": "'[]'",
    "state": "'new'",
    "priority": "2",
}
# An account's Idempotency-Key names one ticket: the second is not stored.
_INSERT = """
INSERT INTO support_tickets ({columns}) VALUES ({values})
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
"""


class NewTicket(Protocol):
    """A ticket that is not stored yet, with _GIVEN as its attributes."""

    @property
    def lease_token(self) -> UUID | None: ...


@cache
def _insert(vendor: str, is_mailed: bool, lease_seconds: float | None) -> str:
    values = {name: f"%({name})s" for name in _GIVEN} | _ALWAYS
    if is_mailed:
        values["next_attempt_at"] = DATABASE_NOW[vendor]
    if lease_seconds is not None:
        values["leased_until"] = _LATER[vendor].format(seconds=lease_seconds)
    return _INSERT.format(columns=", ".join(values), values=", ".join(values.values()))


def insert_ticket(ticket: NewTicket, *, is_mailed: bool, lease_seconds: float) -> bool:
    """Store it; False, and nothing is stored, where its account has used its key before.

    `is_mailed`: its mail is due now. A ticket with a lease token is leased for so many seconds.
    """
    parameters = {name: getattr(ticket, name) for name in _GIVEN}
    parameters |= {name: json.dumps(parameters[name]) for name in _AS_JSON}
    if connection.vendor == "sqlite":
        parameters = {name: _adapt(value) for name, value in parameters.items()}
    seconds = lease_seconds if ticket.lease_token else None
    with connection.cursor() as cursor:
        cursor.execute(_insert(connection.vendor, is_mailed, seconds), parameters)
        return bool(cursor.rowcount)


def _adapt(value: object) -> object:
    """A value as SQLite keeps it: ids as 32 hexadecimal digits, times in UTC without saying so."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
