"""Django's admin in the back-office's look, for people who type anything into an address."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin as UnfoldModelAdmin

# SQLite allows an expression a depth of 1,000; nobody types this many words.
MOST_WORDS = 32


class ModelAdmin(UnfoldModelAdmin):
    """Its lists know no filter but their own, and no text that a database refuses."""

    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django allows any lookup on the model's own fields, even `__regex`; a broken pattern is
        # then the database's error, and ours. And a filter that somebody is not shown would tell
        # them what is hidden from them.
        filters = self.get_list_filter(request)
        own = {name if isinstance(name, str) else name[0] for name in filters}
        field = lookup.partition("__")[0]
        return field in own and bool(super().lookup_allowed(lookup, value, request))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        if "%00" in request.META.get("QUERY_STRING", ""):
            messages.error(request, "That filter makes no sense.")
            return HttpResponseRedirect(request.path)
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        words = search_term.replace("\0", " ").split()[:MOST_WORDS]
        found: tuple[Any, bool] = super().get_search_results(request, queryset, " ".join(words))
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        if "\0" in object_id:
            return None
        return super().get_object(request, object_id, from_field)
