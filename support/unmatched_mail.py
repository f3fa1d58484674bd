"""Mail without a ticket: an agent attaches it to one, or discards it, and each mail only once."""

from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.utils import timezone

from support.hearing import Heard, write_customer_message
from support.inbound_mail import InboundMail, Outcome
from support.leaked_keys import note_leaked
from support.masking import mask_parts
from support.messages import Message, Via
from support.outbox import in_lock_order

NO_TEXT = "(This mail has no text.)"
# Characters; of one that could not be read the row keeps all of it.
LONGEST_RAW = 60_000


class AlreadySettledError(Exception):
    """Somebody attached, discarded or put back the mail before; `mail` is as it is now."""

    def __init__(self, mail: InboundMail) -> None:
        super().__init__(f"the mail is {mail.outcome}")
        self.mail = mail


def attach(mail: InboundMail, ticket_id: UUID, agent: AbstractUser, *, leased: bool) -> Message:
    """Make the mail a customer's message of this ticket, which wakes it as any other does.

    `leased`: the caller mails it itself, at once. Raise Ticket.DoesNotExist, TicketClosedError, or
    AlreadySettledError; then nothing is changed.
    """
    heard = _hear(mail)
    with transaction.atomic():
        # The mail is locked last, as everybody does who writes a message because of one.
        message, _ = write_customer_message(ticket_id, heard, leased=leased)
        _lock(mail, Outcome.UNMATCHED)
        _settle(
            mail,
            agent,
            outcome=Outcome.STORED,
            ticket=ticket_id,
            message=message,
            text="",
            quoted="",
            attachments=[],
        )
    return message


def discard(mail: InboundMail, agent: AbstractUser) -> None:
    """Take the mail from the list; what it says is kept. Raise AlreadySettledError."""
    with transaction.atomic():
        _lock(mail, Outcome.UNMATCHED)
        _settle(mail, agent, outcome=Outcome.DISCARDED)


def restore(mail: InboundMail) -> None:
    """Undo discard(). Raise AlreadySettledError for what is not discarded."""
    with transaction.atomic():
        _lock(mail, Outcome.DISCARDED)
        rows = InboundMail.objects.filter(pk=mail.pk)
        rows.update(outcome=Outcome.UNMATCHED, settled_at=None, settled_by=None)


def _hear(mail: InboundMail) -> Heard:
    """The mail as a customer's message; what could not be read is kept as it came, folded away.

    Masked again, which changes nothing in what was masked when it came.
    """
    text, quoted = mail.text.strip() or NO_TEXT, mail.quoted or mail.raw[:LONGEST_RAW]
    parts, masking = mask_parts([text, quoted])
    return Heard(
        text=str(parts[0]),
        via=Via.MAIL,
        leaked_keys=note_leaked(masking.own_keys) if masking.own_keys else (),
        sender=mail.sender,
        quoted=str(parts[1]),
        attachments=mail.attachments,
    )


def _lock(mail: InboundMail, expected: Outcome) -> None:
    """Hold the row until the transaction ends; of two agents at once the second is told."""
    now = in_lock_order(InboundMail.objects.filter(pk=mail.pk).select_related("settled_by")).get()
    if now.outcome != expected:
        raise AlreadySettledError(now)


def _settle(mail: InboundMail, agent: AbstractUser, **changes: object) -> None:
    InboundMail.objects.filter(pk=mail.pk).update(
        settled_at=timezone.now(), settled_by=agent.pk, **changes
    )
