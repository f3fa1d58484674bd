"""What an operator reads of the mail, and what the row keeps of each attempt."""

import logging
import re
import threading
from datetime import timedelta
from functools import partial
from itertools import count
from types import SimpleNamespace

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError, connection
from django.utils import timezone

from ctxfy_support.metrics import counters
from ctxfy_support.tests.loopback import Close, Meanwhile
from ctxfy_support.tests.scripted_smtp_server import Answer
from support import outbox
from support.delivery import attempts
from support.mail_channel import MailChannel
from support.models import Message, Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

REFUSED = Answer(535, "5.7.8 Username and Password not accepted")


class SilentBackend(BaseEmailBackend):
    """Takes mails and says that it has sent none."""

    def send_messages(self, email_messages):
        return 0


@pytest.fixture
def server(use_mail, scripted_smtp_server):
    return use_mail(scripted_smtp_server)


@pytest.fixture
def said(caplog):
    """`said()`: rows (level, line) of what the attempts said since the last call."""
    caplog.set_level(logging.INFO)

    def said():
        lines = [
            (record.levelname, record.getMessage())
            for record in caplog.records
            if record.name == attempts.__name__
        ]
        caplog.clear()
        return lines

    return said


def held():
    return Ticket.objects.filter(pk=TicketFactory().pk).claim()


def database_away_for(words):
    """Let each statement fail that contains these words."""

    def fail(execute, sql, *arguments):
        if words in sql:
            raise OperationalError("xyzzy")
        return execute(sql, *arguments)

    return connection.execute_wrapper(fail)


def let_the_probe_come_due():
    past = timezone.now() - timedelta(seconds=1)
    MailChannel.objects.update(next_probe_at=past)


def test_says_that_a_mail_was_accepted(server, said):
    row = held()
    assert attempts.attempt(row) is None
    assert said() == [("INFO", f"Mail {row.pk} was accepted")]


def test_counts_each_attempt_by_what_became_of_it(server, client):
    attempts.attempt(held())
    server.faults["."] = Answer(554, "xyzzy")
    for _ in range(2):
        attempts.attempt(held())
    counters.flush()
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'support_mail_attempts_total{outcome="sent"} 1' in lines
    assert 'support_mail_attempts_total{outcome="failed",class="message"} 2' in lines


def test_is_back_where_a_ticket_goes_out_and_support_was_refused(server):
    server.faults["RCPT"] = Answer(550, "xyzzy", times=1)
    attempts.attempt(held())
    MailChannel.objects.update(failing_since=timezone.now() - timedelta(seconds=60))
    reply = Message.objects.create(ticket=Ticket.objects.get(), to="ada@example.com", text="Yes.")
    assert attempts.attempt(Message.objects.filter(pk=reply.pk).claim()) is None
    assert MailChannel.objects.get().failing_since
    assert attempts.attempt(held()) is None
    assert MailChannel.objects.get().failing_since is None


@pytest.mark.parametrize(
    ("code", "level", "why"),
    [
        (451, "WARNING", "transient 451: The mail server asked to try again later"),
        (554, "ERROR", "message 554: The mail server refused this mail"),
    ],
)
def test_says_why_a_mail_was_not(server, said, code, level, why):
    server.faults["."] = Answer(code, "xyzzy")
    row = held()
    assert str(attempts.attempt(row)) == why
    assert said() == [(level, f"Mail {row.pk} was not accepted: {why}")]


def test_says_that_an_attempt_came_too_late(server, said):
    row = held()
    Ticket.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    attempts.attempt(row)
    line = f"Mail {row.pk}: the attempt ended after its lease and is not recorded"
    assert said() == [("WARNING", line)]


def test_says_what_nobody_expected(settings, server, said):
    settings.EMAIL_BACKEND = f"{__name__}.{SilentBackend.__name__}"
    row = held()
    failure = attempts.attempt(row)
    text = "Sending failed in an unexpected way (RuntimeError)"
    assert str(failure) == f"transient unexpected: {text}"
    assert said() == [
        ("ERROR", f"Sending {row.pk} failed in an unexpected way"),
        ("WARNING", f"Mail {row.pk} was not accepted: transient unexpected: {text}"),
    ]
    row.refresh_from_db()
    assert (row.email_status, row.attempts) == ("pending", 1)


def test_says_that_a_mail_could_not_be_read(server, said):
    row = Ticket.objects.get(pk=held().pk)  # As a request has it: without the account.
    with database_away_for("accounts_user"):
        failure = attempts.attempt(row)
    assert str(failure) == "transient database: The database did not answer"
    assert said() == [("ERROR", f"Mail {row.pk} could not be read from the database")]
    before = Ticket.objects.get()
    assert (before.attempts, before.attempt_log, before.lease_token) == (0, [], row.lease_token)
    assert not server.messages


@pytest.mark.django_db(transaction=True)
def test_says_that_an_outcome_could_not_be_recorded(server, said):
    row = held()
    with database_away_for("UPDATE"):
        assert attempts.attempt(row) is None
    assert said() == [("ERROR", f"What became of {row.pk} could not be recorded")]
    assert Ticket.objects.get().lease_token == row.lease_token


