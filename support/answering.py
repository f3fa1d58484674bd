"""Answering a customer: what writes a reply, moves its ticket and keeps the timeline, all at once.

Nothing but an agent's deliberate act makes a reply, and it goes to one mailbox: the ticket's.
"""

import re
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from support.failures import Failure, FailureKind
from support.mailboxes import is_email_address, is_mail_configured
from support.messages import Via
from support.models import CannedReply, Message, Ticket, TicketEvent, TicketState, locate
from support.outbox import (
    ATTEMPTS_KEPT,
    AttemptEntry,
    EmailStatus,
    OutboxMessage,
    in_lock_order,
)
from support.timeline import EventKind, make_event
from support.triage import DONE

LONGEST_ERROR = 200


class SomethingHappenedError(Exception):
    """Somebody answered or took the ticket since the agent looked; `events` says what."""

    def __init__(self, events: list[TicketEvent]) -> None:
        super().__init__("the ticket's timeline has grown")
        self.events = events


def can_be_mailed(ticket: Ticket) -> bool:
    """Whether an answer goes out; else it is only stored, and the customer reads it by the API."""
    return is_mail_configured() and is_email_address(ticket.reply_address)


def write_reply(
    ticket: Ticket,
    agent: AbstractUser,
    text: str,
    *,
    leased: bool,
    state: TicketState = TicketState.WAITING,
    seen: int | None = None,
) -> Message:
    """Store an answer with its timeline entry; the ticket's state is then `state`.

    `leased`: the caller sends it itself, at once. `seen`: the newest timeline entry that the
    agent knows; raise SomethingHappenedError where a message, or anybody's claim, came after it.
    """
    is_mailed = can_be_mailed(ticket)
    reply = Message(
        ticket=ticket,
        via=Via.BACK_OFFICE,
        author_id=agent.pk,
        text=text,
        to=ticket.reply_address,
        email_status=EmailStatus.PENDING if is_mailed else EmailStatus.STORED,
    )
    now = timezone.now()
    solved_at = Coalesce("solved_at", models.Value(now)) if state in DONE else None
    tickets = Ticket.objects.filter(pk=ticket.pk)
    with transaction.atomic():
        before = in_lock_order(tickets).values_list("state", flat=True).get()
        # Under the row's lock: of two answers that are sent at once, the second is asked.
        if seen is not None and (news := find_news(ticket, agent, seen)):
            raise SomethingHappenedError(news)
        Message.objects.append(reply, leased=leased)
        tickets.update(
            state=state,
            solved_at=solved_at,
            first_replied_at=Coalesce("first_replied_at", models.Value(now)),
            updated_at=now,
        )
        events = [
            make_event(ticket.pk, agent, EventKind.REPLY, after=reply.to, message_id=reply.pk)
        ]
        if before != state:
            events.append(make_event(ticket.pk, agent, EventKind.STATE, before, state))
        TicketEvent.objects.bulk_create(events)
    return reply


def record_failure(reply: Message, failure: Failure, entry: AttemptEntry) -> bool:
    """Record that an answer's mail did not go out; False if the lease was not ours any more.

    One that is given up takes its ticket back to `open`, in the same transaction: whoever dies
    before its end leaves a leased row that is tried again, and nothing is told twice.
    """
    was_failed = reply.email_status == EmailStatus.FAILED
    tickets = Ticket.objects.filter(pk=reply.ticket_id)
    with transaction.atomic():
        before = in_lock_order(tickets).values_list("state", flat=True).get()
        if not reply.mark_failure(failure, entry):
            return False
        if reply.email_status == EmailStatus.FAILED and not was_failed:
            tickets.update(state=TicketState.OPEN, solved_at=None, updated_at=timezone.now())
            make_event(
                reply.ticket_id,
                None,
                EventKind.FAILURE,
                before,
                TicketState.OPEN,
                text=str(failure),
                message_id=reply.pk,
            ).save()
    return True


def record_bounce(
    row: OutboxMessage, reason: str, *, code: str = "", at: datetime | None = None
) -> bool:
    """Record that a mail which the provider had accepted came back; False if that is known.

    `at`: when, where whoever tells it tells it again. An answer takes its ticket back to `open`,
    as one that is given up does. What is still being sent, or is sent again, is left alone.
    """
    ticket_id, message_id = locate(row)
    tickets = Ticket.objects.filter(pk=ticket_id)
    rows = type(row)._default_manager.filter(pk=row.pk)
    told_at = (at or timezone.now()).isoformat(timespec="milliseconds")
    with transaction.atomic():
        ticket = in_lock_order(tickets).get()
        row = in_lock_order(rows).get()
        is_known = any(entry["at"] == told_at for entry in row.attempt_log)
        if row.email_status != EmailStatus.SENT or is_known:
            return False
        entry: AttemptEntry = {
            "at": told_at,
            "ms": 0,
            "outcome": "failed",
            "kind": FailureKind.MESSAGE,
            "code": code,
            "text": f"Bounced: {reason}",
        }
        rows.update(
            email_status=EmailStatus.FAILED,
            sent_at=None,
            last_error=f"Bounced: {reason}"[:LONGEST_ERROR],
            attempt_log=[*row.attempt_log, entry][-ATTEMPTS_KEPT:],
            updated_at=timezone.now(),
        )
        is_answer = isinstance(row, Message) and row.is_answer
        state = TicketState.OPEN if is_answer else ticket.state
        if is_answer:
            tickets.update(state=state, solved_at=None, updated_at=timezone.now())
        make_event(
            ticket.pk,
            None,
            EventKind.BOUNCE,
            ticket.state,
            state,
            text=reason,
            message_id=message_id,
        ).save()
    return True


def find_news(ticket: Ticket, agent: AbstractUser, seen: int) -> list[TicketEvent]:
    """What was written since entry `seen`, by the agent too (a second click), and others' acts."""
    since = TicketEvent.objects.filter(ticket=ticket, id__gt=seen)
    since = since.select_related("actor", "message")
    kinds = [EventKind.CLAIM, EventKind.ASSIGNEE, EventKind.STATE]
    others = Q(kind__in=kinds) & ~Q(actor=agent.pk)
    return list(since.filter(Q(kind__in=[EventKind.REPLY, EventKind.MESSAGE]) | others))


def fill_in(canned: CannedReply, ticket: Ticket, agent: AbstractUser) -> str:
    """The canned reply's text for this ticket; an unknown placeholder stays, for all to see."""
    values = {
        "account": ticket.user.get_full_name() or ticket.user.get_username(),
        "agent": agent.get_full_name() or agent.get_username(),
        "ticket": str(ticket.pk),
        "type": ticket.type,
        "plan": ticket.subscription_plan,
        "received": f"{ticket.created_at:%-d %B %Y}",
    }
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: values.get(found[1], found[0]), canned.text)
