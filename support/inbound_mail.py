"""Every mail that came in, once, and what became of it.

The row is written in the same transaction as what it brings about, so a mail that is delivered
again changes nothing. What belongs to no ticket waits here for an agent.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from ctxfy_support.ids import uuid7

LONGEST_SUBJECT = 500
LONGEST_ADDRESS = 320


class Way(models.TextChoices):
    SENDGRID = "sendgrid"
    IMAP = "imap"


class Outcome(models.TextChoices):
    """What became of a mail."""

    STORED = "stored"  # A message of its ticket's thread.
    UNMATCHED = "unmatched"  # Waits under "Mail without a ticket".
    IGNORED = "ignored"  # Automatic: noted in the timeline of its ticket, if it has one.
    DISCARDED = "discarded"  # By an agent.


class InboundMail(models.Model):
    """A mail, by what makes two deliveries of it one."""

    id: "models.UUIDField[uuid.UUID, uuid.UUID]" = models.UUIDField(
        primary_key=True, default=uuid7, editable=False
    )
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    way = models.CharField(max_length=10, choices=Way.choices, editable=False)
    # SHA-256 in hexadecimal digits.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, editable=False)
    # In plain words, why it waits or was ignored.
    reason = models.CharField(max_length=200, blank=True, editable=False)

    sender = models.CharField(max_length=LONGEST_ADDRESS, blank=True, editable=False)
    recipient = models.CharField(max_length=LONGEST_ADDRESS, blank=True, editable=False)
    subject = models.CharField(max_length=LONGEST_SUBJECT, blank=True, editable=False)
    # Empty once a message of a thread holds them.
    text = models.TextField(blank=True, editable=False)
    quoted = models.TextField(blank=True, editable=False)
    attachments = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), editable=False
    )
    # The whole mail, where it could not be parsed.
    raw = models.TextField(blank=True, editable=False)

    ticket = models.ForeignKey(
        "support.Ticket",
        on_delete=models.CASCADE,
        null=True,
        related_name="inbound_mails",
        db_index=False,
        editable=False,
    )
    message = models.OneToOneField(
        "support.Message", on_delete=models.CASCADE, null=True, related_name="+", editable=False
    )
    settled_at = models.DateTimeField(null=True, editable=False)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
    )

    class Meta:
        db_table = "support_inbound_mails"
        ordering = ["-received_at", "-id"]
        indexes = [
            # How many came for a ticket within an hour.
            models.Index(fields=["ticket", "received_at"], name="support_inbound_mails_of"),
            # Mail without a ticket, oldest first, and how many.
            models.Index(
                fields=["received_at", "id"],
                name="support_inbound_mails_waiting",
                condition=Q(outcome=Outcome.UNMATCHED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} mail {self.pk}"
