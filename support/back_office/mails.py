"""Mail without a ticket: what waits, oldest first, and what an agent makes of it."""

import re
from collections import defaultdict
from typing import NamedTuple
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.db.models.functions import Left, Lower
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from ctxfy_support.ids import parse_id
from support.back_office.agents import get_agent
from support.back_office.tabs import TAB_COUNT_LIMIT, count_up_to
from support.delivery import attempts
from support.hearing import TicketClosedError
from support.inbound_mail import InboundMail, Outcome
from support.models import Ticket, TicketState
from support.templatetags.back_office import long_age, shown_name
from support.unmatched_mail import AlreadySettledError, attach, discard, restore

LIST = "admin:support_ticket_mail"
PER_PAGE = 20
TEXTS = ("text", "quoted", "raw")
CHARACTERS_SHOWN = 20_000
# Tickets to suggest are looked for among so many of the newest, and shown for one sender.
RECENT_TICKETS = 5_000
MOST_SUGGESTED = 200
SUGGESTED = 3
OPENING_CHARACTERS = 300
UUID_IN_A_LINK = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Row(NamedTuple):
    """A mail, with no more of its texts than a page shows, and tickets that it may belong to."""

    mail: InboundMail
    texts: dict[str, str]
    is_cut: bool
    suggestions: list[Ticket]


def count_waiting(limit: int = TAB_COUNT_LIMIT) -> int:
    """How many wait; limit + 1 stands for any number above the limit."""
    return count_up_to(waiting(), limit)


def waiting() -> QuerySet[InboundMail]:
    return InboundMail.objects.filter(outcome=Outcome.UNMATCHED).order_by("received_at", "id")


def show_mails(request: HttpRequest) -> HttpResponse:
    """`?after=<id>` goes on behind that mail; `?discarded=<id>` offers to put that one back."""
    after = _find_mail(request.GET.get("after", ""))
    mails = _page(after)
    discarded = _find_mail(request.GET.get("discarded", ""))
    is_discarded = discarded is not None and discarded.outcome == Outcome.DISCARDED
    context = {
        **admin.site.each_context(request),
        "title": "Mail without a ticket",
        "rows": _make_rows(mails[:PER_PAGE]),
        "next": mails[PER_PAGE - 1].pk if len(mails) > PER_PAGE else None,
        "is_first": after is None,
        "discarded": discarded if is_discarded else None,
        "count": count_waiting(),
        "count_limit": TAB_COUNT_LIMIT,
        "can_change": request.user.has_perm("support.change_ticket"),
        "is_fullwidth": "1",
    }
    return TemplateResponse(request, "admin/support/ticket/mails.html", context)


def _find_mail(text: str) -> InboundMail | None:
    mail_id = parse_id(text)
    rows = InboundMail.objects.select_related("settled_by").defer(*TEXTS)
    return rows.filter(pk=mail_id).first() if mail_id else None


def _page(after: InboundMail | None) -> list[InboundMail]:
    """One page and one mail more; behind `after`, wherever that one is by now."""
    texts = {f"shown_{name}": Left(name, CHARACTERS_SHOWN + 1) for name in TEXTS}
    mails = waiting().annotate(**texts).defer(*TEXTS)
    if after is not None:
        # The first half says nothing new, but lets the index start there.
        mails = mails.filter(Q(received_at__gte=after.received_at), _is_beyond(after, "gt"))
    return list(mails[: PER_PAGE + 1])


def _is_beyond(mail: InboundMail, step: str) -> Q:
    """The condition on mails behind this one in the list (`gt`), or before it (`lt`)."""
    further = Q(**{f"received_at__{step}": mail.received_at})
    return further | Q(**{"received_at": mail.received_at, f"id__{step}": mail.pk})


def _make_rows(mails: list[InboundMail]) -> list[Row]:
    """With each mail the ticket that it was sent to, and recent ones of its sender's address.

    A fixed number of statements, which read no more than the newest tickets.
    """
    of_address, by_id = _find_suggestions(mails)
    rows = []
    for mail in mails:
        texts = {name: str(getattr(mail, f"shown_{name}")) for name in TEXTS}
        own = [by_id[mail.ticket_id]] if mail.ticket_id else []
        theirs = of_address.get(mail.sender.lower(), [])
        others = [ticket for ticket in theirs if ticket.pk != mail.ticket_id]
        rows.append(
            Row(
                mail,
                {name: text[:CHARACTERS_SHOWN] for name, text in texts.items()},
                any(len(text) > CHARACTERS_SHOWN for text in texts.values()),
                [*own, *others][:SUGGESTED],
            )
        )
    return rows


