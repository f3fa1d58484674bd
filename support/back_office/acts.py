"""What an agent does to a ticket: each is one POST, checked, done, told, and in the timeline."""

import time
from typing import TypeAlias
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.forms import Form
from django.http import Http404, HttpRequest, QueryDict

from ctxfy_support.ids import parse_id
from support.answering import SomethingHappenedError, find_news, write_reply
from support.back_office.agents import get_agent
from support.back_office.forms import BulkForm, NoteForm, ReplyForm, SaveViewForm, TriageForm
from support.back_office.queue import Queue
from support.delivery import attempts
from support.leaked_keys import find_leaked_keys, may_revoke, revoke
from support.mailboxes import is_mail_configured, is_sending_paused
from support.models import Message, SavedView, Ticket, TicketQuerySet, locate
from support.outbox import EmailStatus, OutboxQuerySet
from support.timeline import EventKind, TicketEvent, make_event
from support.triage import TicketState

SECONDS_FOR_SENDING = 10
# The context of a page that asks something before the act is done.
Question: TypeAlias = dict[str, object]

NO_BACKEND = "No mail backend is configured, so nothing can be sent."


def claim(request: HttpRequest, ticket: Ticket) -> Question | None:
    """Take the ticket; somebody else's only when the agent has said so, by that person's id.

    Return the context of the page that asks first, None when there is nothing to ask.
    """
    agent = get_agent(request)
    instead_of = request.POST.get("instead_of", "")
    expected = int(instead_of) if instead_of.isdecimal() and len(instead_of) < 16 else None
    if ticket.claim_for(agent, instead_of=expected):
        messages.success(request, "It is yours.")
        return None
    ticket.refresh_from_db()
    last = ticket.events.filter(kind__in=[EventKind.CLAIM, EventKind.ASSIGNEE]).last()
    return {"taken": ticket.assignee, "taken_at": last.at if last else None}


def release(request: HttpRequest, ticket: Ticket) -> None:
    """Give one's own ticket back to everybody."""
    Ticket.objects.filter(pk=ticket.pk, assignee=request.user.pk).change(
        get_agent(request), assignee=None
    )
    messages.success(request, "It is nobody's now.")


def triage(request: HttpRequest, ticket: Ticket) -> None:
    """Change what the agent changed in the form."""
    form = TriageForm(request.POST, agent=get_agent(request))
    if not form.is_valid():
        _tell(request, form)
        return
    changed = Ticket.objects.filter(pk=ticket.pk).change(get_agent(request), **form.changes())
    messages.success(request, "Saved." if changed else "Nothing to change.")


def note(request: HttpRequest, ticket: Ticket) -> None:
    form = NoteForm(request.POST)
    if not form.is_valid():
        _tell(request, form)
        return
    ticket.add_note(get_agent(request), form.cleaned_data["text"])
    messages.success(request, "The note is kept; the customer does not see it.")


def reply(request: HttpRequest, ticket: Ticket) -> Question | None:
    """Mail the customer; return the context that asks first where somebody else was here."""
    agent = get_agent(request)
    form = ReplyForm(request.POST)
    if not form.is_valid():
        _tell(request, form)
        return {"reply_text": request.POST.get("text", "")}
    text, seen = form.cleaned_data["text"], form.cleaned_data["seen"] or 0
    then = TicketState(form.cleaned_data["then"] or TicketState.WAITING)
    is_others = ticket.assignee_id not in (None, agent.pk)
    if is_others and not form.cleaned_data["confirmed"]:
        return _ask_first(text, then, find_news(ticket, agent, seen), is_others=True)
    inline = attempts.sends_inline()
    try:
        written = write_reply(ticket, agent, text, leased=inline, seen=seen, state=then)
    except SomethingHappenedError as news:
        return _ask_first(text, then, news.events, is_others=is_others)
    if written.email_status == EmailStatus.STORED:
        messages.success(request, "Your answer is kept: the customer reads it through the API.")
        return None
    failure = attempts.attempt(written) if inline else None
    if failure is None and inline:
        messages.success(request, f"Your answer went to {written.to}.")
    else:
        why = f" ({failure})" if failure else " once sending goes on" if is_sending_paused() else ""
        messages.warning(request, f"Your answer is kept and will be sent{why}.")
    return None


def _ask_first(
    text: str, then: TicketState, news: list[TicketEvent], *, is_others: bool
) -> Question:
    """`is_others`: the ticket is somebody else's."""
    by_customer = [event for event in news if event.message and not event.message.is_answer]
    return {
        "reply_text": text,
        "asks": True,
        "then": then.value,
        "news": news,
        "is_customers_news": bool(news) and len(by_customer) == len(news) and not is_others,
    }


