"""What tickets hold of the person who wrote them, for that person; batch by batch.

What agents noted of them is theirs too. Who the agents were is not: an entry says "support".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from ctxfy_support.personal_data import Part
from support.erasure import find_loose_mails, find_mailboxes
from support.inbound_mail import InboundMail
from support.messages import Message, Via
from support.models import Ticket
from support.timeline import EventKind, TicketEvent
from support.triage import Priority

BATCH = 100
TICKET = (
    *("id", "created_at", "updated_at", "type", "reply_address", "message", "request_ids"),
    *("context", "subscription_plan", "token_balance", "api_key_prefix", "api_key_name"),
    *("idempotency_key", "state", "first_replied_at", "solved_at"),
)
MAIL = ("email_status", "sent_at", "attempt_log")
MESSAGE = (
    *("id", "created_at", "via", "to", "sender", "text", "quoted", "attachments"),
    *("idempotency_key", "delivered_at"),
)
INBOUND = (
    *("id", "received_at", "way", "outcome", "reason", "sender", "recipient", "subject", "text"),
    *("quoted", "attachments", "raw"),
)
ENTRY = ("at", "actor_id", "kind", "before", "after", "text")
# Their labels name agents, or the owner of a key.
NAMELESS = {EventKind.ASSIGNEE, EventKind.CLAIM, EventKind.REVOKE}

# A row, by its columns' names.
Row: TypeAlias = dict[str, Any]


def export(user: AbstractUser) -> Iterator[Part]:
    """Tickets, each with its thread, timeline and mails; then mails that belong to none."""
    yield "tickets", _tickets(user)
    loose = find_loose_mails(find_mailboxes(user))
    yield (
        "mails_without_ticket",
        ({name: getattr(mail, name) for name in INBOUND} for mail in loose),
    )


def _tickets(user: AbstractUser) -> Iterator[Row]:
    columns = (*TICKET, *MAIL, "priority")
    of_account = Ticket.objects.filter(user=user.pk).order_by("created_at", "pk").values(*columns)
    following = Q()
    # Rows, not instances: those refer to each other, and stay in memory until somebody looks.
    while tickets := list(of_account.filter(following)[:BATCH]):
        messages, entries, mails, tags = _find_parts([row["id"] for row in tickets])
        for ticket in tickets:
            pk = ticket["id"]
            yield {
                **_pick(ticket, TICKET),
                "priority": Priority(ticket["priority"]).label,
                "tags": [row["tag__name"] for row in tags[pk]],
                "mail": _pick(ticket, MAIL),
                "messages": [_describe_message(row) for row in messages[pk]],
                "timeline": [_describe_entry(row, user) for row in entries[pk]],
                "mails_that_came_in": [_pick(row, INBOUND) for row in mails[pk]],
            }
        moment, pk = tickets[-1]["created_at"], tickets[-1]["id"]
        is_later = Q(created_at__gt=moment) | Q(created_at=moment, pk__gt=pk)
        following = Q(created_at__gte=moment) & is_later


def _find_parts(ids: list[UUID]) -> list[defaultdict[UUID, list[Row]]]:
    """Messages, timeline entries, mails and tags of each of these tickets, in their order."""
    queries = [
        (Message.objects.order_by("created_at", "pk"), (*MESSAGE, *MAIL)),
        (TicketEvent.objects.order_by("pk"), ENTRY),
        (InboundMail.objects.order_by("pk"), INBOUND),
        (Ticket.tags.through._default_manager.order_by("tag__name"), ("tag__name",)),
    ]
    parts = []
    for rows, names in queries:
        found: defaultdict[UUID, list[Row]] = defaultdict(list)
        for row in rows.filter(ticket__in=ids).values("ticket_id", *names).iterator():
            found[row["ticket_id"]].append(row)
        parts.append(found)
    return parts


def _pick(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names}


def _describe_message(row: Row) -> Row:
    author = "support" if row["via"] == Via.BACK_OFFICE else "customer"
    return {**_pick(row, MESSAGE), "author": author, "mail": _pick(row, MAIL)}


def _describe_entry(row: Row, user: AbstractUser) -> Row:
    by = {user.pk: "customer", None: ""}.get(row["actor_id"], "support")
    labels = {} if row["kind"] in NAMELESS else _pick(row, ("before", "after"))
    return {"at": row["at"], "by": by, "kind": row["kind"], **labels, "text": row["text"]}
