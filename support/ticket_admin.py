"""Tickets in the back-office: the queue, the ticket's page, and where their forms go."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    QueryDict,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from ctxfy_support.ids import parse_id
from support import ticket_acts
from support.export import export
from support.models import SavedView, Ticket
from support.queue import CHOICES, PER_PAGE, Queue
from support.saved_views import MOST_VIEWS
from support.tabs import COUNT_LIMIT, TAB_COUNT_LIMIT, TABS
from support.ticket_forms import agents
from support.ticket_page import make_context
from support.triage import Priority, Tag, TicketState

LIST = "admin:support_ticket_changelist"
PAGE = "admin:support_ticket_change"


class TicketAdmin(ModelAdmin):
    """Nobody adds, deletes or rewrites a ticket here; agents move triage, and answer."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        acts = [
            path(
                f"<str:object_id>/{name}/",
                view(self.act_view),
                {"act": act, "permission": permission},
                name=f"support_ticket_{name}",
            )
            for name, act, permission in (
                ("claim", ticket_acts.claim, "change"),
                ("release", ticket_acts.release, "change"),
                ("triage", ticket_acts.triage, "change"),
                ("note", ticket_acts.note, "change"),
                ("reply", ticket_acts.reply, "reply"),
                ("resend", ticket_acts.resend, "change"),
            )
        ]
        return [
            path("bulk/", view(self.bulk_view), name="support_ticket_bulk"),
            path("export/", view(self.export_view), name="support_ticket_export"),
            path("views/", view(self.save_view), name="support_ticket_save_view"),
            path(
                "views/<int:view_id>/remove/",
                view(self.remove_view),
                name="support_ticket_remove_view",
            ),
            *acts,
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False

    # --- Pages ---

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The queue."""
        self.require(request, "view")
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        queue = Queue(request.user, request.GET)
        context = {
            **self.admin_site.each_context(request),
            "title": "Tickets",
            "queue": queue,
            "rows": queue.rows(),
            "tabs": TABS,
            "tab_counts": queue.tab_counts(),
            "tab_limit": TAB_COUNT_LIMIT,
            "count_limit": COUNT_LIMIT,
            "choices": CHOICES,
            "recent": queue.recent_choices(),
            "agents": agents(),
            "all_tags": Tag.objects.all()[:100],
            "states": TicketState.choices,
            "priorities": Priority.choices,
            "views": SavedView.objects.visible_to(request.user)[:MOST_VIEWS],
            "can_change": request.user.has_perm("support.change_ticket"),
            "can_export": request.user.has_perm("support.export_ticket"),
            "can_share": request.user.has_perm("support.add_savedview"),
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "admin/support/ticket/queue.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The ticket's page. Nothing is posted here: every act has an address of its own."""
        self.require(request, "view")
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self.show(request, self.get_ticket(object_id), request.GET.get("queue", ""))

    def show(
        self, request: HttpRequest, ticket: Ticket, queue: str, **extra: Any
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Ticket",
            "can_change": request.user.has_perm("support.change_ticket"),
            "can_reply": request.user.has_perm("support.reply_ticket"),
            "is_fullwidth": "1",
            **make_context(request, ticket, queue, **extra),
        }
        return TemplateResponse(request, "admin/support/ticket/page.html", context)

    # --- Acts ---

    def act_view(
        self,
        request: HttpRequest,
        object_id: str,
        act: Callable[[HttpRequest, Ticket], dict[str, Any] | None],
        permission: str,
    ) -> HttpResponse:
        """Do it and go back to the page; where the act asks something first, show that."""
        self.require(request, permission)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        ticket = self.get_ticket(object_id)
        queue = request.POST.get("queue", "")
        question = act(request, ticket)
        if question is not None:
            return self.show(request, self.get_ticket(object_id), queue, **question)
        if request.POST.get("next") == "list":
            return HttpResponseRedirect(f"{reverse(LIST)}?{QueryDict(queue).urlencode()}")
        return HttpResponseRedirect(f"{reverse(PAGE, args=[ticket.pk])}?queue={quote(queue)}")

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, "change")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        ids = [parse_id(text) for text in request.POST.getlist("tickets")[:PER_PAGE]]
        ticket_acts.bulk(request, Ticket.objects.filter(pk__in=[pk for pk in ids if pk]))
        return self.to_list(request)

    def export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The list's tickets as CSV; `X-Ticket-Count` lets the page show how far it is."""
        self.require(request, "export")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        agent: Any = request.user
        queue = Queue(agent, QueryDict(request.POST.get("queue", "")))
        count = str(queue.count) if queue.is_counted else f"more than {COUNT_LIMIT}"
        LogEntry.objects.create(
            user=agent,
            content_type=ContentType.objects.get_for_model(Ticket),
            object_repr=f"{count} tickets",
            action_flag=CHANGE,
            change_message=f"Exported: {queue.query_string()}"[:2000],
        )
        response = StreamingHttpResponse(
            export(queue, agent), content_type="text/csv; charset=utf-8"
        )
        name = f"tickets-{timezone.now():%Y-%m-%d-%H%M}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["X-Ticket-Count"] = str(queue.count) if queue.is_counted else ""
        return response

    def save_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, "view")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        ticket_acts.save_view(request)
        return self.to_list(request)

    def remove_view(self, request: HttpRequest, view_id: int) -> HttpResponse:
        self.require(request, "view")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        ticket_acts.remove_view(request, view_id)
        return self.to_list(request)

    def to_list(self, request: HttpRequest) -> HttpResponseRedirect:
        query = QueryDict(request.POST.get("queue", "")).urlencode()
        return HttpResponseRedirect(f"{reverse(LIST)}?{query}")

    def get_ticket(self, object_id: str) -> Ticket:
        ticket_id = parse_id(object_id)
        tickets = Ticket.objects.select_related("user", "assignee").prefetch_related("tags")
        ticket: Ticket | None = tickets.filter(pk=ticket_id).first() if ticket_id else None
        if ticket is None:
            raise Http404
        return ticket

    def require(self, request: HttpRequest, verb: str) -> None:
        if not request.user.has_perm(f"support.{verb}_ticket"):
            raise PermissionDenied


admin.site.register(Ticket, TicketAdmin)
