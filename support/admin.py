"""Tickets in the back-office: everything to read, triage to change, mail to send again."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from support import delivery, mail
from support.models import Ticket

SECONDS_FOR_SENDING = 10
TICKET_FIELDS = ("id", "created_at", "type", "reply_address", "message")
ACCOUNT_FIELDS = (
    "user",
    "subscription_plan",
    "token_balance",
    "api_key_prefix",
    "api_key_name",
)
MAIL_FIELDS = ("email_status", "sent_at", "attempts", "next_attempt_at", "last_error")


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin[Ticket]):
    """Nobody adds, deletes or rewrites a ticket here; agents move its state and assignee."""

    list_display = (
        "created_at",
        "summary",
        "type",
        "user",
        "subscription_plan",
        "state",
        "assignee",
        "email_status",
    )
    list_filter = ("state", "email_status", "subscription_plan", "assignee")
    list_select_related = ("user", "assignee")
    search_fields = ("=id", "message", "reply_address", "user__username", "user__email")
    show_full_result_count = False
    actions = ("send_again",)
    fieldsets = (
        ("Triage", {"fields": ("state", "assignee")}),
        ("Ticket", {"fields": TICKET_FIELDS}),
        ("Account at that moment", {"fields": ACCOUNT_FIELDS}),
        ("Mail", {"fields": MAIL_FIELDS}),
    )
    readonly_fields = (*TICKET_FIELDS, *ACCOUNT_FIELDS, *MAIL_FIELDS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False

    @admin.display(description="message")
    def summary(self, ticket: Ticket) -> str:
        first_line = ticket.message.strip().partition("\n")[0]
        return first_line[:80] + ("…" if len(first_line) > 80 else "")

    def save_model(self, request: HttpRequest, obj: Ticket, form: Any, change: bool) -> None:
        # Only what the form changed: a sender may be moving the mail's columns right now.
        obj.updated_at = timezone.now()
        obj.save(update_fields=[*form.changed_data, "updated_at"])

    @admin.action(description="Send the selected tickets' mail", permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Ticket, Any]) -> None:
        """Queue what was not sent; unless workers do it, send what a page has the time for."""
        if not mail.is_configured():
            messages.error(request, "No mail backend is configured, so nothing can be sent.")
            return
        ids = list(queryset.values_list("pk", flat=True))
        queued = Ticket.objects.filter(pk__in=ids).queue_again()
        sent = 0
        if settings.SUPPORT_EMAIL_DELIVERY == "inline":
            sent = delivery.attempt_within(Ticket.objects.filter(pk__in=ids), SECONDS_FOR_SENDING)
        messages.success(
            request,
            f"{sent} sent, {queued - sent} queued, {len(ids) - queued} left alone (sent before, or "
            "being sent right now).",
        )