def test_says_that_there_is_no_thread_for_a_probe(server, post, said, monkeypatch):
    server.faults["AUTH"] = REFUSED
    post()
    said()

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert post().json()["status"] == "pending"
    assert said() == []  # It asked for none: no probe is due.
    let_the_probe_come_due()
    assert post().json()["status"] == "pending"
    assert said() == [("ERROR", "No thread for a probe")]


@pytest.mark.django_db(transaction=True)
def test_says_that_the_channel_could_not_be_probed(server, said, monkeypatch):
    def fail():
        raise OperationalError("xyzzy")

    monkeypatch.setattr(attempts, "attempt_next", fail)
    thread = threading.Thread(target=attempts._probe)
    thread.start()
    thread.join()
    assert said() == [("ERROR", "The channel could not be probed")]


@pytest.mark.django_db(transaction=True)
def test_probes_in_a_thread_that_keeps_no_process_alive(server, post):
    server.faults["AUTH"] = REFUSED
    post()
    del server.faults["AUTH"]
    release = threading.Event()
    server.faults["."] = Meanwhile(partial(release.wait, 30))
    let_the_probe_come_due()
    post()
    server.wait_for(1)
    [probe] = [thread for thread in threading.enumerate() if "_probe" in thread.name]
    assert probe.daemon
    release.set()
    probe.join(10)


def test_leaves_the_probe_to_the_workers_where_they_send(server, post, settings):
    server.faults["AUTH"] = REFUSED
    post()
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    let_the_probe_come_due()
    before = threading.active_count()
    assert post().json()["status"] == "pending"
    assert threading.active_count() <= before
    assert MailChannel.objects.get().next_probe_at < timezone.now()


def test_leaves_the_mail_to_the_workers_where_they_send(server, post, settings):
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    assert post().json()["status"] == "pending"
    assert not server.messages
    assert Ticket.objects.due().count() == 1
    attempts.attempt_next()
    assert len(server.messages) == 1


@pytest.fixture
def clock(monkeypatch):
    """Two and a half seconds pass between two looks at the attempts' clock."""
    times = count(100, 2.5)
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: next(times)))


def check_entry(before, **expected):
    [entry] = Ticket.objects.get().attempt_log
    at = entry.pop("at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", at)
    assert before.isoformat(timespec="milliseconds") <= at <= timezone.now().isoformat()
    assert entry == {"ms": 2500} | expected


def test_keeps_an_attempt_that_was_accepted(server, clock):
    before = timezone.now()
    attempts.attempt(held())
    check_entry(before, outcome="sent", kind="", code="", text="")


def test_keeps_an_attempt_that_was_not(server, clock):
    server.faults["MAIL"] = Answer(451, "xyzzy")
    before = timezone.now()
    attempts.attempt(held())
    text = "The mail server asked to try again later"
    check_entry(before, outcome="failed", kind="transient", code="451", text=text)


def test_tries_the_row_whose_time_came_first(server):
    now = timezone.now()
    ages = (1, 3, 2)
    rows = [TicketFactory(next_attempt_at=now - timedelta(minutes=age)) for age in ages]
    tried = [attempts.attempt_next()[0] for _ in rows]
    assert tried == [rows[1], rows[2], rows[0]]
    assert attempts.attempt_next() is None


def test_tries_a_reply_before_a_ticket(server):
    ticket = TicketFactory()
    now = timezone.now()
    reply = Message.objects.create(
        ticket=ticket, to="ada@example.com", text="Yes.", next_attempt_at=now
    )
    assert [attempts.attempt_next()[0] for _ in range(2)] == [reply, ticket]


@pytest.mark.parametrize(("fault", "sent"), [(None, 3), (Close(times=1), 2)])
def test_counts_what_it_sent_of_the_rows_named(server, monkeypatch, fault, sent):
    # One that failed may be due again at once.
    monkeypatch.setattr(outbox, "backoff", lambda attempts: timedelta(minutes=1))
    TicketFactory.create_batch(3, type="named")
    other = TicketFactory(next_attempt_at=timezone.now() - timedelta(hours=1))
    if fault:
        server.faults["MAIL"] = fault
    assert attempts.attempt_within(Ticket.objects.filter(type="named"), 60) == sent
    other.refresh_from_db()
    assert other.email_status == "pending"


@pytest.mark.parametrize(("seconds", "tried"), [(0, 0), (2.4, 0), (2.6, 1), (5.1, 2)])
def test_begins_no_attempt_once_its_time_is_up(server, clock, monkeypatch, seconds, tried):
    monkeypatch.setattr(attempts, "attempt_next", lambda *arguments: (None, None))
    assert attempts.attempt_within(Ticket.objects.all(), seconds) == tried


def test_begins_none_where_there_is_no_time(server, monkeypatch):
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: 5.0))
    TicketFactory()
    assert attempts.attempt_within(Ticket.objects.all(), 0) == 0
    assert not server.messages
