"""What an account holds, for the person who asks; and its end, first step and last."""

from collections.abc import Iterator

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import AbstractUser
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import APIKey, RequestCount, User
from ctxfy_support.personal_data import ERASED, Counts, InUseError, Part

SESSIONS_READ = 500
ACCOUNT = (
    *("id", "username", "email", "first_name", "last_name", "date_joined", "last_login"),
    *("is_active", "is_staff", "token_balance"),
)
KEY = (
    *("id", "key_prefix", "name", "created_at", "expiration_date", "last_used_at"),
    *("revoked_at", "leaked_at"),
)
LOGIN = ("attempt_time", "ip_address", "user_agent", "failures_since_start")


def export(user: AbstractUser) -> Iterator[Part]:
    """The account, its plan, its keys (a key itself is not kept) and log-ins that failed."""
    account = User.objects.select_related("plan").get(pk=user.pk)
    yield "account", {name: getattr(account, name) for name in ACCOUNT}
    plan = account.plan
    yield "plan", {"slug": plan.slug, "name": plan.name, "per_minute": plan.requests_per_minute}
    yield "api_keys", APIKey.objects.filter(user=account).order_by("pk").values(*KEY).iterator()
    failed = AccessAttempt.objects.filter(username=account.username).order_by("pk")
    yield "failed_logins", failed.values(*LOGIN).iterator()


def close(user: AbstractUser, *, dry_run: bool) -> Iterator[Counts]:
    """The first step: from here on nobody gets in as this account, by key or by password."""
    keys, sessions = APIKey.objects.filter(user=user.pk), find_sessions(user)
    yield {"API keys": keys.count(), "sessions": len(sessions)}
    yield {"entries of the admin's log": blank_log(user, dry_run=dry_run)}
    if not dry_run:
        User.objects.filter(pk=user.pk).update(is_active=False)
        Session.objects.filter(pk__in=sessions).delete()
        keys.delete()


def erase(user: AbstractUser, *, dry_run: bool) -> Iterator[Counts]:
    """The last step: failed log-ins, the count of requests, and the account itself.

    Its row stays without anything in it where somebody's history refers to it.
    """
    for log in (AccessAttempt, AccessFailureLog, AccessLog):
        rows = log.objects.filter(username=user.get_username())
        yield {"log-ins": rows.count() if dry_run else rows.delete()[0]}
    yield {"accounts": 1}
    if dry_run:
        return
    try:
        with transaction.atomic():
            account = User.objects.select_for_update().get(pk=user.pk)
            RequestCount.objects.filter(pk=account.pk).delete()
            if is_referred_to(account):
                empty(account)
            else:
                account.delete()
    except IntegrityError:
        raise InUseError("A request of theirs was still on its way") from None


def find_sessions(user: AbstractUser) -> list[str]:
    """The keys of the sessions in which this account is logged in."""
    rows = Session.objects.order_by().iterator(chunk_size=SESSIONS_READ)
    return [row.pk for row in rows if row.get_decoded().get("_auth_user_id") == str(user.pk)]


def blank_log(user: AbstractUser, *, dry_run: bool) -> int:
    """Take the account's and its keys' names out of the admin's log; what was done stays there."""
    kinds = ContentType.objects.get_for_models(User, APIKey)
    keys = [str(pk) for pk in APIKey.objects.filter(user=user.pk).values_list("pk", flat=True)]
    about = Q(content_type=kinds[User], object_id=str(user.pk))
    about |= Q(content_type=kinds[APIKey], object_id__in=keys)
    rows = LogEntry.objects.filter(about).exclude(object_repr=ERASED)
    if dry_run:
        return rows.count()
    # On an account's page keys are edited too, and named.
    rows.filter(change_message__contains='"object"').update(change_message="")
    return rows.update(object_repr=ERASED)


def is_referred_to(account: User) -> bool:
    """Whether any row of any table names this account: an agent's acts, of one who was an agent."""
    relations = [
        field
        for field in User._meta.get_fields(include_hidden=True)
        if isinstance(field, models.ManyToOneRel)
        and field.related_model not in {User.groups.through, User.user_permissions.through}
    ]
    return any(
        relation.related_model._default_manager.filter(**{relation.field.name: account.pk}).exists()
        for relation in relations
    )


def empty(account: User) -> None:
    """Leave a row that says nothing of anybody, under a name that no account has."""
    account.username = f"erased-{account.pk}"
    account.email = account.first_name = account.last_name = ""
    account.token_balance = 0
    account.plan_id = User._meta.get_field("plan").get_default()
    account.last_login, account.date_joined = None, timezone.now()
    account.is_staff = account.is_superuser = account.is_active = False
    account.set_unusable_password()
    account.groups.clear()
    account.user_permissions.clear()
    account.save()
