"""A filtered list as CSV: streamed, harmless in a spreadsheet, noted in every timeline.

A file that is not whole says so in its last record, and its connection breaks off.
"""

import csv
import json
import logging
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import StringIO
from typing import TypeAlias
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from support.back_office.queue import Queue
from support.models import Ticket
from support.timeline import EventKind, TicketEvent, make_event

logger = logging.getLogger(__name__)

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
    "request_ids": "request_ids",
    "context": "context",
}

Row: TypeAlias = tuple[object, ...]

# A spreadsheet that separates by another sign than the comma knows no quotes within a line, so a
# cell of ours may hold the beginnings of several of its own: after each of these.
_ENDS = r"\t\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
_BEGIN = rf"(?:^|(?<=[;{_ENDS}]))"
# What makes it calculate: OWASP's list, blanks and quotes before it, and the full-width signs. At a
# text's end the cell would take in what follows.
_FORMULA = re.compile(
    rf'{_BEGIN}(?=(?:[^\S{_ENDS}]|")*[=+\-@＝＋－＠\t])|(?<=;)(?="*\Z)|^(?=\n)'  # noqa: RUF001
)


def disarm(value: object) -> object:
    """The value for a cell; what a spreadsheet would calculate in it gets an apostrophe."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if not isinstance(value, str):
        return value
    # A record ends with CR LF and nothing else does, so whoever counts them counts tickets.
    text = value.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    return _FORMULA.sub("'", text)


class Export:
    """The lines of one file; `count` is how many tickets it will have, None above the limit."""

    def __init__(self, queue: Queue, agent: AbstractUser) -> None:
        self._queue, self._agent = queue, agent
        self._ids: list[UUID] | None = None
        if queue.is_counted:
            self._ids = queue.newest_ids()
        self.count = None if self._ids is None else len(self._ids)

    def lines(self) -> Iterator[str]:
        """A batch at a time; each is in every ticket's timeline before it leaves.

        When something breaks, the last record says INCOMPLETE, for a server may end the answer as
        if it were whole, and the error goes on, for others then cut the connection.
        """
        yield _lines([tuple(COLUMNS)])
        written = 0
        try:
            for rows in self._batches():
                TicketEvent.objects.bulk_create(
                    make_event(pk, self._agent, EventKind.EXPORT)
                    for pk in sorted(row[0] for row in rows if isinstance(row[0], UUID))
                )
                yield _lines(rows)
                written += len(rows)
        except Exception:
            logger.exception("An export broke off after %d tickets", written)
            yield self._last_words(written, "it broke off")
            raise
        if self.count is not None and written < self.count:
            yield self._last_words(written, "some were deleted meanwhile")

    def _last_words(self, written: int, why: str) -> str:
        of = "" if self.count is None else f" of {self.count}"
        text = f"INCOMPLETE: {written}{of} tickets, {why}. Export again."
        return _lines([(text, *[""] * (len(COLUMNS) - 1))])

    def _batches(self) -> Iterator[list[Row]]:
        """Rows of COLUMNS, newest first; every batch is a statement of its own."""
        if self._ids is not None:
            for start in range(0, len(self._ids), BATCH):
                chosen = Ticket.objects.filter(pk__in=self._ids[start : start + BATCH])
                yield list(chosen.order_by(*NEWEST).values_list(*COLUMNS.values()))
            return
        tickets = self._queue.tickets.order_by(*NEWEST).values_list(*COLUMNS.values())
        following = Q()
        while rows := list(tickets.filter(following)[:BATCH]):
            yield rows
            pk, created_at = rows[-1][:2]
            following = Q(created_at__lte=created_at) & (
                Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=pk)
            )


def _lines(rows: Iterable[Row]) -> str:
    text = StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([disarm(value) for value in row] for row in rows)
    return text.getvalue()
