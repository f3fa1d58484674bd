"""What a customer adds to a ticket: its message, state and timeline, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from support.mailboxes import is_mail_configured
from support.messages import Message, Via
from support.models import Ticket, TicketEvent, TicketState
from support.outbox import EmailStatus, in_lock_order
from support.timeline import EventKind, make_event

# A message to one of these makes it open again.
WOKEN = (TicketState.WAITING, TicketState.SOLVED)


class TicketClosedError(Exception):
    """The ticket takes no more messages."""


@dataclass(frozen=True)
class Heard:
    """A customer's words, masked, and the way that they came."""

    text: str
    via: Via
    content_digest: str = ""
    idempotency_key: str | None = None
    # Ids of working API keys of ours that stood in it.
    leaked_keys: Sequence[str] = ()
    # Of a mail alone.
    sender: str = ""
    quoted: str = ""
    attachments: Sequence[dict[str, object]] = field(default=())


def write_customer_message(ticket_id: UUID, heard: Heard, *, leased: bool) -> tuple[Message, bool]:
    """Store a customer's message; return (message, created).

    `leased`: the caller mails it itself, at once. A ticket that waited or was solved is open
    again. An idempotency key that the ticket has seen before gives the message that it was used
    for, not created. Raise TicketClosedError where the ticket is closed.
    """
    with transaction.atomic():
        locked = in_lock_order(Ticket.objects.filter(pk=ticket_id).select_related("user"))
        ticket = locked.get()
        if heard.idempotency_key is not None:
            earlier = ticket.messages.filter(idempotency_key=heard.idempotency_key)
            if (message := earlier.first()) is not None:
                return message, False
        if ticket.state == TicketState.CLOSED:
            raise TicketClosedError
        message = _make_message(ticket, heard)
        Message.objects.append(message, leased=leased and is_mail_configured())
        _wake(ticket, message, heard.leaked_keys)
    return message, True


def _make_message(ticket: Ticket, heard: Heard) -> Message:
    return Message(
        ticket=ticket,
        via=heard.via,
        sender=heard.sender,
        text=heard.text,
        quoted=heard.quoted,
        attachments=list(heard.attachments),
        idempotency_key=heard.idempotency_key,
        content_digest=heard.content_digest,
        email_status=EmailStatus.PENDING if is_mail_configured() else EmailStatus.STORED,
    )


def _wake(ticket: Ticket, message: Message, leaked_keys: Sequence[str]) -> None:
    """Move the ticket and keep its timeline; its row is locked."""
    changes: dict[str, object] = {"updated_at": timezone.now()}
    # Who sent a mail is not known.
    actor = ticket.user if message.via == Via.API else None
    events = [make_event(ticket.pk, actor, EventKind.MESSAGE, message_id=message.pk)]
    if ticket.state in WOKEN:
        changes |= {"state": TicketState.OPEN, "solved_at": None}
        events.append(
            make_event(
                ticket.pk,
                actor,
                EventKind.STATE,
                ticket.state,
                TicketState.OPEN,
                message_id=message.pk,
            )
        )
    if new := [key for key in leaked_keys if key not in ticket.leaked_keys]:
        changes["leaked_keys"] = [*ticket.leaked_keys, *new]
    Ticket.objects.filter(pk=ticket.pk).update(**changes)
    TicketEvent.objects.bulk_create(events)
