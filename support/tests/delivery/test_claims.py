"""One sender at a time: claims, leases and the token that fences off whoever comes too late."""

import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from ctxfy_support.tests.loopback import Meanwhile
from support.delivery import attempts
from support.failures import Failure, FailureKind
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="row locks")
ENTRY = {"outcome": "sent"}


def claim(ticket):
    return Ticket.objects.filter(pk=ticket.pk).claim()


def end_leases():
    """Let as much time pass as every lease has left."""
    past = timezone.now() - timedelta(seconds=1)
    Ticket.objects.filter(leased_until__isnull=False).update(leased_until=past)


def row_of(ticket):
    return Ticket.objects.filter(pk=ticket.pk).values().get()


def in_threads(functions):
    """Run all of them at once, each with a database connection of its own; return the results."""
    results, barrier = [], threading.Barrier(len(functions))

    def run(function):
        try:
            barrier.wait()
            results.append(function())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_gives_a_row_to_one_of_two():
    ticket = TicketFactory()
    first, second = claim(ticket), claim(ticket)
    assert first == ticket
    assert second is None


def test_gives_a_row_again_once_its_lease_is_over():
    ticket = TicketFactory()
    first = claim(ticket)
    end_leases()
    second = claim(ticket)
    assert second == first
    assert second.lease_token != first.lease_token


def test_gives_the_row_whose_time_came_first():
    tickets = [
        TicketFactory(next_attempt_at=timezone.now() - timedelta(minutes=age)) for age in (1, 3, 2)
    ]
    rows = Ticket.objects.due().order_by("next_attempt_at")
    assert [rows.claim() for _ in range(4)] == [tickets[1], tickets[2], tickets[0], None]


@pytest.mark.parametrize("kind", [None, *FailureKind])
@pytest.mark.parametrize("taken", [False, True])
def test_changes_nothing_after_the_lease_has_gone(kind, taken):
    late = claim(TicketFactory())
    end_leases()
    if taken:
        claim(late)
    before = row_of(late)
    failure = kind and Failure(kind, "xyzzy", "xyzzy")
    marked = late.mark_failure(failure, ENTRY) if failure else late.mark_sent(ENTRY)
    assert not marked
    assert row_of(late) == before


def test_changes_nothing_where_the_next_sender_has_finished():
    late = claim(TicketFactory())
    end_leases()
    assert claim(late).mark_sent(ENTRY)
    before = row_of(late)
    assert not late.mark_failure(Failure(FailureKind.MESSAGE, "550", "Refused"), ENTRY)
    late.release()
    assert row_of(late) == before


def test_does_not_free_what_another_holds():
    late = claim(TicketFactory())
    end_leases()
    holder = claim(late)
    late.release()
    assert claim(late) is None
    assert holder.mark_sent(ENTRY)


def test_frees_what_it_holds():
    ticket = TicketFactory()
    claim(ticket).release()
    assert claim(ticket) == ticket


def test_holds_for_longer_than_an_attempt_may_take(settings):
    settings.SUPPORT_EMAIL_DEADLINE = 60
    held = claim(TicketFactory())
    assert held.leased_until > timezone.now() + timedelta(seconds=60)


@pytest.mark.parametrize("hours", [-24, 24])
def test_goes_by_the_clock_of_the_database(monkeypatch, hours):
    ticket = TicketFactory()
    wrong = timezone.now() + timedelta(hours=hours)
    monkeypatch.setattr(timezone, "now", lambda: wrong)
    held = Ticket.objects.due().claim()
    assert held == ticket
    assert Ticket.objects.due().claim() is None
    assert held.mark_sent(ENTRY)


def test_comes_back_with_nothing_where_it_was_stopped_past_its_lease():
    """Stopped after the claim and before it read the row, which another has by now."""
    ticket = TicketFactory()

    def stop_before_the_row_is_read(execute, sql, *arguments):
        if sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.cursor.execute("UPDATE support_tickets SET lease_token = NULL")
        return execute(sql, *arguments)

    with connection.execute_wrapper(stop_before_the_row_is_read):
        assert claim(ticket) is None


@pytest.mark.django_db(transaction=True)
def test_holds_a_new_row_while_its_request_sends_it(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    claims = []
    claim_it = lambda: claims.extend(in_threads([Ticket.objects.unleased().claim] * 2))  # noqa: E731
    scripted_smtp_server.faults["."] = Meanwhile(claim_it)
    assert post().json()["status"] == "sent"
    assert claims == [None, None]
    assert Ticket.objects.get().lease_token is None


@pytest.mark.django_db(transaction=True)
def test_records_nothing_that_took_longer_than_the_lease(post, use_mail, scripted_smtp_server):
    """The request is stopped past its lease in mid-send; a worker sends the mail meanwhile."""
    use_mail(scripted_smtp_server)

    def another_sends_it():
        in_threads([end_leases])
        in_threads([attempts.attempt_next])

    scripted_smtp_server.faults["."] = Meanwhile(another_sends_it, times=1)
    assert post().status_code == 201
    ticket = Ticket.objects.get()
    assert (ticket.email_status, ticket.attempts, len(ticket.attempt_log)) == ("sent", 1, 1)
    assert len({mail.header("Message-ID") for mail in scripted_smtp_server.wait_for(2)}) == 1


@pytest.mark.django_db(transaction=True)
def test_gives_each_row_once_to_callers_at_once():
    tickets = TicketFactory.create_batch(40)

    def claim_ten():
        return [Ticket.objects.due().order_by("next_attempt_at").claim() for _ in range(10)]

    claims = Counter(row for rows in in_threads([claim_ten] * 4) for row in rows)
    assert claims == Counter(tickets)


@only_postgres
@pytest.mark.django_db(transaction=True)
def test_steps_over_a_row_that_another_is_deciding_about():
    first, second = TicketFactory.create_batch(2)
    rows = Ticket.objects.due().order_by("created_at")
    with transaction.atomic():
        Ticket.objects.select_for_update().get(pk=first.pk)
        assert in_threads([rows.claim]) == [second]


def test_has_a_token_of_its_own_each_time():
    held = [claim(TicketFactory()) for _ in range(3)]
    assert len({row.lease_token for row in held}) == 3
    assert all(isinstance(row.lease_token, uuid.UUID) for row in held)
