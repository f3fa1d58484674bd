"""Agents' answers to customers: rows that are mailed, with every guarantee of a ticket's mail.

Also the answers that are given often. Writing and filling in stand in answering.py.
"""

import smtplib

from django.conf import settings
from django.db import models

from support.failures import MAILBOX_FULL_CODE, Failure, FailureKind, find_enhanced_status
from support.outbox import OutboxMessage, OutboxQuerySet, outbox_indexes

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

    objects = OutboxQuerySet["Reply"].as_manager()

    MAILED_WITH = ("ticket",)

    class Meta:
        db_table = "support_replies"
        verbose_name_plural = "replies"
        ordering = ["created_at", "id"]
        indexes = outbox_indexes("support_replies")

    def __str__(self) -> str:
        return f"reply {self.pk}"

    def classify(self, exc: BaseException) -> Failure:
        """A refused recipient is this customer's trouble; the mail of the others still goes."""
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
