"""The desk's own things in the back-office: canned replies, tags, views that all agents see."""

from django.contrib import admin
from django.db.models import TextField

from ctxfy_support.model_admin import ModelAdmin
from support.back_office.forms import WrittenField
from support.back_office.tickets import TicketAdmin as TicketAdmin
from support.models import CannedReply, SavedView, Tag


@admin.register(CannedReply)
class CannedReplyAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name", "text")
    formfield_overrides = {TextField: {"form_class": WrittenField}}


@admin.register(Tag)
class TagAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(SavedView)
class SavedViewAdmin(ModelAdmin):
    list_display = ("name", "owner", "query")
    list_select_related = ("owner",)
    search_fields = ("name",)
