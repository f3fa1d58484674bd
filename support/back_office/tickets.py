"""Tickets in the back-office: the queue, the ticket's page, and where their forms go."""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import TypeAlias
from urllib.parse import quote

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
    QueryDict,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from ctxfy_support.ids import parse_id
from ctxfy_support.log_context import note
from support.back_office import acts, mails
from support.back_office.agents import get_agent, list_agents
from support.back_office.export import Export
from support.back_office.page import get_canned_text, make_context
from support.back_office.queue import CHOICES, PER_PAGE, Queue
from support.back_office.tabs import COUNT_LIMIT, TAB_COUNT_LIMIT, TABS
from support.back_office.thread import find_last_messages
from support.models import SavedView, Tag, Ticket, TicketState
from support.saved_views import MOST_VIEWS
from support.triage import Priority

LIST = "admin:support_ticket_changelist"
PAGE = "admin:support_ticket_change"

View: TypeAlias = Callable[..., HttpResponseBase]
# What an act returns: the context of a page that asks something first, or None when it is done.
Act = Callable[[HttpRequest, Ticket], acts.Question | None]


def allow(permission: str, *methods: str) -> Callable[[View], View]:
    """Keep a view to these methods and to those who have `support.<permission>_ticket`.

    Whoever comes by GET to what takes forms alone is led back: a log-in does so, when the session
    ended before the form was sent.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if request.method in {"GET", "HEAD"} and request.method not in methods:
                return lead_back(request, kwargs)
            if not request.user.has_perm(f"support.{permission}_ticket"):
                raise PermissionDenied
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def lead_back(request: HttpRequest, names: Mapping[str, object]) -> HttpResponseRedirect:
    """To the page of what the address names, a ticket or a mail, else to the queue."""
    messages.warning(request, "Nothing was sent or changed. Send it again.")
    if "mail_id" in names:
        return HttpResponseRedirect(reverse(mails.LIST))
    ticket_id = parse_id(str(names.get("object_id", "")))
    if ticket_id is None:
        return HttpResponseRedirect(reverse(LIST))
    queue = quote(request.GET.get("queue", ""))
    return HttpResponseRedirect(f"{reverse(PAGE, args=[ticket_id])}?queue={queue}")


# --- Pages ---------------------------------------------------------------------------------------


@allow("view", "GET", "HEAD")
def show_queue(request: HttpRequest) -> HttpResponse:
    agent = get_agent(request)
    queue = Queue(agent, request.GET)
    rows = queue.rows()
    context = {
        **admin.site.each_context(request),
        "title": "Tickets",
        "queue": queue,
        "rows": rows,
        "last_messages": find_last_messages(rows),
        "tabs": TABS,
        "tab_counts": queue.tab_counts(),
        "tab_limit": TAB_COUNT_LIMIT,
        "count_limit": COUNT_LIMIT,
        "choices": CHOICES,
        "recent": queue.recent_choices(),
        "agents": list_agents(),
        "all_tags": Tag.objects.all()[:100],
        "states": TicketState.choices,
        "priorities": Priority.choices,
        "views": SavedView.objects.visible_to(agent)[:MOST_VIEWS],
        "can_change": agent.has_perm("support.change_ticket"),
        "can_export": agent.has_perm("support.export_ticket"),
        "can_share": agent.has_perm("support.add_savedview"),
        "is_fullwidth": "1",
    }
    return TemplateResponse(request, "admin/support/ticket/queue.html", context)


@allow("view", "GET", "HEAD")
def show_ticket(request: HttpRequest, object_id: str) -> HttpResponse:
    """The ticket's page. Nothing is posted here: every act has an address of its own.

    `?canned=<id>` puts a canned reply into the box, for browsers without script. `?before=<id>`
    shows what came before that entry of the timeline.
    """
    ticket, chosen = get_ticket(object_id), _find_number(request, "canned")
    extra: dict[str, object] = {}
    if chosen is not None and request.user.has_perm("support.reply_ticket"):
        extra["reply_text"] = get_canned_text(chosen, ticket, get_agent(request))
    before = _find_number(request, "before")
    return _show(request, ticket, request.GET.get("queue", ""), extra, before=before)


def _find_number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 16 else None


@allow("reply", "GET", "HEAD")
def show_canned(request: HttpRequest, object_id: str, canned_id: int) -> JsonResponse:
    """A canned reply's text for this ticket, which the page's script puts into the box."""
    text = get_canned_text(canned_id, get_ticket(object_id), get_agent(request))
    return JsonResponse({"text": text})


def _show(
    request: HttpRequest,
    ticket: Ticket,
    queue: str,
    extra: Mapping[str, object],
    *,
    before: int | None = None,
) -> TemplateResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Ticket",
        "can_change": request.user.has_perm("support.change_ticket"),
        "can_reply": request.user.has_perm("support.reply_ticket"),
        "is_fullwidth": "1",
        **make_context(get_agent(request), ticket, queue, before=before),
        **extra,
    }
    return TemplateResponse(request, "admin/support/ticket/page.html", context)


def get_ticket(object_id: str) -> Ticket:
    """The ticket with this id as its page shows it; raise Http404 where there is none."""
    ticket_id = parse_id(object_id)
    tickets = Ticket.objects.select_related("user", "assignee").prefetch_related("tags")
    ticket = tickets.filter(pk=ticket_id).first() if ticket_id else None
    if ticket is None:
        raise Http404
    note(ticket_id=str(ticket.pk))
    return ticket


# --- Acts ----------------------------------------------------------------------------------------


def act_on(request: HttpRequest, object_id: str, act: Act) -> HttpResponse:
    """Do it and go back to the page; where the act asks something first, show that."""
    ticket = get_ticket(object_id)
    queue = request.POST.get("queue", "")
    question = act(request, ticket)
    if question is not None:
        return _show(request, get_ticket(object_id), queue, question)
    if request.POST.get("next") == "list":
        return to_queue(request)
    return HttpResponseRedirect(f"{reverse(PAGE, args=[ticket.pk])}?queue={quote(queue)}")


def to_queue(request: HttpRequest) -> HttpResponseRedirect:
    """Back to the list that the form came from."""
    query = QueryDict(request.POST.get("queue", "")).urlencode()
    return HttpResponseRedirect(f"{reverse(LIST)}?{query}")


@allow("change", "POST")
def change_many(request: HttpRequest) -> HttpResponse:
    ids = [parse_id(text) for text in request.POST.getlist("tickets")[:PER_PAGE]]
    acts.bulk(request, Ticket.objects.filter(pk__in=[pk for pk in ids if pk]))
    return to_queue(request)


@allow("export", "POST")
def export_queue(request: HttpRequest) -> StreamingHttpResponse:
    """The list's tickets as CSV; `X-Ticket-Count` lets the page show how far it is.

    The count is in the file's name too: whoever has the file alone can see whether it is whole.
    """
    agent = get_agent(request)
    queue = Queue(agent, QueryDict(request.POST.get("queue", "")))
    export = Export(queue, agent)
    count = f"more than {COUNT_LIMIT}" if export.count is None else str(export.count)
    LogEntry.objects.create(
        user_id=agent.pk,
        content_type=ContentType.objects.get_for_model(Ticket),
        object_repr=f"{count} tickets",
        action_flag=CHANGE,
        change_message=f"Exported: {queue.query_string()}"[:2000],
    )
    response = StreamingHttpResponse(export.lines(), content_type="text/csv; charset=utf-8")
    name = f"{count.replace(' ', '-')}-tickets-{timezone.now():%Y-%m-%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Ticket-Count"] = "" if export.count is None else str(export.count)
    return response


@allow("view", "POST")
def save_view(request: HttpRequest) -> HttpResponse:
    acts.save_view(request)
    return to_queue(request)


@allow("view", "POST")
def remove_view(request: HttpRequest, view_id: int) -> HttpResponse:
    acts.remove_view(request, view_id)
    return to_queue(request)


# --- The admin's part ----------------------------------------------------------------------------

# Address -> what it does, and the permission that it needs.
ACTS: dict[str, tuple[Act, str]] = {
    "claim": (acts.claim, "change"),
    "release": (acts.release, "change"),
    "triage": (acts.triage, "change"),
    "note": (acts.note, "change"),
    "reply": (acts.reply, "reply"),
    "resend": (acts.resend, "change"),
    "revoke_key": (acts.revoke_key, "view"),
}


# What an agent makes of a mail without a ticket.
MAIL_ACTS: dict[str, View] = {
    "attach": mails.attach_mail,
    "discard": mails.discard_mail,
    "restore": mails.restore_mail,
}


@admin.register(Ticket)
class TicketAdmin(ModelAdmin):
    """Nobody adds, deletes or rewrites a ticket here; agents move triage, and answer."""

    def get_urls(self) -> list[URLPattern]:
        def place(route: str, view: View, name: str) -> URLPattern:
            checked: View = self.admin_site.admin_view(view)
            return path(route, checked, name=f"support_ticket_{name}")

        return [
            place("bulk/", change_many, "bulk"),
            place("export/", export_queue, "export"),
            place("<str:object_id>/canned/<int:canned_id>/", show_canned, "canned"),
            place("mail/", allow("view", "GET", "HEAD")(mails.show_mails), "mail"),
            *(
                place(f"mail/<str:mail_id>/{name}/", allow("change", "POST")(act), f"mail_{name}")
                for name, act in MAIL_ACTS.items()
            ),
            place("views/", save_view, "save_view"),
            place("views/<int:view_id>/remove/", remove_view, "remove_view"),
            *(
                place(
                    f"<str:object_id>/{name}/",
                    allow(permission, "POST")(partial(act_on, act=act)),
                    name,
                )
                for name, (act, permission) in ACTS.items()
            ),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponseBase:
        return show_queue(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponseBase:
        return show_ticket(request, object_id)
