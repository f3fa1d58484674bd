"""Django's admin in the back-office's look, for people who type anything into an address.

Django hands much of what an address or a form says to the database as it is; what a database
refuses (no number, a year 99999, a NUL) would be a crash. Here it is left out, or said to be
nonsense.
"""

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError
from django.db.models import Field, ForeignKey, ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin as UnfoldModelAdmin

# SQLite allows an expression a depth of 1,000; nobody types this many words.
MOST_WORDS = 32
# What the filters beside the lists ask for.
LOOKUPS = {"", "exact", "isnull", "gte", "lt"}


def read_value(field: Field[Any, Any], text: str) -> Any:
    """What this text means for a column; raise ValidationError where it means nothing there.

    Of a relation the key itself, whether there is such a row or not.
    """
    if "\0" in text:
        raise ValidationError("NUL")
    if isinstance(field, ForeignKey | ManyToManyField):
        read_value(field.target_field, text)
        return text
    return field.clean(text, None)


def means_something(field: Field[Any, Any], text: str) -> bool:
    """Whether a column could hold what this text says."""
    try:
        read_value(field, text)
    except (ValidationError, ValueError, OverflowError):
        return False
    return True


class ModelAdmin(UnfoldModelAdmin):
    """Its lists know no filter but their own, and no text that a database refuses."""

    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django allows any lookup on the model's own fields, even `__regex`; a broken pattern is
        # then the database's error, and ours. And a filter that somebody is not shown would tell
        # them what is hidden from them.
        filters = self.get_list_filter(request)
        own = {name if isinstance(name, str) else name[0] for name in filters}
        name, _, rest = lookup.partition("__")
        if name not in own:
            return False
        field = self.opts.get_field(name)
        if isinstance(field, ForeignKey | ManyToManyField):
            rest = rest.removeprefix(f"{field.target_field.name}__")
        return rest in LOOKUPS and bool(super().lookup_allowed(lookup, value, request))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        if "%00" in request.META.get("QUERY_STRING", ""):
            return self._refuse_filter(request)
        try:
            answer: HttpResponse = super().changelist_view(request, extra_context)
        except (DataError, OverflowError):  # A moment that no database counts up to.
            return self._refuse_filter(request)
        return answer

    def _refuse_filter(self, request: HttpRequest) -> HttpResponse:
        messages.error(request, "That filter makes no sense.")
        return HttpResponseRedirect(request.path)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any, Any]
    ) -> HttpResponse | None:
        ticked = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(means_something(self.opts.pk, text) for text in ticked):
            messages.error(request, "That is no row of this list.")
            return HttpResponseRedirect(request.path)
        answer: HttpResponse | None = super().response_action(request, queryset)
        return answer

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a form for a new row is filled in with by its address, as far as it makes sense."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        initial = {}
        for name, value in given.items():
            try:
                field = self.opts.get_field(name)
            except FieldDoesNotExist:
                continue
            if isinstance(field, ManyToManyField):
                initial[name] = [text for text in value if means_something(field, text)]
            elif isinstance(field, Field) and means_something(field, value):
                initial[name] = read_value(field, value)
        return initial

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
