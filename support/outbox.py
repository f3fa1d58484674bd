"""A row that is also a mail to be sent: at least once, by one sender at a time.

A sender 1. claims the row with one conditional statement, which leases it (and others with it)
under a token of its own, 2. sends outside any transaction, 3. marks the row, only while that lease
is alive. If it dies, the lease ends and another sender claims the row. Every time that decides
about a claim is the database's, so hosts need not agree on the hour.

Whoever locks several rows keeps one order, so that no two wait for each other: tickets, then
messages, then timeline entries, then mails that came in, each table by primary key (in_lock_order).
Nobody locks a row against those who only refer to it, for no key ever changes; so an entry's INSERT
waits for nobody.
"""

import random
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar, Self, TypedDict, TypeVar, cast

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Expression, F, Q
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery
from django.utils import timezone

from ctxfy_support.ids import uuid7
from ctxfy_support.log_context import get_request_id
from ctxfy_support.postgresql.planning import planned_by_value
from support.claims import DATABASE_NOW, Chosen, IsChosen
from support.failures import Failure, FailureKind, classify

LEASE_MARGIN = timedelta(seconds=15)
FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=72)
ATTEMPTS_KEPT = 100
WAKE_BATCH = 1_000


def lease_duration() -> timedelta:
    """How long a claim holds: the deadline of one attempt and time to mark its outcome."""
    return timedelta(seconds=settings.SUPPORT_EMAIL_DEADLINE) + LEASE_MARGIN


def backoff(attempts: int) -> timedelta:
    """The wait after the n-th failed attempt: exponential, full jitter, at most an hour."""
    ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempts - 1, 20))
    share = random.random()  # noqa: S311  (spreads load, hides nothing)
    return timedelta(seconds=ceiling.total_seconds() * share)


