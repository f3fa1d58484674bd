"""The rules of a row that is mailed, each at its edge: how long, how often, which rows."""

import random
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import IntegrityError
from django.utils import timezone

from accounts.tests.factories import APIKeyFactory
from support import outbox
from support.failures import Failure, FailureKind
from support.models import Message, Ticket
from support.outbox import backoff, lease_duration, outbox_indexes
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
LATER = Failure(FailureKind.TRANSIENT, "451", "Later")
REFUSED = Failure(FailureKind.MESSAGE, "552", "Refused")
CHANNEL = Failure(FailureKind.CHANNEL, "535", "Password")
FIELDS = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice"}


def entry(number=0):
    return {"at": str(number), "ms": 5, "outcome": "x", "kind": "", "code": "", "text": ""}


def claim(**columns):
    ticket = TicketFactory(**columns)
    return Ticket.objects.filter(pk=ticket.pk).claim()


@pytest.fixture
def stopped_clock(monkeypatch):
    """Our own clock, stopped; the database's goes on."""
    now = timezone.now()
    monkeypatch.setattr(outbox, "timezone", SimpleNamespace(now=lambda: now))
    return now


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 10), (2, 20), (3, 40), (8, 1_280), (9, 2_560), (10, 3_600), (11, 3_600), (99_999, 3_600)],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_waits_a_share_of_a_ceiling_that_doubles(monkeypatch, attempts, seconds, share):
    monkeypatch.setattr(random, "random", lambda: share)
    assert backoff(attempts) == timedelta(seconds=seconds * share)


def test_leases_for_the_deadline_and_time_to_record(settings):
    settings.SUPPORT_EMAIL_DEADLINE = 5
    assert lease_duration() == timedelta(seconds=20)
    before = timezone.now()
    held = claim()
    assert before + 19 * SECOND < held.leased_until < timezone.now() + 21 * SECOND


def test_records_a_mail_that_was_accepted():
    before = timezone.now()
    row = claim(attempts=3, last_error="transient 451: Later", updated_at=before - HOUR)
    assert row.mark_sent(entry())
    for ticket in (row, Ticket.objects.get()):
        assert (ticket.email_status, ticket.attempts, ticket.last_error) == ("sent", 4, "")
        assert (ticket.leased_until, ticket.lease_token) == (None, None)
        assert before <= ticket.sent_at <= timezone.now()
        assert before <= ticket.updated_at <= timezone.now()
        assert ticket.attempt_log == [entry()]


def test_records_a_mail_that_was_refused():
    due_at = timezone.now() - HOUR
    row = claim(attempts=3, next_attempt_at=due_at)
    assert row.mark_failure(REFUSED, entry())
    for ticket in (row, Ticket.objects.get()):
        assert (ticket.email_status, ticket.attempts) == ("failed", 4)
        assert ticket.last_error == "message 552: Refused"
        assert (ticket.sent_at, ticket.retrying_since, ticket.lease_token) == (None, None, None)
        assert ticket.next_attempt_at == due_at


@pytest.mark.parametrize("asked", [0, 7_200])
def test_records_when_to_try_again(monkeypatch, asked):
    monkeypatch.setattr(random, "random", lambda: 1.0)
    before = timezone.now()
    failure = Failure(FailureKind.TRANSIENT, "451", "Later", timedelta(seconds=asked))
    assert claim(attempts=3).mark_failure(failure, entry())
    ticket = Ticket.objects.get()
    assert (ticket.email_status, ticket.attempts) == ("pending", 4)
    assert ticket.last_error == "transient 451: Later"
    assert before <= ticket.retrying_since <= timezone.now()
    wait = timedelta(seconds=max(80, asked))
    assert before + wait - SECOND < ticket.next_attempt_at < timezone.now() + wait + SECOND


def test_counts_no_attempt_while_the_channel_is_down():
    before = timezone.now() - SECOND
    due_at = before - HOUR
    row = claim(attempts=3, retrying_since=before - HOUR, next_attempt_at=due_at)
    assert row.mark_failure(CHANNEL, entry())
    ticket = Ticket.objects.get()
    assert (ticket.email_status, ticket.attempts) == ("pending", 3)
    assert ticket.retrying_since is None
    assert before <= ticket.next_attempt_at <= timezone.now() + SECOND


