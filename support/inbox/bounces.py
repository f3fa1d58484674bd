"""What SendGrid tells of a mail that it had accepted: it arrived, came back, or was complained of.

A mail carries the id of its row (composing.py), which SendGrid tells with each event. What a mail
of its own says of a bounce (RFC 3464) comes the way of all mails: receiving.py.
"""

from datetime import UTC, datetime, timedelta

from django.db import transaction

from ctxfy_support.ids import parse_id
from support.answering import record_bounce
from support.delivery.composing import ROW_METADATA
from support.inbox.identity import find_row_by_id
from support.inbox.reading import clean
from support.models import Message, Ticket, TicketEvent, locate
from support.outbox import OutboxMessage, in_lock_order
from support.timeline import EventKind, make_event

LONGEST_REASON = 300
# By how much SendGrid's clock may be behind ours, and its seconds are whole.
CLOCK_SLACK = timedelta(seconds=30)


def note_bounced(metadata: dict[str, object], reason: object, at: datetime | None) -> bool:
    """Record that a mail came back, or was dropped before it left; False if nothing changed."""
    row = _find_row(metadata)
    if row is None or _is_of_an_earlier_try(row, at):
        return False
    return record_bounce(row, _read(reason), at=at)


def note_delivered(metadata: dict[str, object], at: datetime | None) -> bool:
    """Record when the recipient's own server took a message; the first time counts."""
    row = _find_row(metadata)
    if not isinstance(row, Message):
        return False
    untold = Message.objects.filter(pk=row.pk, delivered_at=None)
    return bool(untold.update(delivered_at=at or datetime.now(UTC)))


def note_complaint(metadata: dict[str, object]) -> bool:
    """Note in the timeline, once, that a recipient called a mail of ours spam."""
    row = _find_row(metadata)
    if row is None:
        return False
    ticket_id, message_id = locate(row)
    noted = {"kind": EventKind.AUTOMATIC, "message_id": message_id, "text": _COMPLAINT}
    with transaction.atomic():
        in_lock_order(Ticket.objects.filter(pk=ticket_id)).get()
        if TicketEvent.objects.filter(ticket=ticket_id, **noted).exists():
            return False
        make_event(
            ticket_id, None, EventKind.AUTOMATIC, text=_COMPLAINT, message_id=message_id
        ).save()
    return True


_COMPLAINT = "The recipient of this mail reported it as spam"


def _find_row(metadata: dict[str, object]) -> OutboxMessage | None:
    row_id = parse_id(str(metadata.get(ROW_METADATA, "")))
    return find_row_by_id(row_id) if row_id else None


def _is_of_an_earlier_try(row: OutboxMessage, at: datetime | None) -> bool:
    """Whether an event that is told again is about a mail that was sent anew since."""
    return bool(at and row.sent_at and at < row.sent_at - CLOCK_SLACK)


def _read(reason: object) -> str:
    return " ".join(clean(str(reason or "no reason given")).split())[:LONGEST_REASON]