def resend(request: HttpRequest, ticket: Ticket) -> None:
    """Send the ticket's mail again, or that of the message which is named."""
    rows: OutboxQuerySet[Ticket] | OutboxQuerySet[Message] = Ticket.objects.filter(pk=ticket.pk)
    if chosen := request.POST.get("reply"):
        rows = Message.objects.filter(ticket=ticket, pk=parse_id(chosen) or UUID(int=0))
    if not is_mail_configured():
        messages.error(request, NO_BACKEND)
        return
    sent, queued = send_again(get_agent(request), rows)
    if sent:
        messages.success(request, "The mail provider accepted it.")
    elif queued:
        messages.warning(request, "It is queued; the timeline says what becomes of it.")
    else:
        messages.info(request, "It was sent before, or is being sent right now.")


def revoke_key(request: HttpRequest, ticket: Ticket) -> Question | None:
    """End a key that stood in the ticket; return the context that asks first.

    Raises PermissionDenied for whoever may not do so on the page of keys, and Http404 for a key
    that did not stand there.
    """
    agent, chosen = get_agent(request), request.POST.get("key", "")
    if not may_revoke(agent):
        raise PermissionDenied
    key = next((key for key in find_leaked_keys(ticket) if str(key.pk) == chosen), None)
    if key is None:
        raise Http404
    if request.POST.get("confirmed") != "1":
        return {"revokes": key}
    revoke(ticket, agent, key)
    messages.success(request, f"{key.key_prefix}… stops working with its next request.")
    return None


def send_again(
    agent: AbstractUser, *queues: OutboxQuerySet[Ticket] | OutboxQuerySet[Message]
) -> tuple[int, list[Ticket | Message]]:
    """Queue what was not sent and, unless workers do it, send what a page has the time for.

    Tickets before replies, as everybody locks them. Return how many were sent, and what was
    queued, as it was.
    """
    with transaction.atomic():
        waiting: list[Ticket | Message] = [row for rows in queues for row in rows.queue_again()]
        events = []
        for row in waiting:
            ticket_id, message_id = locate(row)
            event = make_event(
                ticket_id, agent, EventKind.RESEND, row.email_status, message_id=message_id
            )
            events.append(event)
        TicketEvent.objects.bulk_create(events)
    sent = 0
    if settings.SUPPORT_EMAIL_DELIVERY == "inline":
        end = time.monotonic() + SECONDS_FOR_SENDING
        for rows in reversed(queues):
            sent += attempts.attempt_within(rows, end - time.monotonic())
    return sent, waiting


def bulk(request: HttpRequest, tickets: TicketQuerySet) -> None:
    """Do the same to every ticket that is ticked."""
    total = tickets.count()
    if not total:
        messages.warning(request, "No ticket is ticked.")
        return
    match request.POST.get("do"):
        case "claim":
            taken = sum(row.claim_for(get_agent(request), instead_of=None) for row in tickets)
            left = total - taken
            kept = f" {left} stayed with whoever has them." if left else ""
            messages.success(request, f"{taken} taken.{kept}")
        case "send":
            if not is_mail_configured():
                messages.error(request, NO_BACKEND)
                return
            answers = Message.objects.filter(ticket__in=tickets.order_by().values("pk"))
            sent, queued = send_again(get_agent(request), tickets, answers)
            touched = {locate(row)[0] for row in queued}
            messages.success(
                request,
                f"{sent} sent, {len(queued) - sent} queued, {total - len(touched)} left alone "
                "(sent before, or being sent right now).",
            )
        case _:
            form = BulkForm(request.POST, agent=get_agent(request))
            if not form.is_valid():
                _tell(request, form)
                return
            changed = tickets.change(get_agent(request), **form.changes())
            messages.success(request, f"{changed} of {total} changed.")


def save_view(request: HttpRequest) -> None:
    """Keep the filters under a name, for oneself or, as a supervisor, for everybody."""
    agent = get_agent(request)
    form = SaveViewForm(request.POST)
    if not form.is_valid():
        messages.error(request, "A view needs a name of at most 60 characters.")
        return
    name, shared = form.cleaned_data["name"], form.cleaned_data["shared"]
    owner_id: int | None = agent.pk
    query = Queue(agent, QueryDict(form.cleaned_data["query"])).query_string(order=None)
    if shared and agent.has_perm("support.add_savedview"):
        owner_id = None
    SavedView.objects.create(name=name, query=query[:1000], owner_id=owner_id)
    messages.success(request, f"The view “{name}” is saved.")


def remove_view(request: HttpRequest, view_id: int) -> None:
    """Drop a view of one's own; raise Http404 for anybody else's."""
    if not SavedView.objects.filter(pk=view_id, owner=request.user.pk).delete()[0]:
        raise Http404
    messages.success(request, "The view is gone.")


def _tell(request: HttpRequest, form: Form) -> None:
    for name, errors in form.errors.items():
        for error in errors:
            messages.error(request, f"{name.replace('_', ' ').capitalize()}: {error}")
