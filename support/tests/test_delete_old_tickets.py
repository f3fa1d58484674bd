"""Tickets that have been solved for long go, with all that hangs on them; their numbers stay."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from ctxfy_support.tests.dump import dump_tables
from support import removal
from support.models import InboundMail, Message, Tag, Ticket, TicketDay, TicketEvent
from support.tests.factories import TicketFactory
from support.timeline import EventKind, make_event

pytestmark = pytest.mark.django_db


def ago(**units):
    return timezone.now() - timedelta(**units)


def make_old(**changes):
    """A ticket that was solved a year ago."""
    values = {
        "state": "solved",
        "email_status": "sent",
        "created_at": ago(days=370),
        "solved_at": ago(days=365),
    }
    return TicketFactory(**values | changes)


def run(*arguments):
    """Return the last line and everything on standard output."""
    out = StringIO()
    call_command("delete_old_tickets", *arguments, stdout=out)
    return out.getvalue().splitlines()[-1], out.getvalue()


def hang_on(ticket, agent):
    """Everything that can refer to a ticket."""
    message = Message.objects.create(ticket=ticket, text="hung-on answer", email_status="sent")
    make_event(ticket.pk, agent, EventKind.NOTE, text="hung-on note").save()
    make_event(ticket.pk, agent, EventKind.REPLY, message_id=message.pk).save()
    for number, of in enumerate((None, message)):
        InboundMail.objects.create(
            ticket=ticket, message=of, digest=f"{ticket.pk}{number}", text="hung-on mail"
        )
    ticket.tags.add(Tag.objects.get_or_create(name="refund")[0])


def test_deletes_what_hangs_on_them(agent):
    for _ in range(3):
        hang_on(make_old(message="hung-on words"), agent)
    line, output = run("--older-than", "360")
    assert line == "deleted=3 left=0 unsolved=0"
    assert "6 timeline entries, 6 mails that came in, 3 tags, 3 messages, 3 tickets" in output
    assert "hung-on" not in dump_tables()
    assert Tag.objects.exists()


def test_leaves_what_is_younger(agent):
    hang_on(young := make_old(solved_at=ago(days=359)), agent)
    make_old()
    assert run("--older-than", "360")[0] == "deleted=1 left=0 unsolved=0"
    assert Ticket.objects.get() == young
    assert TicketEvent.objects.count() == 2


@pytest.mark.parametrize("state", ["new", "open", "waiting"])
def test_lets_nothing_vanish_that_nobody_solved(state):
    make_old(state=state, solved_at=None)
    assert run("--older-than", "1")[0] == "deleted=0 left=0 unsolved=1"


def test_deletes_nothing_that_is_still_to_be_mailed():
    make_old(email_status="pending")
    Message.objects.create(ticket=make_old(), text="On its way")
    assert run("--older-than", "1")[0] == "deleted=0 left=0 unsolved=0"
    assert Ticket.objects.count() == 2


def test_leaves_what_is_being_sent_to_the_next_run():
    held = make_old(leased_until=timezone.now() + timedelta(minutes=1))
    answered = make_old()
    Message.objects.create(
        ticket=answered,
        text="On its way",
        email_status="failed",
        leased_until=timezone.now() + timedelta(minutes=1),
    )
    make_old()
    assert run("--older-than", "1")[0] == "deleted=1 left=2 unsolved=0"
    assert set(Ticket.objects.all()) == {held, answered}


def test_says_what_it_would_delete(agent):
    hang_on(make_old(), agent)
    line, output = run("--older-than", "1", "--dry-run")
    assert line == "deleted=1 left=0 unsolved=0"
    assert "2 timeline entries, 2 mails that came in, 1 tags, 1 messages, 1 tickets" in output
    assert Ticket.objects.count() == 1


def test_keeps_the_age_of_the_settings(settings):
    make_old()
    settings.TICKET_RETENTION_DAYS = 366
    assert run()[0] == "deleted=0 left=0 unsolved=0"
    settings.TICKET_RETENTION_DAYS = 30
    assert run()[0] == "deleted=1 left=0 unsolved=0"


def test_asks_for_an_age():
    with pytest.raises(CommandError, match="TICKET_RETENTION_DAYS") as refusal:
        run()
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "x"])
def test_takes_whole_days_alone(days):
    with pytest.raises(CommandError):
        run("--older-than", days)


def test_goes_in_batches_and_rests(agent, monkeypatch, django_assert_max_num_queries):
    rests = []
    monkeypatch.setattr(removal, "BATCH", 2)
    monkeypatch.setattr(removal.time, "sleep", rests.append)
    for _ in range(5):
        make_old(solved_at=ago(days=300))
    with django_assert_max_num_queries(60):
        assert run("--older-than", "1")[0] == "deleted=5 left=0 unsolved=0"
    assert len(rests) == 3


def test_takes_no_two_days_for_one(desk):
    """The chart of the last 30 days says the same before and after."""
    make_old(created_at=ago(days=5), solved_at=ago(days=3))
    make_old(created_at=ago(days=5), solved_at=ago(days=4))
    TicketFactory(created_at=ago(days=5))
    before = desk.get(reverse("admin:index")).context["days"]
    run("--older-than", "2")
    assert Ticket.objects.count() == 1
    assert desk.get(reverse("admin:index")).context["days"] == before
    assert sum(day["created"] for day in before) == 3


def test_counts_a_day_once_however_many_runs():
    for _ in range(2):
        make_old(created_at=ago(days=5), solved_at=ago(days=3))
        run("--older-than", "2")
    days = dict(TicketDay.objects.values_list("day", "created"))
    assert days == {ago(days=5).date(): 2, ago(days=3).date(): 0}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's writers take turns")
def test_waits_for_nobody_who_works_on_a_ticket():
    held, _ = make_old(), make_old()

    def delete():
        try:
            return run("--older-than", "1")[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        Ticket.objects.select_for_update(no_key=True).get(pk=held.pk)
        assert threads.submit(delete).result(30) == "deleted=1 left=1 unsolved=0"
    assert Ticket.objects.get() == held


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's writers take turns")
def test_sees_a_claim_that_is_just_being_made():
    ticket = make_old()
    message = Message.objects.create(ticket=ticket, text="Again", email_status="failed")

    def delete():
        try:
            return run("--older-than", "1")[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            Message.objects.filter(pk=message.pk).claim()
            running = threads.submit(delete)
            while not running.done() and not somebody_waits():
                time.sleep(0.01)
        assert running.result(30) == "deleted=0 left=1 unsolved=0"


def somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]
