"""A filtered list as CSV: streamed, harmless in a spreadsheet, noted in every timeline."""

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from support.back_office.queue import Queue
from support.back_office.tabs import COUNT_LIMIT
from support.models import Ticket
from support.timeline import EventKind, TicketEvent, make_event

BATCH = 500
NEWEST = ("-created_at", "-id")
COLUMNS = {
    "id": "pk",
    "created_at": "created_at",
    "account": "user__username",
    "account_id": "user",
    "plan": "subscription_plan",
    "token_balance": "token_balance",
    "type": "type",
    "reply_address": "reply_address",
    "state": "state",
    "priority": "priority",
    "assignee": "assignee__username",
    "email_status": "email_status",
    "sent_at": "sent_at",
    "first_replied_at": "first_replied_at",
    "solved_at": "solved_at",
    "message": "message",
}
# What makes a spreadsheet calculate: OWASP's list, blanks before it, and the full-width signs.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001


def disarm(value: object) -> object:
    """The value for a cell; text that a spreadsheet would calculate gets an apostrophe."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if not isinstance(value, str):
        return value
    # A record ends with CR LF and nothing else does, so whoever counts them counts tickets.
    text = value.replace("\r\n", "\n")
    if _FORMULA.match(text):
        text = f"'{text}"
    return text.replace("\r", " ")


def export(queue: Queue, agent: AbstractUser) -> Iterator[str]:
    """The lines of the file, a batch at a time; each batch is in the timeline before it leaves."""
    yield _lines([COLUMNS])
    for tickets in _batches(queue):
        TicketEvent.objects.bulk_create(
            make_event(row[0], agent, EventKind.EXPORT) for row in tickets
        )
        yield _lines(tickets)


def _lines(rows: Any) -> str:
    text = StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([disarm(value) for value in row] for row in rows)
    return text.getvalue()


def _batches(queue: Queue) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of COLUMNS, newest first; every batch is a statement of its own, however many follow."""
    if queue.is_counted:
        ids = list(queue.tickets.order_by(*NEWEST).values_list("pk", flat=True)[:COUNT_LIMIT])
        for start in range(0, len(ids), BATCH):
            chosen = Ticket.objects.filter(pk__in=ids[start : start + BATCH])
            yield list(chosen.order_by(*NEWEST).values_list(*COLUMNS.values()))
        return
    following = Q()
    while rows := list(
        queue.tickets.filter(following).order_by(*NEWEST).values_list(*COLUMNS.values())[:BATCH]
    ):
        yield rows
        pk, created_at = rows[-1][:2]
        following = Q(created_at__lte=created_at) & (
            Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=pk)
        )
