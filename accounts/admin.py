"""Accounts, plans and API keys in the back-office."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.models import APIKey, Plan, User


@admin.register(User)
class AccountAdmin(UserAdmin[User]):
    list_display = ("username", "email", "plan", "token_balance", "is_active", "is_staff")
    list_filter = ("plan", "is_active", "is_staff")
    list_select_related = ("plan",)
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        ("Subscription", {"fields": ("plan", "token_balance")}),
    )
    add_fieldsets = (
        *UserAdmin.add_fieldsets,
        ("Subscription", {"fields": ("email", "plan", "token_balance")}),
    )


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin[Plan]):
    list_display = ("name", "slug", "requests_per_minute")

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()


@admin.register(APIKey)
class APIKeyAdmin(admin.ModelAdmin[APIKey]):
    """Keys are issued and revoked here, never edited or deleted: the secret is shown once."""

    list_display = ("key_prefix", "name", "user", "created_at", "expiration_date", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("key_prefix", "name", "user__username")
    autocomplete_fields = ("user",)
    fields = ("user", "name", "expiration_date")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        return (*self.fields, "key_prefix", "created_at", "revoked_at") if obj else self.fields

    def has_change_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        # Django's list actions need it; a key's own page is read-only.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: APIKey, form: ModelForm[APIKey], change: bool
    ) -> None:
        key, secret = APIKey.objects.issue(
            obj.user, name=obj.name, expiration_date=obj.expiration_date
        )
        obj.__dict__.update(key.__dict__)
        messages.warning(request, f"The new key, shown this once: {secret}")

    @admin.action(description="Revoke the selected keys, finally", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[APIKey, Any]) -> None:
        for key in queryset:
            key.revoke()
            self.log_change(request, key, "Revoked")
        messages.success(request, "The selected keys stop working on the next request.")
