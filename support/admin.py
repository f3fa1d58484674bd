"""The desk's own things in the back-office: canned replies, tags, views that all agents see."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import ForeignKey, QuerySet, TextField
from django.forms import ModelChoiceField
from django.http import HttpRequest

from ctxfy_support.model_admin import ModelAdmin
from support.back_office.agents import get_agent
from support.back_office.forms import WrittenField, split_tags
from support.back_office.tickets import TicketAdmin as TicketAdmin
from support.models import CannedReply, SavedView, Tag


@admin.register(CannedReply)
class CannedReplyAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name", "text")
    formfield_overrides = {TextField: {"form_class": WrittenField}}


class TagForm(forms.ModelForm[Tag]):
    """A tag as agents can type it: no comma, lower-case, single spaces."""

    def clean_name(self) -> str:
        names = split_tags(self.cleaned_data["name"])
        if len(names) != 1 or "," in self.cleaned_data["name"]:
            raise forms.ValidationError("One name, without a comma.")
        return names[0]


@admin.register(Tag)
class TagAdmin(ModelAdmin):
    form = TagForm
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(SavedView)
class SavedViewAdmin(ModelAdmin):
    """One's own views and those that all share; other people's are theirs, but for a superuser."""

    list_display = ("name", "owner", "query")
    list_select_related = ("owner",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedView]:
        views: QuerySet[SavedView] = super().get_queryset(request)
        agent = get_agent(request)
        return views if agent.is_superuser else views & SavedView.objects.visible_to(agent)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        agent = get_agent(request)
        if not agent.is_superuser:
            # For oneself or for all; nobody else is listed, either.
            kwargs["queryset"] = get_user_model()._default_manager.filter(pk=agent.pk)
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(
            db_field, request, **kwargs
        )
        return field
