"""manage.py resend_failed_emails, run by hand and from cron."""

import os
import signal
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ctxfy_support.tests.scripted_smtp_server import Answer
from support.delivery import attempts
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=1)


def run(*arguments):
    """Return (last line, exit status, everything on standard output)."""
    out, status = StringIO(), 0
    try:
        call_command("resend_failed_emails", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as exc:
        status = exc.code
    return out.getvalue().splitlines()[-1], status, out.getvalue()


def test_sends_failed_and_pending_whether_due_or_not(provider):
    TicketFactory(email_status="failed", next_attempt_at=None)
    TicketFactory()
    TicketFactory(next_attempt_at=timezone.now() + LATER)
    assert run()[:2] == ("sent=3 pending=0 failed=0", 0)
    assert len(provider.messages) == 3
    assert set(Ticket.objects.values_list("email_status", flat=True)) == {"sent"}


def test_leaves_sent_and_stored_alone(provider):
    TicketFactory(email_status="sent")
    TicketFactory(email_status="stored")
    assert run()[:2] == ("sent=0 pending=0 failed=0", 0)
    assert not provider.messages


def test_sends_over_one_connection(provider):
    TicketFactory.create_batch(5)
    run()
    assert len({message.connection for message in provider.messages}) == 1


def test_takes_what_a_killed_process_left(provider):
    TicketFactory(leased_until=timezone.now() - timedelta(seconds=1))
    assert run()[0] == "sent=1 pending=0 failed=0"


def test_leaves_a_row_in_living_hands(provider):
    TicketFactory(leased_until=timezone.now() + timedelta(minutes=1))
    assert run()[:2] == ("sent=0 pending=0 failed=0", 0)


def test_takes_only_what_is_due(provider):
    due = TicketFactory()
    TicketFactory(next_attempt_at=timezone.now() + LATER)
    TicketFactory(email_status="failed", next_attempt_at=None)
    assert run("--due")[0] == "sent=1 pending=0 failed=0"
    assert Ticket.objects.get(email_status="sent") == due


def test_takes_the_oldest_first_up_to_the_limit(provider):
    tickets = [
        TicketFactory(created_at=timezone.now() - timedelta(days=days)) for days in (1, 3, 2)
    ]
    assert run("--limit", "2")[0] == "sent=2 pending=0 failed=0"
    assert Ticket.objects.get(email_status="pending") == tickets[0]


def test_takes_the_tickets_named(provider):
    tickets = TicketFactory.create_batch(3)
    stored = TicketFactory(email_status="stored")
    names = [f"--ticket={ticket.pk}" for ticket in (tickets[1], stored)]
    assert run(*names)[0] == "sent=2 pending=0 failed=0"
    assert set(Ticket.objects.filter(email_status="sent")) == {tickets[1], stored}


def test_takes_what_was_only_stored_where_it_is_asked_to(provider):
    stored = TicketFactory(email_status="stored", next_attempt_at=None)
    TicketFactory()
    line, status, out = run("--stored", "--dry-run")
    assert (line, status) == ("sent=0 pending=2 failed=0", 1)
    assert f"{stored.pk}" in out
    assert not provider.messages
    assert run("--stored")[:2] == ("sent=2 pending=0 failed=0", 0)
    assert set(Ticket.objects.values_list("email_status", flat=True)) == {"sent"}


def test_takes_what_was_only_stored_since(provider):
    old = timezone.now() - timedelta(days=3)
    TicketFactory(email_status="stored", created_at=old, next_attempt_at=None)
    TicketFactory(email_status="stored", next_attempt_at=None)
    since = (timezone.now() - timedelta(days=1)).isoformat()
    assert run("--stored", "--since", since)[0] == "sent=1 pending=0 failed=0"


def test_takes_tickets_since(provider):
    TicketFactory(created_at=timezone.now() - timedelta(days=3))
    new = TicketFactory()
    since = (timezone.now() - timedelta(days=1)).isoformat()
    assert run("--since", since)[0] == "sent=1 pending=0 failed=0"
    assert Ticket.objects.get(email_status="sent") == new


def test_says_what_it_would_send(provider):
    ticket = TicketFactory(attempts=3, last_error="transient 451: The mail server asked to wait")
    failed = TicketFactory(email_status="failed")
    last_line, status, out = run("--dry-run")
    assert (last_line, status) == ("sent=0 pending=1 failed=1", 1)
    assert f"{ticket.pk}" in out
    assert "transient 451" in out
    assert f"{failed.pk}" in out
    assert not provider.messages


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ticket", "x"),
        ("--ticket", "01a20c5d-797b-7721-a7a7-b8996c551e97"),
        ("--since", "yesterday"),
        ("--limit", "0"),
        ("--watch", "--limit", "1"),
        ("--watch", "--stored"),
        ("--due", "--stored"),
        ("--watch", "--interval", "-1"),
    ],
)
def test_refuses_bad_arguments(provider, arguments):
    TicketFactory()
    with pytest.raises(CommandError) as refusal:
        run(*arguments)
    assert getattr(refusal.value, "returncode", 2) in {1, 2}
    assert not provider.messages