@pytest.mark.parametrize(
    ("since", "status"),
    [(72 * HOUR + SECOND, "failed"), (72 * HOUR, "failed"), (72 * HOUR - SECOND, "pending")],
)
def test_gives_up_after_72_hours_to_the_second(stopped_clock, since, status):
    row = claim(attempts=3, retrying_since=stopped_clock - since)
    assert row.mark_failure(LATER, entry())
    ticket = Ticket.objects.get()
    assert (ticket.email_status, ticket.attempts) == (status, 4)
    assert ticket.retrying_since == stopped_clock - since


@pytest.mark.parametrize("kind", ["refused", "later", "channel"])
def test_is_pending_again_or_failed_whatever_it_was_before(kind):
    """A row that was only stored, or given up, and is tried because a person says so."""
    failure = {"refused": REFUSED, "later": LATER, "channel": CHANNEL}[kind]
    for status in ("stored", "failed"):
        row = claim(email_status=status)
        assert row.mark_failure(failure, entry())
        row.refresh_from_db()
        assert row.email_status == ("failed" if kind == "refused" else "pending")


def test_keeps_the_newest_hundred_attempts():
    row = claim(attempt_log=[entry(number) for number in range(99)])
    assert row.mark_failure(LATER, entry(99))
    assert len(Ticket.objects.get().attempt_log) == 100
    again = Ticket.objects.filter(pk=row.pk).claim()
    assert again.mark_sent(entry(100))
    assert Ticket.objects.get().attempt_log == [entry(number) for number in range(1, 101)]


def test_marks_no_other_row():
    row, other = claim(), claim()
    assert row.mark_sent(entry())
    other.refresh_from_db()
    assert (other.email_status, other.lease_token is None) == ("pending", False)
    other.release()
    other.refresh_from_db()
    assert (other.leased_until, other.lease_token) == (None, None)


def test_releases_no_other_row():
    row, other = claim(), claim()
    row.release()
    other.refresh_from_db()
    assert other.leased_until
    assert other.lease_token


def test_is_in_its_first_attempt_while_a_sender_holds_it_that_has_recorded_none():
    assert claim().is_in_first_attempt()
    assert not claim(attempt_log=[entry()]).is_in_first_attempt()
    assert not TicketFactory().is_in_first_attempt()
    over = timezone.now() - SECOND
    assert not TicketFactory(leased_until=over).is_in_first_attempt()


def test_is_not_in_its_first_attempt_from_the_end_of_the_lease_on(stopped_clock):
    assert Ticket(leased_until=stopped_clock + SECOND).is_in_first_attempt()
    assert not Ticket(leased_until=stopped_clock).is_in_first_attempt()


def test_reads_no_row_where_there_is_none_to_take(django_assert_num_queries):
    with django_assert_num_queries(1):  # The statement that decides.
        assert Ticket.objects.due().claim() is None


def test_knows_what_an_exception_means():
    assert Ticket().classify(TimeoutError()).code == "connection"


def make_rows():
    """One row of each kind, by name."""
    now = timezone.now()
    soon, over = now + HOUR, now - SECOND
    states = {
        "due": {},
        "waits": {"next_attempt_at": soon},
        "held": {"leased_until": soon},
        "left": {"leased_until": over},
        "failed": {"email_status": "failed"},
        "sent": {"email_status": "sent"},
        "stored": {"email_status": "stored", "next_attempt_at": None},
    }
    return {name: TicketFactory(type=name, **columns) for name, columns in states.items()}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("due", {"due", "left"}),
        ("unsent", {"due", "waits", "held", "left", "failed"}),
        ("unleased", {"due", "waits", "left", "failed", "sent", "stored"}),
        ("resendable", {"due", "waits", "left", "failed", "stored"}),
    ],
)
def test_knows_its_rows(method, expected):
    make_rows()
    assert {row.type for row in getattr(Ticket.objects, method)()} == expected


def test_queues_again_what_was_not_sent():
    rows = make_rows()
    since, before = timezone.now() - HOUR, timezone.now() - SECOND
    Ticket.objects.update(retrying_since=since, updated_at=since)
    Ticket.objects.queue_again()
    for name, row in rows.items():
        row.refresh_from_db()
        if name in {"held", "sent"}:
            assert (row.retrying_since, row.updated_at) == (since, since)
        else:
            assert (row.email_status, row.retrying_since) == ("pending", None)
            assert before <= row.next_attempt_at <= timezone.now() + SECOND
            assert before <= row.updated_at <= timezone.now()