def _find_suggestions(
    mails: list[InboundMail],
) -> tuple[dict[str, list[Ticket]], dict[UUID, Ticket]]:
    """Recent tickets by the address that they are answered to, and by id what mails were sent to.

    Addresses are in lower case.
    """
    shown = Ticket.objects.annotate(opening=Left("message", OPENING_CHARACTERS)).defer(
        "message", "attempt_log", "context"
    )
    of_address: dict[str, list[Ticket]] = defaultdict(list)
    senders = {mail.sender.lower() for mail in mails if mail.sender}
    newest = shown.order_by("-created_at", "-id")
    recent = newest.alias(address=Lower("reply_address")).filter(address__in=senders)
    recent = recent.exclude(state=TicketState.CLOSED)
    bound = Ticket.objects.order_by("-created_at", "-id").values_list("created_at", flat=True)
    for since in bound[RECENT_TICKETS - 1 : RECENT_TICKETS] if senders else ():
        recent = recent.filter(created_at__gte=since)
    for ticket in recent[:MOST_SUGGESTED] if senders else ():
        of_address[ticket.reply_address.lower()].append(ticket)
    named = [mail.ticket_id for mail in mails if mail.ticket_id]
    by_id = {ticket.pk: ticket for ticket in shown.filter(pk__in=named)} if named else {}
    return of_address, by_id


# --- Acts ----------------------------------------------------------------------------------------


def attach_mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    """To the ticket whose button was pressed, or whose id or link was typed."""
    mail = get_mail(mail_id)
    ticket_id = _find_ticket_id(request.POST.get("ticket") or request.POST.get("typed", ""))
    if ticket_id is None:
        messages.error(request, "Paste a ticket's id, or the address of its page.")
        return _back(mail)
    inline = attempts.sends_inline()
    try:
        message = attach(mail, ticket_id, get_agent(request), leased=inline)
    except Ticket.DoesNotExist:
        messages.error(request, f"There is no ticket {ticket_id}.")
        return _back(mail)
    except TicketClosedError:
        messages.error(request, "That ticket is closed. Open it again first, or choose another.")
        return _back(mail)
    except AlreadySettledError as settled:
        return _tell_settled(request, settled.mail)
    if inline:
        attempts.attempt(message)
    url = reverse("admin:support_ticket_change", args=[ticket_id])
    done = 'It is a message of <a class="cx-link cx-within" href="{}">that ticket</a> now.'
    messages.success(request, format_html(done, url))
    return HttpResponseRedirect(reverse(LIST))


def discard_mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    mail = get_mail(mail_id)
    try:
        discard(mail, get_agent(request))
    except AlreadySettledError as settled:
        return _tell_settled(request, settled.mail)
    return HttpResponseRedirect(f"{reverse(LIST)}?discarded={mail.pk}")


def restore_mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    mail = get_mail(mail_id)
    try:
        restore(mail)
    except AlreadySettledError as settled:
        return _tell_settled(request, settled.mail)
    messages.success(request, "It waits again, where it was.")
    return HttpResponseRedirect(reverse(LIST))


def get_mail(mail_id: str) -> InboundMail:
    """The mail with this id; raise Http404 where there is none."""
    mail = _find_mail(mail_id)
    if mail is None:
        raise Http404
    return mail


def _find_ticket_id(text: str) -> UUID | None:
    found = UUID_IN_A_LINK.search(text[:2_000])
    return UUID(found[0]) if found else None


def _back(mail: InboundMail) -> HttpResponseRedirect:
    """To the page of the list that begins with this mail."""
    before = waiting().filter(Q(received_at__lte=mail.received_at), _is_beyond(mail, "lt"))
    last = before.order_by("-received_at", "-id").values_list("pk", flat=True).first()
    return HttpResponseRedirect(reverse(LIST) + (f"?after={last}" if last else ""))


def _tell_settled(request: HttpRequest, mail: InboundMail) -> HttpResponseRedirect:
    """Somebody else was faster, or this is a second click."""
    what = {
        Outcome.STORED.value: "attached it to a ticket",
        Outcome.DISCARDED.value: "discarded it",
    }.get(mail.outcome, "put it back")
    is_own = mail.settled_by is not None and mail.settled_by.pk == get_agent(request).pk
    who = "You" if is_own else shown_name(mail.settled_by)
    when = f" {long_age(mail.settled_at)} ago" if mail.settled_at else ""
    messages.warning(request, f"{who} {what}{when}. Nothing was changed.")
    return HttpResponseRedirect(reverse(LIST))
