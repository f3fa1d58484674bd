"""Mail without a ticket: an agent attaches it to one, or discards it.

One conditional UPDATE decides between two agents, last of all, so whoever loses has changed
nothing and is told.
"""

from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.utils import timezone

from support.hearing import Heard, write_customer_message
from support.inbound_mail import InboundMail, Outcome
from support.messages import LONGEST_MESSAGE, Message, Via
from support.timeline import EventKind, make_event


class AlreadySettledError(Exception):
    """Somebody attached or discarded the mail meanwhile; `mail` says who and how."""

    def __init__(self, mail: InboundMail) -> None:
        super().__init__(f"the mail is {mail.outcome}")
        self.mail = mail


def attach(mail: InboundMail, ticket_id: UUID, agent: AbstractUser) -> Message:
    """Make a mail that waits a message of a ticket, as if it had been sent to it.

    Raise AlreadySettledError, Ticket.DoesNotExist, or TicketClosedError; then nothing is changed.
    """
    heard = Heard(
        # Of one that could not be read, as much as a message holds, and the rest behind it.
        text=mail.text or mail.raw[:LONGEST_MESSAGE],
        via=Via.MAIL,
        sender=mail.sender,
        quoted=mail.quoted or mail.raw[LONGEST_MESSAGE:],
        attachments=mail.attachments,
    )
    with transaction.atomic():
        message, _ = write_customer_message(ticket_id, heard, leased=False)
        text = f"Attached a mail from {mail.sender}: {mail.subject}"
        make_event(ticket_id, agent, EventKind.NOTE, text=text).save()
        changes = {"outcome": Outcome.STORED, "ticket_id": ticket_id, "message": message}
        # The message holds them from now on.
        emptied = {"text": "", "quoted": "", "raw": "", "attachments": []}
        _settle(mail, agent, **changes, **emptied)
    return message


def discard(mail: InboundMail, agent: AbstractUser) -> None:
    """Take a mail off the list; what it said is kept. Raise AlreadySettledError."""
    with transaction.atomic():
        _settle(mail, agent, outcome=Outcome.DISCARDED)


def _settle(mail: InboundMail, agent: AbstractUser, **changes: object) -> None:
    waiting = InboundMail.objects.filter(pk=mail.pk, outcome=Outcome.UNMATCHED)
    if not waiting.update(**changes, settled_at=timezone.now(), settled_by=agent.pk):
        raise AlreadySettledError(InboundMail.objects.select_related("settled_by").get(pk=mail.pk))
