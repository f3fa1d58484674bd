"""A ticket's whole way, from the database: how it came, attempts to mail it, all that was done.

Ids, times, outcomes and lengths; never what a customer or an agent wrote.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

from support.messages import Message
from support.models import Ticket
from support.outbox import EmailStatus, OutboxMessage
from support.timeline import EventKind


@dataclass(frozen=True)
class Step:
    """One thing that happened: `what` in words, `facts` for machines."""

    at: datetime
    kind: str  # ticket, message, attempt, inbound mail, act
    what: str
    facts: dict[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"at": self.at.isoformat()}


@dataclass(frozen=True)
class Trace:
    """How the ticket stands, and its steps, oldest first."""

    ticket: dict[str, object]
    steps: list[Step]


def find_trace(ticket_id: UUID) -> Trace | None:
    """The way of this ticket, in four statements; None where there is no such ticket."""
    ticket = Ticket.objects.select_related("user", "assignee").filter(pk=ticket_id).first()
    if ticket is None:
        return None
    steps = [_came(ticket), *_attempts(ticket, "the ticket's mail")]
    for message in ticket.messages.select_related("author"):
        steps += [_wrote(message), *_attempts(message, f"message {message.pk}")]
    steps += [*_mails(ticket), *_acts(ticket)]
    return Trace(_stands(ticket), sorted(steps, key=_to_the_millisecond))


def _to_the_millisecond(step: Step) -> datetime:
    """An attempt's time is no finer, and it comes behind the row that it was made for."""
    return step.at.replace(microsecond=step.at.microsecond // 1_000 * 1_000)


def _stands(ticket: Ticket) -> dict[str, object]:
    is_pending = ticket.email_status == EmailStatus.PENDING
    assignee = ticket.assignee.get_username() if ticket.assignee else None
    return {
        "id": str(ticket.pk),
        "state": ticket.state,
        "assignee": assignee,
        "email_status": ticket.email_status,
        "sent_at": _write(ticket.sent_at),
        "attempts": ticket.attempts,
        "next_attempt_at": _write(ticket.next_attempt_at) if is_pending else None,
        "leased_until": _write(ticket.leased_until),
        "last_error": ticket.last_error,
    }


def _write(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _came(ticket: Ticket) -> Step:
    by = ticket.stored_by_request
    key = f"{ticket.api_key_prefix} ({ticket.api_key_name})" if ticket.api_key_prefix else "none"
    return Step(
        ticket.created_at,
        "ticket",
        f"stored by {f'request {by}' if by else 'a request whose id was not kept'}: "
        f"account {ticket.user.get_username()}, key {key}, plan {ticket.subscription_plan}, "
        f"{len(ticket.message)} characters",
        {
            "request_id": by or None,
            "account_id": ticket.user_id,
            "key_prefix": ticket.api_key_prefix,
            "type": ticket.type,
            "has_idempotency_key": ticket.idempotency_key is not None,
            "customer_request_ids": ticket.request_ids,
        },
    )


def _attempts(row: OutboxMessage, name: str) -> Iterator[Step]:
    """The newest ones that the row keeps."""
    for entry in row.attempt_log:
        why = f": {entry['kind']} {entry['code']}, {entry['text']}" if entry["kind"] else ""
        yield Step(
            datetime.fromisoformat(entry["at"]),
            "attempt",
            f"{name} {'was accepted' if entry['outcome'] == 'sent' else 'was not accepted'} after "
            f"{entry['ms']} ms{why}",
            {"row_id": str(row.pk), **entry},
        )


def _wrote(message: Message) -> Step:
    who = message.author.get_username() if message.author else "the customer"
    by = f", request {message.stored_by_request}" if message.stored_by_request else ""
    return Step(
        message.created_at,
        "message",
        f"{who} wrote {len(message.text)} characters by {message.get_via_display()}{by}; "
        f"its mail is {message.email_status}"
        f"{f' ({message.last_error})' if message.last_error else ''}",
        {
            "id": str(message.pk),
            "via": message.via,
            "request_id": message.stored_by_request or None,
            "email_status": message.email_status,
            "sent_at": _write(message.sent_at),
            "delivered_at": _write(message.delivered_at),
            "attempts": message.attempts,
            "last_error": message.last_error,
        },
    )


def _mails(ticket: Ticket) -> Iterator[Step]:
    for mail in ticket.inbound_mails.order_by("received_at", "id"):
        yield Step(
            mail.received_at,
            "inbound mail",
            f"from {mail.sender or 'nobody'} by {mail.way}: {mail.outcome}"
            f"{f', {mail.reason}' if mail.reason else ''}",
            {
                "id": str(mail.pk),
                "outcome": mail.outcome,
                "message_id": str(mail.message_id) if mail.message_id else None,
                "settled_at": _write(mail.settled_at),
            },
        )


def _acts(ticket: Ticket) -> Iterator[Step]:
    for event in ticket.events.select_related("actor"):
        who = event.actor.get_username() if event.actor else "nobody"
        change = f" {event.before or 'nothing'} → {event.after or 'nothing'}"
        # A note is somebody's words; the other texts say why, in ours.
        why = f": {event.text}" if event.text and event.kind != EventKind.NOTE else ""
        yield Step(
            event.at,
            "act",
            f"{event.kind} by {who}{change if event.before or event.after else ''}{why}",
            {
                "act": event.kind,
                "actor": event.actor.get_username() if event.actor else None,
                "before": event.before,
                "after": event.after,
                "message_id": str(event.message_id) if event.message_id else None,
            },
        )