class EmailStatus(models.TextChoices):
    """What became of the e-mail; the API's `status`."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    STORED = "stored"


class AttemptEntry(TypedDict):
    """One attempt as the row keeps it; `kind`, `code` and `text` are empty where it was sent."""

    at: str  # RFC 3339
    ms: int
    outcome: str
    kind: str
    code: str
    text: str


M = TypeVar("M", bound="OutboxMessage", covariant=True)
R = TypeVar("R", bound=models.Model)


def in_lock_order(rows: models.QuerySet[R], *, skip_locked: bool = False) -> models.QuerySet[R]:
    """These rows, locked until the transaction ends, in the order that everybody keeps.

    `skip_locked`: leave out what others hold, and so wait for nobody.
    """
    of = ("self",) if rows.query.select_related else ()
    return rows.order_by("pk").select_for_update(of=of, no_key=True, skip_locked=skip_locked)


def _update_returning_keys(
    rows: models.QuerySet[R], changes: dict[str, object]
) -> list[uuid.UUID | str]:
    """update(), which says which rows it changed and not only how many.

    So nothing has to find them again by what it wrote, and that needs no index.
    """
    query = cast(UpdateQuery, rows.query.chain(UpdateQuery))
    query.add_update_values(changes)
    sql, parameters = query.get_compiler(using=rows.db).as_sql()
    with planned_by_value(), connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING id", parameters)
        return [key for (key,) in cursor.fetchall()]


class OutboxQuerySet(models.QuerySet[M]):
    def unleased(self) -> Self:
        return self.filter(Q(leased_until=None) | Q(leased_until__lte=Now()))

    def unsent(self) -> Self:
        """What has not gone out and should have: pending, due or not, and given up."""
        return self.filter(email_status__in=[EmailStatus.PENDING, EmailStatus.FAILED])

    def due(self) -> Self:
        """What a worker may take now: pending, its next attempt due, not leased."""
        return self.unleased().filter(email_status=EmailStatus.PENDING, next_attempt_at__lte=Now())

    def claim(self, extra: timedelta = timedelta(0)) -> M | None:
        """Lease one row of this QuerySet, the first in its order; None if there is none to take.

        `extra`: what the attempt may take beyond its deadline.
        """
        return next(iter(self.claim_many(1, extra)), None)

    def claim_many(self, count: int, extra: timedelta = timedelta(0)) -> list[M]:
        """Lease the first `count` rows of this QuerySet, in its order, under one token.

        `extra`: what the last of them may wait for its turn, or take beyond its deadline.

        Two callers never get the same row: one statement decides, and on PostgreSQL it steps
        over the rows that others are deciding about.
        """
        token = uuid.uuid4()
        everything = self.model._default_manager
        chosen = IsChosen(F("pk"), Chosen(self.unleased().values("pk")[:count]))
        claimed = _update_returning_keys(
            everything.filter(chosen),
            {"lease_token": token, "leased_until": Now() + lease_duration() + extra},
        )
        if not claimed:
            return []
        # The rows may be gone from us again: a process that is stopped here outlives its leases.
        held = everything.filter(pk__in=claimed, lease_token=token)
        held = held.select_related(*self.model.MAILED_WITH)
        return list(held.order_by(*self.query.order_by) if self.query.order_by else held)

    def queue_report(self) -> dict[str, float]:
        """How many rows are pending and failed, and the age in seconds of the oldest pending."""
        rows = self.unsent().order_by().values_list("email_status")
        found = {
            status: (count, oldest)
            for status, count, oldest in rows.annotate(
                rows=models.Count("pk"), oldest=models.Min("created_at")
            )
        }
        pending, oldest = found.get(EmailStatus.PENDING, (0, None))
        age = max(0.0, (timezone.now() - oldest).total_seconds()) if oldest else 0.0
        return {
            EmailStatus.PENDING.value: pending,
            EmailStatus.FAILED.value: found.get(EmailStatus.FAILED, (0, None))[0],
            "oldest_pending_seconds": age,
        }

    def wake(self, errors: Iterable[str]) -> bool:
        """Make due now what waits out a backoff after one of these errors.

        Rows that others hold at this moment are left out; return whether there were none.
        """
        said = Q(pk__in=[])
        for error in errors:
            said |= Q(last_error__startswith=error)
        waiting = self.unleased().filter(
            said, email_status=EmailStatus.PENDING, next_attempt_at__gt=Now()
        )
        woken = WAKE_BATCH
        while woken == WAKE_BATCH:
            with planned_by_value(), transaction.atomic():
                batch = in_lock_order(waiting, skip_locked=True)[:WAKE_BATCH]
                ids = list(batch.values_list("pk", flat=True))
                woken = self.filter(pk__in=ids).update(next_attempt_at=Now())
        return not waiting.exists()

    def for_support(self) -> Self:
        """What is mailed to SUPPORT_EMAIL."""
        return self

    def resendable(self) -> Self:
        """What an agent may send again: not sent, and not leased."""
        return self.unleased().exclude(email_status=EmailStatus.SENT)

    def queue_again(self) -> list[M]:
        """Make what was not sent due now, GIVE_UP_AFTER from now; return the rows as they were."""
        with transaction.atomic():
            rows = list(in_lock_order(self.resendable()))
            self.model._default_manager.filter(pk__in=[row.pk for row in rows]).update(
                email_status=EmailStatus.PENDING,
                next_attempt_at=Now(),
                retrying_since=None,
                updated_at=timezone.now(),
            )
        return rows


def outbox_indexes(table: str) -> list[models.Index]:
    """The indexes that every table of such rows needs, named `<table>_<query it serves>`."""
    return [
        # A sender's next claim.
        models.Index(
            fields=["next_attempt_at"],
            name=f"{table}_due",
            condition=Q(email_status=EmailStatus.PENDING),
        ),
        # What has not gone out, oldest first: the resend command, metrics, the dashboard.
        models.Index(
            fields=["created_at"],
            name=f"{table}_unsent",
            condition=Q(email_status__in=[EmailStatus.PENDING, EmailStatus.FAILED]),
        ),
    ]


class OutboxMessage(models.Model):
    """The columns of a row that is mailed, and the rules that move them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    # The id of our request that stored it; empty where none did, such as of a mail that came in.
    stored_by_request = models.CharField(
        max_length=32, blank=True, default=get_request_id, db_default="", editable=False
    )

    email_status = models.CharField(
        max_length=10, choices=EmailStatus.choices, default=EmailStatus.PENDING, editable=False
    )
    sent_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    next_attempt_at = models.DateTimeField(null=True, editable=False)
    retrying_since = models.DateTimeField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    last_error = models.CharField(max_length=200, blank=True, editable=False)
    # The newest attempts, oldest first.
    attempt_log: "models.JSONField[list[AttemptEntry]]" = models.JSONField(
        default=list, editable=False
    )

    # What the mail is composed of beside the row; a claim reads it with the row.
    MAILED_WITH: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    @property
    def goes_to_support(self) -> bool:
        """Whether its mail is for SUPPORT_EMAIL; else it is for a customer."""
        return True

    def log_facts(self) -> dict[str, str | None]:
        """What a log line about it has beside its words: the ticket, and the request it came by."""
        return {"ticket_id": str(self.pk), "request_id": self.stored_by_request or None}

    def is_in_first_attempt(self) -> bool:
        """Whether a sender is making the row's first attempt right now."""
        leased = self.leased_until is not None and self.leased_until > timezone.now()
        return leased and not self.attempt_log

    def classify(self, exc: BaseException) -> Failure:
        """What an exception of sending this row means for it and for the others."""
        return classify(exc)

    def lease(self) -> None:
        """Lease a row before its INSERT: from the commit on it is the caller's to send."""
        self.lease_token = uuid.uuid4()
        self.leased_until = Now() + lease_duration()

    def release(self) -> None:
        """Give a claimed row back untried."""
        self.release_all([self])

    @classmethod
    def release_all(cls, rows: Iterable[Self]) -> None:
        """Give claimed rows back untried, in one statement; what others hold by now stays so."""
        token_of = {row.pk: row.lease_token for row in rows}
        tokens = set(token_of.values())
        held = cls._default_manager.filter(pk__in=list(token_of), lease_token__in=tokens)
        held.update(leased_until=None, lease_token=None)

    def mark_sent(self, entry: AttemptEntry) -> bool:
        """Record that the provider accepted the mail; False if the lease was not ours any more."""
        return self._mark(
            entry,
            email_status=EmailStatus.SENT,
            sent_at=timezone.now(),
            attempts=self.attempts + 1,
            last_error="",
        )

    def mark_failure(self, failure: Failure, entry: AttemptEntry) -> bool:
        """Record a failed attempt: give up, wait for a backoff, or wait for the channel.

        Return False if the lease was not ours any more; then nothing is changed.
        """
        now = timezone.now()
        since = self.retrying_since or now
        if failure.kind is FailureKind.CHANNEL:
            # Due at once, behind the others: the breaker holds all rows until a probe goes through.
            changes: dict[str, object] = {"next_attempt_at": Now(), "retrying_since": None}
        elif failure.kind is FailureKind.MESSAGE or now - since >= GIVE_UP_AFTER:
            changes = {"email_status": EmailStatus.FAILED, "attempts": self.attempts + 1}
        else:
            changes = {
                "next_attempt_at": Now() + max(backoff(self.attempts + 1), failure.retry_after),
                "retrying_since": since,
                "attempts": self.attempts + 1,
            }
        changes = {"email_status": EmailStatus.PENDING} | changes
        return self._mark(entry, last_error=str(failure), **changes)

    def _mark(self, entry: AttemptEntry, **changes: object) -> bool:
        changes |= {
            "attempt_log": [*self.attempt_log, entry][-ATTEMPTS_KEPT:],
            "leased_until": None,
            "lease_token": None,
            "updated_at": timezone.now(),
        }
        if any(isinstance(value, Expression) for value in changes.values()):
            held = type(self)._default_manager.filter(
                pk=self.pk, lease_token=self.lease_token, leased_until__gt=Now()
            )
            marked = held.update(**changes)
        else:
            marked = self._mark_plainly(changes)
        if not marked:
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True

    def _mark_plainly(self, changes: dict[str, object]) -> int:
        """The same by hand, for values alone: the ORM takes five times as long to write it.

        It is the one statement that every mail costs. Return how many rows it changed.
        """
        held = {"id": self.pk, "lease_token": self.lease_token}
        names = ", ".join(f"{name} = %s" for name in changes)
        now = DATABASE_NOW[connection.vendor]
        sql = (
            f"UPDATE {self._meta.db_table} SET {names} "  # noqa: S608  (names of columns)
            f"WHERE id = %s AND lease_token = %s AND leased_until > {now}"
        )
        fields = {field.name: field for field in self._meta.concrete_fields}
        with connection.cursor() as cursor:
            cursor.execute(
                sql,
                [
                    fields[name].get_db_prep_save(value, connection)
                    for name, value in (*changes.items(), *held.items())
                ],
            )
            return int(cursor.rowcount)
