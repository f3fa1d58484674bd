"""Deleting tickets with all that hangs on them, a few at a time and in nobody's way.

Each batch is a transaction of its own: it takes what nobody else holds, in the order that all keep
(outbox.py), deletes what refers to a row before the row, and counts the days (ticket_days.py).
Whoever dies in the middle leaves whole tickets, and the next run goes on with them.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from support.models import InboundMail, Message, Ticket, TicketDay, TicketEvent, TicketQuerySet
from support.outbox import EmailStatus

logger = logging.getLogger(__name__)

# So many are locked, deleted and committed at once: tens of milliseconds.
BATCH = 100
# The rest between two batches is as long as the batch took, so others have half of the time at
# least; but no longer than this.
LONGEST_REST_SECONDS = 1.0

R = TypeVar("R", bound=models.Model)


def find_old_tickets(older_than: timedelta) -> TicketQuerySet:
    """Tickets that were solved or closed so long ago, and whose mails have all found their end.

    One that nobody has solved stays, whatever its age.
    """
    pending = Message.objects.filter(ticket=OuterRef("pk"), email_status=EmailStatus.PENDING)
    old = Ticket.objects.filter(solved_at__isnull=False, solved_at__lt=timezone.now() - older_than)
    return old.exclude(email_status=EmailStatus.PENDING).exclude(Exists(pending))


def remove_tickets(tickets: TicketQuerySet, column: str) -> Iterator[Counter[str]]:
    """Delete these, oldest first by a column that has an index; yield what each batch deleted.

    Left alone is whatever somebody holds at that moment or is sending: the next run takes it.
    """
    for ids in _walk(tickets, column):
        started = time.monotonic()
        try:
            yield _remove(tickets.filter(pk__in=ids))
        except IntegrityError:
            # Somebody has just written an entry or a message to one of them.
            logger.warning("Some tickets are in use; the next run deletes them")
        time.sleep(min(time.monotonic() - started, LONGEST_REST_SECONDS))


def _walk(tickets: TicketQuerySet, column: str) -> Iterator[list[UUID]]:
    """The keys, a batch at a time."""
    following = Q()
    while rows := list(
        tickets.filter(following).order_by(column, "pk").values_list(column, "pk")[:BATCH]
    ):
        yield [pk for _, pk in rows]
        value, pk = rows[-1]
        is_later = Q(**{f"{column}__gt": value}) | Q(**{column: value}, pk__gt=pk)
        following = Q(**{f"{column}__gte": value}) & is_later


def _remove(tickets: TicketQuerySet) -> Counter[str]:
    with transaction.atomic():
        free = tickets.unleased().order_by("pk").select_for_update(skip_locked=True)
        ids = list(free.values_list("pk", flat=True))
        messages = Message.objects.filter(ticket__in=ids).order_by("pk")
        # A claim of one of them, which takes a moment, is waited for: its lease is then seen here.
        list(messages.select_for_update().values_list("pk"))
        sending = messages.filter(leased_until__gt=Now()).values_list("ticket", flat=True)
        ids = sorted({*ids} - {*sending})
        # Asked again, now that nobody can change them: an answer may have come meanwhile.
        times = tickets.filter(pk__in=ids).values_list("pk", "created_at", "solved_at")
        return _delete({pk: (created_at, solved_at) for pk, created_at, solved_at in times})


def _delete(times: dict[UUID, tuple[datetime, datetime | None]]) -> Counter[str]:
    """Delete tickets that are locked with their messages; what refers to a row goes before it."""
    ids = list(times)
    counts = Counter(
        {
            "timeline entries": delete(TicketEvent.objects.filter(ticket__in=ids)),
            "mails that came in": delete(InboundMail.objects.filter(ticket__in=ids)),
            "tags": delete(Ticket.tags.through._default_manager.filter(ticket__in=ids)),
            "messages": delete(Message.objects.filter(ticket__in=ids)),
            "tickets": delete(Ticket.objects.filter(pk__in=ids)),
        }
    )
    TicketDay.objects.add(times.values())
    return counts


def delete(rows: models.QuerySet[R]) -> int:
    """Delete rows in one statement, without looking for what refers to them; return how many.

    Django's own delete() loads each row first, a message's 20,000 characters too.
    """
    # None where the filter is empty and nothing is asked.
    return rows.order_by()._raw_delete(rows.db) or 0  # noqa: SLF001


def count_all(tickets: TicketQuerySet) -> Counter[str]:
    """What remove_tickets() would delete, as it stands."""
    ids = tickets.order_by().values("pk")
    return Counter(
        {
            "timeline entries": TicketEvent.objects.filter(ticket__in=ids).count(),
            "mails that came in": InboundMail.objects.filter(ticket__in=ids).count(),
            "tags": Ticket.tags.through._default_manager.filter(ticket__in=ids).count(),
            "messages": Message.objects.filter(ticket__in=ids).count(),
            "tickets": tickets.count(),
        }
    )


def write_counts(counts: Counter[str], names: Sequence[str] = ()) -> str:
    """`5 tickets, 7 messages` of what there was any."""
    return ", ".join(f"{counts[name]} {name}" for name in names or counts if counts[name])
