"""The thread of a ticket after its own message: what its customer and agents wrote.

One table for both directions, for each row is mailed, with every guarantee of a ticket's mail: an
agent's to the customer, a customer's to SUPPORT_EMAIL. Writing stands in answering.py and
hearing.py.
"""

import smtplib
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Max, Q, Value
from django.db.models.functions import Now
from django.utils import timezone

from support.failures import MAILBOX_FULL_CODE, Failure, FailureKind, find_enhanced_status
from support.outbox import EmailStatus, OutboxMessage, OutboxQuerySet, outbox_indexes

# Characters of what an agent or a customer writes at once.
LONGEST_MESSAGE = 20_000
LONGEST_IDEMPOTENCY_KEY = 255


class Via(models.TextChoices):
    """The way that a message came; the API's `via`."""

    API = "api", "API"
    MAIL = "mail", "mail"
    BACK_OFFICE = "back-office", "back-office"


class MessageQuerySet(OutboxQuerySet["Message"]):
    def for_support(self) -> Self:
        """What customers wrote."""
        return self.exclude(via=Via.BACK_OFFICE)

    def resendable(self) -> Self:
        """As of all rows, but for answers that were only stored: their customers are not mailed."""
        return super().resendable().exclude(via=Via.BACK_OFFICE, email_status=EmailStatus.STORED)

    def append(self, message: "Message", *, leased: bool) -> None:
        """Store a message behind all others of its ticket, whose row the caller has locked.

        So a reader who asks for what came after the last one misses none, whatever the clocks of
        our hosts say. `leased`: the caller mails it itself, at once.
        """
        thread = self.filter(ticket=message.ticket_id)
        newest = thread.aggregate(newest=Max("created_at"))["newest"]
        now = timezone.now()
        message.created_at = max(now, newest + timedelta(microseconds=1)) if newest else now
        if message.email_status == EmailStatus.PENDING:
            message.to = message.to or settings.SUPPORT_EMAIL
            message.next_attempt_at = Now()
            if leased:
                message.lease()
        message.save(force_insert=True)


class Message(OutboxMessage):
    """What somebody wrote to a ticket that exists, and what became of its mail.

    `created_at` grows within a ticket, in the order in which the messages were stored.
    """

    ticket = models.ForeignKey(
        "support.Ticket",
        on_delete=models.PROTECT,
        related_name="messages",
        editable=False,
        db_index=False,
    )
    via = models.CharField(
        max_length=11,
        choices=Via.choices,
        default=Via.BACK_OFFICE,
        db_default=Via.BACK_OFFICE,
        editable=False,
    )
    # The agent; nobody where the customer wrote.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
    )
    # The customer's mailbox; of a customer's message SUPPORT_EMAIL as it was then, and the mail
    # goes to what it is now.
    to = models.CharField(max_length=320, editable=False)
    # Whom a mail that came in says it is from. Anybody can write anything there.
    sender = models.CharField(max_length=320, blank=True, db_default="", editable=False)
    text = models.TextField(editable=False)
    # What a mail that came in quoted of the mails before it.
    quoted = models.TextField(blank=True, db_default="", editable=False)
    # What was left out of a mail that came in: its name, media type and size in octets.
    attachments = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), editable=False
    )
    idempotency_key = models.CharField(  # noqa: DJ001  (NULLs are distinct)
        max_length=LONGEST_IDEMPOTENCY_KEY, null=True, editable=False
    )
    content_digest = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    # When the provider said that the customer's own server has it.
    delivered_at = models.DateTimeField(null=True, editable=False)

    objects = MessageQuerySet.as_manager()

    MAILED_WITH = ("ticket__user",)

    class Meta:
        # As it was called when it held answers alone; the previous release still writes there.
        db_table = "support_replies"
        ordering = ["created_at", "id"]
        constraints = [
            # POST with Idempotency-Key: one message for each key of a ticket.
            models.UniqueConstraint(
                fields=["ticket", "idempotency_key"],
                name="support_replies_idempotency_key",
                condition=Q(idempotency_key__isnull=False),
            ),
        ]
        indexes = [
            *outbox_indexes("support_replies"),
            # A ticket's thread.
            models.Index(fields=["ticket", "created_at", "id"], name="support_replies_thread"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"

    @property
    def is_answer(self) -> bool:
        """Whether an agent wrote it, to the customer."""
        return self.via == Via.BACK_OFFICE

    @property
    def goes_to_support(self) -> bool:
        return not self.is_answer

    def log_facts(self) -> dict[str, str | None]:
        ticket = {"ticket_id": str(self.ticket_id), "message_id": str(self.pk)}
        return super().log_facts() | ticket

    def classify(self, exc: BaseException) -> Failure:
        """A refused recipient is this customer's trouble; the mail of the others still goes."""
        if self.goes_to_support:
            return super().classify(exc)
        code = 0
        if isinstance(exc, smtplib.SMTPRecipientsRefused):
            code = next((code for code, _ in exc.recipients.values()), 0)
        elif isinstance(exc, smtplib.SMTPDataError):
            is_full = find_enhanced_status(exc.smtp_error) == MAILBOX_FULL_CODE
            code = exc.smtp_code if is_full else 0
        if 500 <= code <= 599:
            text = "The mail server refused the customer's address"
            return Failure(FailureKind.MESSAGE, str(code), text)
        return super().classify(exc)
