"""Who is asking: an account with its plan and token balance, and the API keys it holds."""

from typing import Any, Self

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts import api_keys
from ctxfy_support.ids import uuid7


class Plan(models.Model):
    """A subscription plan; its slug is the key, so an account's plan is read without a join."""

    slug = models.SlugField(primary_key=True, max_length=50)
    name = models.CharField(max_length=100)
    requests_per_minute = models.PositiveIntegerField(default=10)

    class Meta:
        ordering = ["requests_per_minute", "slug"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """An account of the product. Staff accounts are the agents of the back-office."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, default="free")
    token_balance = models.BigIntegerField(default=0, help_text="tokens left, may be negative")


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    def active(self) -> Self:
        """Keys that work now: not revoked, not expired (database clock), of an active account."""
        return self.filter(
            Q(expiration_date=None) | Q(expiration_date__gt=Now()),
            revoked_at=None,
            user__is_active=True,
        )

    def find_active(self, secret: str) -> "APIKey | None":
        """The working key with this secret, its user and plan loaded; one query, None if none."""
        if not api_keys.is_well_formed(secret):
            return None
        found = self.active().select_related("user__plan").filter(digest=api_keys.digest(secret))
        return found.first()

    def issue(self, user: User, **fields: Any) -> tuple["APIKey", str]:
        """Create a key; return it with its secret, which is kept nowhere."""
        secret = api_keys.generate()
        key = self.create(
            user=user,
            digest=api_keys.digest(secret),
            key_prefix=secret[: api_keys.SHOWN_CHARACTERS],
            **fields,
        )
        return key, secret


class APIKey(models.Model):
    """A key to everything its user owns. The secret is shown once; the row holds its digest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, blank=True)
    key_prefix = models.CharField(max_length=api_keys.SHOWN_CHARACTERS, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    expiration_date = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = APIKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        indexes = [
            # GET /v1/api-keys: an account's keys, newest first.
            models.Index(fields=["user", "-created_at", "-id"], name="accounts_apikey_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.key_prefix}…" + (f" ({self.name})" if self.name else "")

    def revoke(self) -> None:
        """Stop the key, finally; revoking it again keeps the first time."""
        APIKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["revoked_at"])
