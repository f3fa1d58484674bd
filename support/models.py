"""A ticket as it was sent, the account as it was at that moment, and where triage stands."""

import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from django.conf import settings
from django.db import models
from django.db.models import Q, Value

from support.canned_replies import CannedReply as CannedReply
from support.evidence import ContextColumn
from support.fetchers import Fetcher as Fetcher
from support.inbound_mail import InboundMail as InboundMail
from support.mail_channel import MailChannel as MailChannel
from support.mailboxes import is_mail_configured
from support.messages import LONGEST_IDEMPOTENCY_KEY
from support.messages import Message as Message
from support.outbox import (
    EmailStatus,
    OutboxMessage,
    OutboxQuerySet,
    lease_duration,
    outbox_indexes,
)
from support.saved_views import SavedView as SavedView
from support.senders import Sender as Sender
from support.ticket_days import TicketDay as TicketDay
from support.ticket_insert import insert_ticket
from support.timeline import TicketEvent as TicketEvent
from support.triage import Tag as Tag
from support.triage import TicketState as TicketState
from support.triage import Triaged, TriageQuerySet


class AccountKey(Protocol):
    """The API key that a ticket came with, as the accounts app has it.

    `user` is a settings.AUTH_USER_MODEL with `plan_id` and `token_balance`.
    """

    user: Any
    key_prefix: str
    name: str


class TicketQuerySet(  # type: ignore[override]  # as_manager(), which django-stubs makes up
    OutboxQuerySet["Ticket"], TriageQuerySet["Ticket"]
):
    def submit(
        self,
        key: AccountKey,
        fields: Mapping[str, object],
        *,
        leased: bool,
        content_digest: str = "",
        idempotency_key: str | None = None,
    ) -> tuple["Ticket", bool]:
        """Store a ticket with a snapshot of its account, in one INSERT; return (ticket, created).

        `leased`: the caller sends its mail itself, at once; nobody else takes it meanwhile.
        An idempotency key that the account has used before gives the ticket that it was used for,
        not created; whether that one says the same is for the caller to compare, by its digest.
        """
        ticket = Ticket(
            user=key.user,
            subscription_plan=key.user.plan_id,
            token_balance=key.user.token_balance,
            api_key_prefix=key.key_prefix,
            api_key_name=key.name,
            idempotency_key=idempotency_key,
            content_digest=content_digest,
            **fields,
        )
        is_mailed = is_mail_configured()
        if not is_mailed:
            ticket.email_status = EmailStatus.STORED
        if leased:
            ticket.lease_token = uuid.uuid4()
        seconds = lease_duration().total_seconds()
        # The unique constraint decides, so two clients at once cannot both be first.
        if insert_ticket(ticket, is_mailed=is_mailed, lease_seconds=seconds):
            ticket._state.adding = False  # noqa: SLF001  (documented for what loads rows)
            return ticket, True
        return self.get(user=key.user.pk, idempotency_key=idempotency_key), False


class Ticket(OutboxMessage, Triaged):
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
    # What the caller knows of the failure: ids of requests, and names with values.
    request_ids = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), editable=False
    )
    context = ContextColumn(default=dict, db_default={}, editable=False)
    # Ids of working API keys of ours that stood in it, before they were masked.
    leaked_keys = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), editable=False
    )

    subscription_plan = models.CharField(max_length=50, editable=False)
    token_balance = models.BigIntegerField(editable=False)
    api_key_prefix = models.CharField(max_length=12, blank=True, editable=False)
    api_key_name = models.CharField(max_length=100, blank=True, editable=False)

    idempotency_key = models.CharField(  # noqa: DJ001  (NULLs are distinct)
        max_length=LONGEST_IDEMPOTENCY_KEY, null=True, editable=False
    )
    content_digest = models.CharField(max_length=64, editable=False)

    objects = TicketQuerySet.as_manager()

    MAILED_WITH = ("user",)

    class Meta:
        db_table = "support_tickets"
        ordering = ["-created_at", "-id"]
        constraints = [
            # POST with Idempotency-Key: one ticket for each key of an account.
            models.UniqueConstraint(
                fields=["user", "idempotency_key"],
                name="support_tickets_idempotency_key",
                condition=Q(idempotency_key__isnull=False),
            ),
        ]
        permissions = [
            ("reply_ticket", "Can answer the customer"),
            ("export_ticket", "Can export tickets"),
        ]
        # A POST writes an entry in each index that its row belongs in, and so does the mark of its
        # mail. So what only lists need covers solved tickets alone, to which nobody posts. Times
        # ascend, for a B-tree grows cheaply at its end alone; "newest first" reads it backwards.
        indexes = [
            # GET /v1/support/tickets: an account's tickets, newest first, and how many. The last
            # columns answer its filters from the index alone.
            models.Index(
                fields=["user", "created_at", "id", "state", "email_status", "type", "updated_at"],
                name="support_tickets_of_account",
            ),
            # The back-office's list, its ages, the dashboard's days.
            models.Index(fields=["created_at", "id"], name="support_tickets_by_time"),
            *outbox_indexes("support_tickets"),
            # The queue: urgent first, then the oldest. The last columns answer tabs, filters and
            # the dashboard's open types from the index alone.
            models.Index(
                fields=[
                    "-priority",
                    "created_at",
                    "id",
                    "assignee",
                    "state",
                    "type",
                    "subscription_plan",
                ],
                name="support_tickets_unsolved",
                condition=Q(solved_at__isnull=True),
            ),
            # An agent's queue; what nobody has yet, as at a POST, is not in it.
            models.Index(
                fields=["assignee", "-priority", "created_at", "id"],
                name="support_tickets_mine",
                condition=Q(solved_at__isnull=True, assignee__isnull=False),
            ),
            # The list's filters, newest first, and their counts; the unsolved half has the above.
            *(
                models.Index(
                    fields=[field, "created_at", "id"],
                    name=f"support_tickets_solved_{name}",
                    condition=Q(solved_at__isnull=False),
                )
                for name, field in (
                    ("state", "state"),
                    ("type", "type"),
                    ("plan", "subscription_plan"),
                    ("prio", "priority"),
                )
            ),
            # What an agent solved, whatever it is combined with.
            models.Index(
                fields=[
                    "assignee",
                    "created_at",
                    "id",
                    "state",
                    "priority",
                    "type",
                    "subscription_plan",
                ],
                name="support_tickets_solved_by",
                condition=Q(solved_at__isnull=False),
            ),
            # What was only stored: a filter, a metric, resend_failed_emails --stored.
            models.Index(
                fields=["-created_at"],
                name="support_tickets_stored",
                condition=Q(email_status=EmailStatus.STORED),
            ),
            # The dashboard: solved each day, times to first response and to solution.
            models.Index(
                fields=["solved_at"],
                name="support_tickets_solved",
                condition=Q(solved_at__isnull=False),
            ),
            models.Index(
                fields=["first_replied_at"],
                name="support_tickets_replied",
                condition=Q(first_replied_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"


def outboxes() -> tuple[OutboxQuerySet[OutboxMessage], ...]:
    """Every table whose rows are mailed; a message goes first, for somebody waits."""
    return Message.objects.all(), Ticket.objects.all()


def locate(row: OutboxMessage) -> tuple[uuid.UUID, uuid.UUID | None]:
    """The ticket of a row that is mailed, and its message unless it is the ticket itself."""
    return (row.ticket_id, row.pk) if isinstance(row, Message) else (row.pk, None)
