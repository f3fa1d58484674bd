"""Many mails for one claim, and what becomes of those that are not tried."""

import contextlib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from ctxfy_support.tests.loopback import Meanwhile
from ctxfy_support.tests.scripted_smtp_server import Answer
from support.delivery import batches
from support.delivery.batches import HOLD, LARGEST, Pace, attempt_due
from support.models import Ticket
from support.outbox import lease_duration
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

ENTRY = {"outcome": "sent"}


@pytest.fixture
def server(use_mail, scripted_smtp_server):
    return use_mail(scripted_smtp_server)


@pytest.fixture
def clock(monkeypatch):
    """The clock that says whether there is still time, in the test's hands."""
    clock = SimpleNamespace(now=1_000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(batches, "time", clock)
    return clock


def pace_of(count):
    pace = Pace()
    pace.count = count
    return pace


def free():
    """The pending rows that anybody may take at once."""
    return Ticket.objects.filter(email_status="pending", leased_until=None, lease_token=None)


def test_leases_so_many_rows_in_their_order_and_no_more():
    tickets = [
        TicketFactory(next_attempt_at=timezone.now() - timedelta(minutes=age))
        for age in (1, 5, 3, 4, 2)
    ]
    rows = Ticket.objects.due().order_by("next_attempt_at").claim_many(3)
    assert rows == [tickets[1], tickets[3], tickets[2]]
    assert Ticket.objects.filter(leased_until__gt=timezone.now()).count() == 3
    assert len(Ticket.objects.due().claim_many(9)) == 2


def test_leases_for_as_much_longer_as_the_last_may_wait():
    TicketFactory()
    before = timezone.now()
    [row] = Ticket.objects.due().claim_many(1, HOLD)
    assert row.leased_until > before + HOLD + lease_duration() - timedelta(seconds=1)


def test_marks_and_releases_each_row_of_a_claim_alone():
    TicketFactory.create_batch(3)
    first, second, third = Ticket.objects.order_by("pk").claim_many(3)
    assert first.mark_sent(ENTRY)
    second.release()
    statuses = Ticket.objects.order_by("pk").values_list("email_status", "lease_token")
    assert list(statuses) == [("sent", None), ("pending", None), ("pending", third.lease_token)]


def test_reads_the_account_with_the_rows(django_assert_num_queries):
    TicketFactory.create_batch(3)
    with django_assert_num_queries(2):
        assert len({row.user.username for row in Ticket.objects.claim_many(3)}) == 3


def test_costs_one_statement_a_mail(server, django_assert_max_num_queries):
    TicketFactory.create_batch(40)
    list(attempt_due(pace_of(1)))
    with django_assert_max_num_queries(30 + 3 + 2):
        assert len(list(attempt_due(pace_of(30)))) == 30


def test_gives_back_what_there_is_no_time_for(server, clock):
    """A server that has become slow; or this process was stopped past its leases meanwhile."""
    server.faults["."] = Meanwhile(
        lambda: setattr(clock, "now", clock.now + HOLD.total_seconds()), times=1
    )
    TicketFactory.create_batch(3)
    pace = pace_of(3)
    assert len(list(attempt_due(pace))) == 1
    assert free().count() == 2
    assert len(server.messages) == 1
    assert pace.count == 1


def test_tries_nothing_after_a_claim_that_took_too_long(server, clock):
    def stop_after_the_claim(execute, sql, *arguments):
        clock.now += 100 if sql.startswith("UPDATE") and "lease_token" in sql else 0
        return execute(sql, *arguments)

    TicketFactory.create_batch(3)
    with connection.execute_wrapper(stop_after_the_claim):
        assert not list(attempt_due(pace_of(3)))
    assert not server.messages
    assert free().count() == 3


def test_tries_no_more_where_an_outcome_was_not_recorded(server, monkeypatch):
    """The database is away: each further mail would go out twice."""
    monkeypatch.setattr("support.outbox.OutboxMessage._mark", lambda *args, **kwargs: False)
    TicketFactory.create_batch(3)
    assert len(list(attempt_due(pace_of(3)))) == 1
    assert len(server.messages) == 1
    assert free().count() == 2


def test_stops_at_a_refused_channel(server):
    server.faults["AUTH"] = Answer(535, "no")
    TicketFactory.create_batch(3)
    assert len(list(attempt_due(pace_of(3)))) == 1
    assert free().count() == 3


def test_gives_back_the_rest_where_nobody_wants_it_any_more(server):
    TicketFactory.create_batch(3)
    with contextlib.closing(attempt_due(pace_of(3))) as tries:
        next(tries)
    assert free().count() == 2


@pytest.mark.parametrize(
    ("before", "tried", "seconds", "after"),
    [
        (1, 1, 0.001, 4),
        (16, 16, 0.1, 40),
        (50, 50, 0.05, LARGEST),
        (50, 2, 3.0, 1),
        (50, 0, 5.0, 1),
        (20, 20, 1.0, 5),
    ],
)
def test_claims_what_takes_a_moment(before, tried, seconds, after):
    pace = pace_of(before)
    pace.note(tried, seconds)
    assert pace.count == after
