"""The desk's own things in the back-office: canned replies, tags, views that all agents see."""

from django.contrib import admin
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite

from ctxfy_support.model_admin import ModelAdmin
from support.back_office.tickets import TicketAdmin as TicketAdmin
from support.models import CannedReply, SavedView, Tag


@admin.register(CannedReply)
class CannedReplyAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name", "text")


@admin.register(Tag)
class TagAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(SavedView)
class SavedViewAdmin(ModelAdmin):
    list_display = ("name", "owner", "query")
    list_select_related = ("owner",)
    search_fields = ("name",)


def search(request: HttpRequest) -> HttpResponse:
    """Unfold's search for pages (Ctrl+K); a page of results that is not there is a 404."""
    try:
        answer: HttpResponse = UnfoldAdminSite.search(admin.site, request)
    except (ValueError, InvalidPage):
        raise Http404 from None
    return answer


admin.site.search = search  # type: ignore[attr-defined]  # Unfold's site has it, Django's has not.