def test_wakes_what_waits_because_of_one_of_these_errors():
    now = timezone.now()
    soon = now + HOUR
    errors = {
        "deadline": {"last_error": "transient deadline: Too late"},
        "connection": {"last_error": "transient connection: Gone"},
        "busy": {"last_error": "transient 451: Later"},
        "quotes": {"last_error": "transient 451: not transient deadline: x"},
        "never tried": {},
        "held": {"last_error": "transient deadline: Too late", "leased_until": soon},
        "failed": {"last_error": "transient deadline: Too late", "email_status": "failed"},
    }
    for name, columns in errors.items():
        TicketFactory(type=name, next_attempt_at=soon, **columns)
    due = TicketFactory(last_error="transient deadline: Too late")
    Ticket.objects.wake(["transient deadline:", "transient connection:"])
    woken = Ticket.objects.exclude(pk=due.pk).filter(next_attempt_at__lt=soon)
    assert {row.type for row in woken} == {"deadline", "connection"}
    assert all(now - SECOND <= row.next_attempt_at <= timezone.now() + SECOND for row in woken)
    assert Ticket.objects.get(pk=due.pk).next_attempt_at == due.next_attempt_at


def test_wakes_nothing_without_an_error():
    TicketFactory(next_attempt_at=timezone.now() + HOUR)
    Ticket.objects.wake([])
    assert not Ticket.objects.due().exists()


def test_reports_an_empty_queue():
    TicketFactory(email_status="sent")
    expected = {"pending": 0, "failed": 0, "oldest_pending_seconds": 0.0}
    assert Ticket.objects.queue_report() == expected


def test_reports_its_queue(stopped_clock):
    for hours, status in ((1, "pending"), (3, "pending"), (5, "failed"), (7, "sent")):
        TicketFactory(created_at=stopped_clock - hours * HOUR, email_status=status)
    expected = {"pending": 2, "failed": 1, "oldest_pending_seconds": 10_800.0}
    assert Ticket.objects.queue_report() == expected


def test_reports_no_age_below_zero(stopped_clock):
    """Rows of a host whose clock is ahead."""
    TicketFactory(created_at=stopped_clock + HOUR)
    assert Ticket.objects.queue_report()["oldest_pending_seconds"] == 0.0


@pytest.mark.parametrize("model", [Ticket, Message])
def test_has_the_indexes_of_its_queries(model):
    assert len(outbox_indexes(model._meta.db_table)) == 2
    for index in outbox_indexes(model._meta.db_table):
        assert index in model._meta.indexes


def submit(key, leased=False, **fields):
    return Ticket.objects.submit(key, FIELDS | fields, leased=leased)


def test_stores_a_ticket_with_its_account(settings):
    settings.SUPPORT_EMAIL = ""
    key = APIKeyFactory(name="CI")
    ticket, created = submit(key)
    assert created
    ticket.refresh_from_db()
    assert (ticket.user, ticket.subscription_plan, ticket.token_balance) == (key.user, "pro", 1_000)
    assert (ticket.api_key_prefix, ticket.api_key_name) == (key.key_prefix, "CI")
    assert (ticket.email_status, ticket.next_attempt_at) == ("stored", None)
    assert (ticket.leased_until, ticket.lease_token) == (None, None)
    assert (ticket.idempotency_key, ticket.content_digest) == (None, "")


def test_leases_a_ticket_for_whoever_sends_it_at_once(use_mail, smtp_server):
    use_mail(smtp_server, SUPPORT_EMAIL_DEADLINE="5")
    before = timezone.now()
    ticket, _ = submit(APIKeyFactory(), leased=True)
    held = Ticket.objects.get()
    assert held.lease_token == ticket.lease_token is not None
    assert before + 19 * SECOND < held.leased_until < timezone.now() + 21 * SECOND
    assert before - SECOND <= held.next_attempt_at <= timezone.now() + SECOND


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("idempotency_key", [None, "unused"])
def test_takes_no_other_conflict_for_a_repeated_key(idempotency_key):
    first, key = TicketFactory(), APIKeyFactory()
    TicketFactory(user=key.user)
    fields = FIELDS | {"id": first.pk}
    with pytest.raises(IntegrityError):
        Ticket.objects.submit(key, fields, leased=False, idempotency_key=idempotency_key)
