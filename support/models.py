"""A ticket as it was sent, the account as it was at that moment, and where triage stands."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from support import mail
from support.channels import MailChannel as MailChannel
from support.outbox import EmailStatus, OutboxMessage, OutboxQuerySet


class TicketState(models.TextChoices):
    """Where triage stands; the API's `state`."""

    NEW = "new"
    OPEN = "open"
    WAITING = "waiting"
    SOLVED = "solved"
    CLOSED = "closed"


class TicketQuerySet(OutboxQuerySet):
    def submit(self, user: Any, api_key: Any, *, leased: bool, **fields: str) -> "Ticket":
        """Store a ticket with a snapshot of its account, in one INSERT.

        `leased`: the caller sends its mail itself, at once; nobody else takes it meanwhile.
        """
        ticket: Ticket = self.model(
            user=user,
            subscription_plan=user.plan_id,
            token_balance=user.token_balance,
            api_key_prefix=api_key.key_prefix,
            api_key_name=api_key.name,
            **fields,
        )
        if mail.is_configured():
            ticket.next_attempt_at = Now()
        else:
            ticket.email_status = EmailStatus.STORED
        if leased:
            ticket.lease()
        ticket.save(force_insert=True)
        return ticket


class Ticket(OutboxMessage):
    """One request for help. What the customer wrote and the snapshot never change."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="tickets",
        editable=False,
        db_index=False,
    )
    type = models.CharField(max_length=64, editable=False)
    reply_address = models.CharField(max_length=320, editable=False)
    message = models.TextField(editable=False)

    subscription_plan = models.CharField(max_length=50, editable=False)
    token_balance = models.BigIntegerField(editable=False)
    api_key_prefix = models.CharField(max_length=12, blank=True, editable=False)
    api_key_name = models.CharField(max_length=100, blank=True, editable=False)

    state = models.CharField(
        max_length=10, choices=TicketState.choices, default=TicketState.NEW, db_index=True
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_tickets",
        limit_choices_to={"is_staff": True},
    )

    objects = TicketQuerySet.as_manager()

    class Meta:
        db_table = "support_tickets"
        ordering = ["-created_at", "-id"]
        indexes = [
            # GET /v1/support/tickets: an account's tickets, newest first.
            models.Index(fields=["user", "-created_at", "-id"], name="support_tickets_of_user"),
            # The back-office's list.
            models.Index(fields=["-created_at", "-id"], name="support_tickets_newest"),
            # A sender's next claim.
            models.Index(
                fields=["next_attempt_at"],
                name="support_tickets_due",
                condition=Q(email_status=EmailStatus.PENDING),
            ),
            # What has not gone out, oldest first: the resend command, metrics.
            models.Index(
                fields=["created_at"],
                name="support_tickets_unsent",
                condition=Q(email_status__in=[EmailStatus.PENDING, EmailStatus.FAILED]),
            ),
            # The row that a claim has just leased.
            models.Index(
                fields=["lease_token"],
                name="support_tickets_lease",
                condition=Q(lease_token__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    def compose(self) -> EmailMultiAlternatives:
        """The mail that this row stands for."""
        return mail.compose(self)
