"""What happened to a ticket: one row for each change, who made it, when, from what, to what.

Rows are only ever added. Labels stand as they were at that time, so a renamed agent or a deleted
tag changes no history.
"""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

LABEL_CHARACTERS = 200


class EventKind(models.TextChoices):
    STATE = "state"
    ASSIGNEE = "assignee"
    PRIORITY = "priority"
    TAGS = "tags"
    CLAIM = "claim"
    NOTE = "note"
    REPLY = "reply"
    RESEND = "resend"
    EXPORT = "export"
    FAILURE = "failure"
    REVOKE = "revoke"
    MESSAGE = "message"
    BOUNCE = "bounce"
    AUTOMATIC = "automatic"


class TicketEvent(models.Model):
    """One entry of a ticket's timeline.

    `text` is an internal note's, or why an answer was given up or came back; such an entry has no
    actor, and neither has what came by mail.
    """

    ticket = models.ForeignKey(
        "support.Ticket", on_delete=models.CASCADE, related_name="events", db_index=False
    )
    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    kind = models.CharField(max_length=10, choices=EventKind.choices)
    before = models.CharField(max_length=LABEL_CHARACTERS, blank=True)
    after = models.CharField(max_length=LABEL_CHARACTERS, blank=True)
    text = models.TextField(blank=True)
    message = models.ForeignKey(
        "support.Message",
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        db_column="reply_id",
    )

    class Meta:
        db_table = "support_ticket_events"
        ordering = ["id"]
        indexes = [
            # A ticket's timeline, oldest first.
            models.Index(fields=["ticket", "id"], name="support_ticket_events_of"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.before} → {self.after}"


def make_event(
    ticket_id: UUID,
    actor: AbstractUser | None,
    kind: EventKind,
    before: object = "",
    after: object = "",
    *,
    text: str = "",
    message_id: UUID | None = None,
    at: datetime | None = None,
) -> TicketEvent:
    """An unsaved entry, of this moment unless `at` says another; labels are cut to what fits."""
    return TicketEvent(
        ticket_id=ticket_id,
        actor_id=actor.pk if actor else None,
        kind=kind,
        before=str(before)[:LABEL_CHARACTERS],
        after=str(after)[:LABEL_CHARACTERS],
        text=text,
        message_id=message_id,
        at=at or timezone.now(),
    )
