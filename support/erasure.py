"""The end of all that somebody wrote to us, and of their name in what others wrote.

Traces go first and tickets last, for only the tickets know the addresses to look for: whoever kills
a run in the middle finds them there again.
"""

import time
from collections.abc import Collection, Iterator
from datetime import timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower

from ctxfy_support.personal_data import Counts, InUseError, Traces, find_full_name
from support.mailboxes import find_mailbox
from support.messages import Via
from support.models import CannedReply, InboundMail, Message, SavedView, Tag, Ticket, TicketEvent
from support.outbox import lease_duration
from support.removal import count_all, remove_tickets

# Beyond the longest that a sender may hold a mail: its batch, and a moment.
PATIENCE = timedelta(seconds=10)
LOOK_AGAIN_SECONDS = 0.5
# Of a timeline's entry.
TEXTS = ("before", "after", "text")
ASKED_AT_ONCE = 1_000


def find_mailboxes(user: AbstractUser) -> set[str]:
    """The mailboxes by which a person is known, in small letters: those of no other account too."""
    mine = Ticket.objects.filter(user=user.pk).order_by()
    texts = {*mine.values_list("reply_address", flat=True).distinct(), user.email}
    known = sorted(text.lower() for text in texts if find_mailbox(text))
    found = set(known)
    for start in range(0, len(known), ASKED_AT_ONCE):
        some = known[start : start + ASKED_AT_ONCE]
        for rows, column in (
            (Ticket.objects.exclude(user=user.pk).order_by(), "reply_address"),
            (get_user_model()._default_manager.exclude(pk=user.pk), "email"),
        ):
            folded = rows.annotate(folded=Lower(column)).filter(folded__in=some)
            found.difference_update(folded.values_list("folded", flat=True).distinct())
    return found


def find_loose_mails(mailboxes: Collection[str]) -> Iterator[InboundMail]:
    """Mails from one of these mailboxes that belong to no ticket."""
    mails = InboundMail.objects.filter(ticket=None)
    for mail, _ in Traces([], mailboxes).find(mails, "sender"):
        yield mail


def erase(user: AbstractUser, *, dry_run: bool) -> Iterator[Counts]:
    """A step of settings.ERASURES; waits for what is being sent, and raises InUseError after."""
    tickets = Ticket.objects.filter(user=user.pk)
    until = time.monotonic() + (lease_duration() + PATIENCE).total_seconds()
    yield from _erase_traces(user, dry_run=dry_run)
    if dry_run:
        yield count_all(tickets)
        return
    while True:
        yield from remove_tickets(tickets, "created_at")
        if not tickets.exists():
            return
        if time.monotonic() > until:
            raise InUseError(f"{tickets.count()} of their tickets are in use or being sent")
        time.sleep(LOOK_AGAIN_SECONDS)


def _erase_traces(user: AbstractUser, *, dry_run: bool) -> Iterator[Counts]:
    """Mails that wait for a ticket, and every place where an agent has named the person."""
    mailboxes = find_mailboxes(user)
    mails = [mail.pk for mail in find_loose_mails(mailboxes)]
    yield {"mails without a ticket": len(mails)}
    views = SavedView.objects.filter(owner=user.pk)
    yield {"saved views": views.count()}
    if not dry_run:
        InboundMail.objects.filter(pk__in=mails, ticket=None).delete()
        views.delete()
    named = _blank(user, mailboxes, dry_run=dry_run)
    yield {"places where they were named": named}


def _blank(user: AbstractUser, mailboxes: Collection[str], *, dry_run: bool) -> int:
    """Take the person out of what agents wrote elsewhere; other customers' own words stay.

    The account's name may be a word of every day: in what all agents share, and in answers that
    went to others, addresses and the full name are looked for alone.
    """
    full_name = find_full_name(user)
    everything = Traces([user.get_username(), *full_name], mailboxes)
    telling = Traces(full_name, mailboxes)
    log = LogEntry.objects.all()
    answers = Message.objects.filter(via=Via.BACK_OFFICE)
    places: list[tuple[Traces, models.QuerySet[models.Model], tuple[str, ...]]] = [
        (everything, TicketEvent.objects.exclude(ticket__user=user.pk), TEXTS),
        (everything, SavedView.objects.all(), ("name", "query")),
        (everything, log, ("object_repr",)),
        # The others are JSON, of names of fields.
        (everything, log.exclude(change_message__startswith="["), ("change_message",)),
        (telling, answers.exclude(ticket__user=user.pk), ("text",)),
        (telling, CannedReply.objects.all(), ("text",)),
    ]
    return _rename(telling, dry_run=dry_run) + sum(
        traces.blank(rows, *columns, dry_run=dry_run) for traces, rows, columns in places
    )


def _rename(traces: Traces, *, dry_run: bool) -> int:
    """Names that no two rows may share get a number."""
    count = 0
    for model in (Tag, CannedReply):
        for row, cleared in traces.find(model._default_manager.all(), "name"):
            count += 1
            longest = model._meta.get_field("name").max_length or 0
            name = f"{cleared['name'][: longest - 12]} {row.pk}"
            if not dry_run:
                model._default_manager.filter(pk=row.pk).update(name=name)
    return count
