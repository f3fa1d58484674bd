"""Accounts, plans, API keys, roles and failed logins in the back-office."""

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import ManyToManyField, Q, QuerySet
from django.forms import ModelForm, ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import APIKey, Plan, TooManyKeysError, User
from ctxfy_support.model_admin import ModelAdmin

PERMISSION_FIELDS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
# What would let somebody give themselves more than they have.
SUPERUSER_FIELDS = ("is_superuser", "user_permissions")


def _find_beyond(request: HttpRequest) -> QuerySet[Permission]:
    """What the person may not do, and so may not give: to a role, to an account, to themselves."""
    user = request.user
    if user.is_superuser:
        return Permission.objects.none()
    own = Permission.objects.filter(Q(user=user.pk) | Q(group__user=user.pk))
    return Permission.objects.exclude(pk__in=own.values("pk"))


def _may_give(request: HttpRequest, permissions: QuerySet[Permission]) -> bool:
    return not _find_beyond(request).filter(pk__in=permissions.values("pk")).exists()


@admin.register(User)
class AccountAdmin(UserAdmin[User], ModelAdmin):
    """Roles and passwords are shown to those who may change accounts, not to those who may look."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "plan", "token_balance", "is_active", "is_staff")
    list_filter = ("plan", "is_active", "is_staff")
    list_select_related = ("plan",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Subscription", {"fields": ("plan", "token_balance")}),
        ("Permissions", {"fields": PERMISSION_FIELDS}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        *UserAdmin.add_fieldsets,
        ("Subscription", {"fields": ("email", "plan", "token_balance")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        shown = [row for row in fieldsets if row[0] != "Permissions"]
        return [(None, {"fields": ("username",)}), *shown[1:]]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, *SUPERUSER_FIELDS)

    def get_list_display(self, request: HttpRequest) -> Any:
        fields = super().get_list_display(request)
        if self.has_change_permission(request):
            return fields
        return [field for field in fields if field != "is_staff"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        fields = super().get_list_filter(request)
        if self.has_change_permission(request):
            return fields
        return [field for field in fields if field != "is_staff"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._outranks(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._outranks(request, obj)

    def _outranks(self, request: HttpRequest, obj: User | None) -> bool:
        # A new password for somebody who may do more would be a way to do it.
        if obj is None or request.user.is_superuser:
            return True
        theirs = Permission.objects.filter(Q(user=obj) | Q(group__user=obj))
        return not obj.is_superuser and _may_give(request, theirs)

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        if db_field.name == "groups" and not request.user.is_superuser:
            beyond = Group.objects.filter(permissions__in=_find_beyond(request))
            kwargs["queryset"] = Group.objects.exclude(pk__in=beyond)
        field: ModelMultipleChoiceField[Any] | None = super().formfield_for_manytomany(
            db_field, request, **kwargs
        )
        return field


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = ("name", "slug", "requests_per_minute")

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()


class NewAPIKeyForm(ModelForm[APIKey]):
    """Refuses a key that is one too many; the admin checks and stores in one transaction."""

    def clean(self) -> None:
        super().clean()
        if user := self.cleaned_data.get("user"):
            try:
                APIKey.objects.require_room(user)
            except TooManyKeysError as exc:
                self.add_error("user", f"{exc}. Revoke one first.")


@admin.register(APIKey)
class APIKeyAdmin(ModelAdmin):
    """Keys are issued and revoked here, never edited or deleted: the secret is shown once."""

    form = NewAPIKeyForm
    list_display = (
        *("key_prefix", "name", "user", "created_at"),
        *("last_used_at", "expiration_date", "revoked_at"),
    )
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("key_prefix", "name", "user__username")
    autocomplete_fields = ("user",)
    fields = ("user", "name", "expiration_date")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        return (
            (*self.fields, "key_prefix", "created_at", "last_used_at", "revoked_at", "leaked_at")
            if obj
            else self.fields
        )

    def has_change_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        # Django's list actions need it; a key's own page is read-only.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: APIKey, form: ModelForm[APIKey], change: bool
    ) -> None:
        obj.draw_secret()
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the key in the answer itself: a message would carry it in a cookie or a session."""
        context = {**self.admin_site.each_context(request), "title": "New API key", "key": obj}
        response = TemplateResponse(request, "admin/accounts/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description="Revoke the selected keys, finally", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> None:
        for key in queryset:
            key.revoke()
            self.log_change(request, key, "Revoked")
        messages.success(request, "The selected keys stop working on the next request.")


admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin):
    """Whoever may change roles gives to them what they have themselves, and no more."""

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        if request is not None:
            beyond = _find_beyond(request).values("pk")
            kwargs["queryset"] = Permission.objects.exclude(pk__in=beyond)
        field: ModelMultipleChoiceField[Any] | None = super().formfield_for_manytomany(
            db_field, request, **kwargs
        )
        return field

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._outranks(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._outranks(request, obj)

    def _outranks(self, request: HttpRequest, obj: Group | None) -> bool:
        # Its form would take away what it does not show.
        return obj is None or _may_give(request, obj.permissions.all())


@admin.register(AccessAttempt)
class FailedLoginAdmin(ModelAdmin):
    """Who mistyped a password, from where; deleting the row unlocks the name there."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "failures_since_start", "attempt_time", "user_agent")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccessAttempt | None = None) -> bool:
        return False