def test_says_when_no_backend_is_configured():
    with pytest.raises(CommandError, match="No mail backend is configured") as refusal:
        run()
    assert refusal.value.returncode == 2


def test_reports_what_did_not_go_out(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["MAIL"] = Answer(451, "later", times=1)
    TicketFactory.create_batch(2)
    assert run()[:2] == ("sent=1 pending=1 failed=0", 1)
    assert Ticket.objects.get(email_status="pending").last_error.startswith("transient 451")


def test_does_not_grow_in_queries(provider, django_assert_max_num_queries):
    TicketFactory.create_batch(10)
    with django_assert_max_num_queries(10 * 9 + 2):
        run()


def test_gives_up_from_cron_after_72_hours(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["MAIL"] = Answer(451, "later")
    TicketFactory(retrying_since=timezone.now() - timedelta(hours=73))
    assert run("--due")[0] == "sent=0 pending=0 failed=1"


def test_starts_the_72_hours_afresh_for_a_person(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["MAIL"] = Answer(451, "later")
    TicketFactory(email_status="failed", retrying_since=timezone.now() - timedelta(hours=73))
    assert run()[0] == "sent=0 pending=1 failed=0"


def test_leaves_a_stored_ticket_to_the_workers_where_its_attempt_is_cut_short(
    provider, monkeypatch
):
    ticket = TicketFactory(email_status="stored", next_attempt_at=None)
    monkeypatch.setattr("support.outbox.OutboxMessage._mark", lambda *args, **kwargs: False)
    assert run("--ticket", str(ticket.pk))[:2] == ("sent=0 pending=1 failed=0", 1)
    monkeypatch.undo()
    Ticket.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert Ticket.objects.due().get() == ticket


def test_counts_what_it_left_when_it_was_told_to_stop(provider, monkeypatch):
    TicketFactory.create_batch(3)
    attempt = attempts.attempt

    def attempt_and_be_told(row):
        os.kill(os.getpid(), signal.SIGTERM)
        return attempt(row)

    monkeypatch.setattr("support.delivery.attempts.attempt", attempt_and_be_told)
    assert run()[:2] == ("sent=1 pending=2 failed=0", 1)


def test_stops_at_a_refused_channel_counting_the_rest(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["AUTH"] = Answer(535, "no")
    tickets = [TicketFactory(email_status=status) for status in ("pending", "failed", "stored")]
    names = [f"--ticket={ticket.pk}" for ticket in tickets]
    assert run(*names)[:2] == ("sent=0 pending=2 failed=1", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "0001-01-01T00:00:00+14:00"),
        ("--since", "9999-12-31T23:59:59-14:00"),
        ("--limit", "9" * 30),
    ],
)
def test_refuses_what_no_database_takes(provider, arguments):
    with pytest.raises(CommandError):
        run(*arguments)
