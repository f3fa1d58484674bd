"""Who is asking: an account with its plan and token balance, and the API keys it holds."""

import contextlib
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db import Error as DatabaseFailure
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import api_keys
from accounts.windows import RateLimit
from ctxfy_support.ids import uuid7

# A hot key's row would otherwise be written, and locked, by every request.
USE_RECORDED_EVERY = timedelta(minutes=1)
# Of one account. More than any rotation needs; a program that issues without end is stopped.
MOST_WORKING_KEYS = 100


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

    class Meta(AbstractUser.Meta):
        indexes = [
            # Every page of the queue names the few who work here, however many accounts there are.
            models.Index(
                fields=["username"], name="accounts_user_agents", condition=Q(is_staff=True)
            ),
        ]


class TooManyKeysError(Exception):
    """The account has as many working keys as it may have."""

    def __init__(self) -> None:
        super().__init__(f"The account has {MOST_WORKING_KEYS} working keys, the most there may be")


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    def not_ended(self) -> "APIKeyQuerySet":
        """Those that neither are revoked nor have expired; an account may be inactive."""
        still = Q(expiration_date=None) | Q(expiration_date__gt=timezone.now())
        return self.filter(still, revoked_at=None)

    def require_room(self, user: User) -> None:
        """Raise TooManyKeysError unless the account may have one more working key.

        The account's row is locked to the end of the transaction, in which the key must be
        stored, so that two that come at once cannot both take the last place. It is the first
        lock of its transaction, and stops neither tickets nor requests: those refer to the row.
        """
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
        if self.filter(user=user).not_ended().count() >= MOST_WORKING_KEYS:
            raise TooManyKeysError

    def note_leaked(self, secrets: Collection[str]) -> list[UUID]:
        """Note that these were seen where others can read them; return the ids of working ones.

        What is no working key is nobody's harm, and stays as it is.
        """
        digests = [api_keys.digest(secret) for secret in secrets]
        now = timezone.now()
        working = self.not_ended().filter(digest__in=digests, user__is_active=True)
        found = dict(working.order_by("pk").values_list("pk", "leaked_at"))
        for pk in [pk for pk, leaked_at in found.items() if leaked_at is None]:
            self.filter(pk=pk, leaked_at=None).update(leaked_at=now)
        return list(found)

    def issue(
        self, user: User, *, name: str = "", expiration_date: datetime | None = None
    ) -> tuple["APIKey", str]:
        """Create a key; return it with its secret, which is kept nowhere.

        Raises TooManyKeysError where the account may have no more.
        """
        key = self.model(user=user, name=name, expiration_date=expiration_date)
        key.draw_secret()
        with transaction.atomic():
            self.require_room(user)
            key.save(force_insert=True)
        return key, key.secret


class APIKey(models.Model):
    """A key to everything its user owns. The secret is shown once; the row holds its digest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, blank=True)
    key_prefix = models.CharField(max_length=api_keys.SHOWN_CHARACTERS, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    expiration_date = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    # When it was first seen in a text that others read.
    leaked_at = models.DateTimeField(null=True, editable=False)

    objects = APIKeyQuerySet.as_manager()

    # Known to the instance that was just issued; no column.
    secret = ""
    # Of the request that was just admitted, likewise.
    rate_limit: RateLimit | None = None

    class Meta:
        verbose_name = "API key"
        indexes = [
            # GET /v1/api-keys: an account's keys, newest first.
            models.Index(fields=["user", "-created_at", "-id"], name="accounts_apikey_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.key_prefix}…" + (f" ({self.name})" if self.name else "")

    def is_working(self) -> bool:
        """Whether it opens anything: neither revoked nor expired, and of an active account."""
        expired = self.expiration_date is not None and self.expiration_date <= timezone.now()
        return self.revoked_at is None and not expired and self.user.is_active

    def draw_secret(self) -> None:
        """Give a key that is not stored yet its secret, and what is kept of it."""
        self.secret = api_keys.generate()
        self.digest = api_keys.digest(self.secret)
        self.key_prefix = self.secret[: api_keys.SHOWN_CHARACTERS]

    def note_use(self) -> None:
        """Note that the key was used, unless somebody did within the last minute.

        A database that has just gone away costs nobody their answer.
        """
        now = timezone.now()
        if self.last_used_at is not None and now - self.last_used_at < USE_RECORDED_EVERY:
            return
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_RECORDED_EVERY)
        with contextlib.suppress(DatabaseFailure):
            APIKey.objects.filter(stale, pk=self.pk).update(last_used_at=now)

    def revoke(self) -> None:
        """Stop the key, finally; revoking it again keeps the first time."""
        APIKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["revoked_at"])


class RequestCount(models.Model):
    """How many requests an account has made in its current minute; see throttling.py.

    One row an account, never cleaned up. On PostgreSQL the table is UNLOGGED: a crash of the
    server empties it, which costs nobody more than a minute's count.
    """

    user = models.OneToOneField(
        User, primary_key=True, on_delete=models.CASCADE, db_constraint=False
    )
    resets_at = models.FloatField(help_text="Unix seconds, by the database's clock")
    requests = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.requests} requests of {self.user_id} until {self.resets_at:.0f}"


class PasswordAttempts(models.Model):
    """How many passwords a client network has tried; see password_attempts.py.

    A row whose time is over is deleted by the next network that begins one.
    """

    network = models.CharField(primary_key=True, max_length=64)
    resets_at = models.FloatField(help_text="Unix seconds, by the database's clock")
    attempts = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.attempts} attempts from {self.network} until {self.resets_at:.0f}"
