"""An agent's answer to the customer: a row that is mailed, with every guarantee of a ticket's mail.

Nothing but an agent's deliberate act makes one, and it goes to one mailbox: the ticket's.
"""

import re
import smtplib
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from support import mail
from support.failures import Failure, FailureKind
from support.outbox import EmailStatus, OutboxMessage, OutboxQuerySet
from support.timeline import EventKind, TicketEvent, make_event
from support.triage import TicketState

if TYPE_CHECKING:
    from support.models import Ticket

LONGEST_REPLY = 20_000
# What a canned reply may say in double braces.
PLACEHOLDERS = {
    "account": "the account's name",
    "agent": "your name",
    "ticket": "the ticket's id",
    "type": "the ticket's type",
    "plan": "the plan at that moment",
    "received": "the day the ticket came",
}


class NoMailboxError(Exception):
    """The ticket's reply address is not one e-mail address, or nothing can be mailed at all."""


class SomethingHappenedError(Exception):
    """Somebody answered or took the ticket since the agent looked; `events` says what."""

    def __init__(self, events: list[TicketEvent]) -> None:
        super().__init__("the ticket's timeline has grown")
        self.events = events


class ReplyQuerySet(OutboxQuerySet):
    def write(
        self, ticket: "Ticket", agent: Any, text: str, *, leased: bool, seen: int | None = None
    ) -> "Reply":
        """Store an answer with its timeline entry; the ticket then waits for the customer.

        `leased`: the caller sends it itself, at once. `seen`: the newest timeline entry that the
        agent knows; raise SomethingHappenedError where an answer, or anybody's claim, came after
        it. Raise NoMailboxError where it cannot go out.
        """
        if not mail.is_configured() or not mail.is_email_address(ticket.reply_address):
            raise NoMailboxError
        reply: Reply = self.model(
            ticket=ticket, author=agent, text=text, to=ticket.reply_address, next_attempt_at=Now()
        )
        if leased:
            reply.lease()
        now = timezone.now()
        tickets: Any = type(ticket).objects.filter(pk=ticket.pk)
        with transaction.atomic():
            before = tickets.select_for_update().values_list("state", flat=True).get()
            # Under the row's lock: of two answers that are sent at once, the second is asked.
            if seen is not None and (events := _news(ticket, agent, seen)):
                raise SomethingHappenedError(events)
            reply.save(force_insert=True)
            tickets.update(
                state=TicketState.WAITING,
                solved_at=None,
                first_replied_at=Coalesce("first_replied_at", models.Value(now)),
                updated_at=now,
            )
            events = [make_event(ticket, agent, EventKind.REPLY, after=reply.to, reply=reply)]
            if before != TicketState.WAITING:
                events.append(
                    make_event(ticket, agent, EventKind.STATE, before, TicketState.WAITING)
                )
            TicketEvent.objects.bulk_create(events)
        return reply


def _news(ticket: "Ticket", agent: Any, seen: int) -> list[TicketEvent]:
    """Answers since then, the agent's own too (a second click), and what others did."""
    since = TicketEvent.objects.filter(ticket=ticket, id__gt=seen).select_related("actor")
    kinds = [EventKind.CLAIM, EventKind.ASSIGNEE, EventKind.STATE]
    others = Q(kind__in=kinds) & ~Q(actor=agent)
    return list(since.filter(Q(kind=EventKind.REPLY) | others))


class Reply(OutboxMessage):
    """What an agent wrote, to whom, and what became of the mail."""

    ticket = models.ForeignKey(
        "support.Ticket", on_delete=models.PROTECT, related_name="replies", editable=False
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
    )
    to = models.CharField(max_length=320, editable=False)
    text = models.TextField(editable=False)

    objects = ReplyQuerySet.as_manager()

    class Meta:
        db_table = "support_replies"
        verbose_name_plural = "replies"
        ordering = ["created_at", "id"]
        indexes = [
            # A sender's next claim.
            models.Index(
                fields=["next_attempt_at"],
                name="support_replies_due",
                condition=Q(email_status=EmailStatus.PENDING),
            ),
            # What has not gone out, oldest first: the resend command, the dashboard.
            models.Index(
                fields=["created_at"],
                name="support_replies_unsent",
                condition=Q(email_status__in=[EmailStatus.PENDING, EmailStatus.FAILED]),
            ),
            # The row that a claim has just leased.
            models.Index(
                fields=["lease_token"],
                name="support_replies_lease",
                condition=Q(lease_token__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"reply {self.pk}"

    def compose(self) -> EmailMultiAlternatives:
        """The mail that this row stands for."""
        return mail.compose_reply(self)

    def classify(self, exc: BaseException) -> Failure:
        """A refused recipient is this customer's trouble; the mail of the others still goes."""
        if isinstance(exc, smtplib.SMTPRecipientsRefused):
            code = next((code for code, _ in exc.recipients.values()), 0)
            if 500 <= code <= 599:
                text = "The mail server refused the customer's address"
                return Failure(FailureKind.MESSAGE, str(code), text)
        return super().classify(exc)


class CannedReply(models.Model):
    """An answer that is given often; placeholders in double braces are filled in."""

    name = models.CharField(max_length=80, unique=True)
    text = models.TextField(
        max_length=LONGEST_REPLY,
        help_text="Filled in for the ticket: "
        + ", ".join(f"{{{{ {name} }}}} ({what})" for name, what in PLACEHOLDERS.items()),
    )

    class Meta:
        db_table = "support_canned_replies"
        verbose_name_plural = "canned replies"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def fill_in(self, ticket: "Ticket", agent: Any) -> str:
        """The text for this ticket; an unknown placeholder stays, for the agent to see."""
        values = {
            "account": ticket.user.get_full_name() or ticket.user.get_username(),
            "agent": agent.get_full_name() or agent.get_username(),
            "ticket": str(ticket.pk),
            "type": ticket.type,
            "plan": ticket.subscription_plan,
            "received": f"{ticket.created_at:%-d %B %Y}",
        }
        return re.sub(
            r"\{\{\s*(\w+)\s*\}\}", lambda found: values.get(found[1], found[0]), self.text
        )
