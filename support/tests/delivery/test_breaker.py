"""A channel that is known to be down: nobody waits for it, nothing is spent on it, one asks."""

import logging
import threading
import time
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from ctxfy_support.tests.loopback import Close, Meanwhile, Silence
from ctxfy_support.tests.scripted_smtp_server import Answer
from ctxfy_support.tests.sendgrid_server import Response
from support.delivery import attempts
from support.delivery.breaker import breaker
from support.failures import Failure, FailureKind
from support.mail_channel import MailChannel
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

REFUSED = Answer(535, "5.7.8 Username and Password not accepted")


class SMTPChannel:
    def __init__(self, server):
        self.server = server
        self.clients = []
        server.faults["connect"] = Meanwhile(partial(self.clients.append, 1))

    def break_down(self):
        self.server.faults["AUTH"] = REFUSED

    def mend(self):
        del self.server.faults["AUTH"]

    @property
    def attempts(self):
        return len(self.clients)


class SendGridChannel:
    def __init__(self, server):
        self.server = server

    def break_down(self):
        self.server.faults["request"] = Response(401)

    def mend(self):
        del self.server.faults["request"]

    @property
    def attempts(self):
        return len(self.server.requests)


@pytest.fixture(params=[SMTPChannel, SendGridChannel], ids=["smtp", "sendgrid"])
def channel(request, use_mail):
    """A way to send that can break down and be mended, and that counts who tries it."""
    name = "scripted_smtp_server" if request.param is SMTPChannel else "sendgrid_server"
    return request.param(use_mail(request.getfixturevalue(name)))


@pytest.fixture
def down(channel, post):
    """A channel that has just refused a first ticket."""
    channel.break_down()
    post()
    return channel


def let_the_probe_come_due():
    past = timezone.now() - timedelta(seconds=1)
    MailChannel.objects.update(next_probe_at=past)


def start_another_process():
    breaker.__init__()


def errors(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_answers_without_touching_the_provider(down, post):
    for _ in range(3):
        start_another_process()
        response = post()
        assert (response.status_code, response.json()["status"]) == (201, "pending")
    assert down.attempts == 1
    assert Ticket.objects.due().count() == 4


def test_lets_every_row_wait_and_burns_no_attempt(down, post):
    post()
    for _ in range(3):
        let_the_probe_come_due()
        attempts.attempt_next()
    assert down.attempts == 4
    for ticket in Ticket.objects.all():
        assert (ticket.email_status, ticket.attempts, ticket.lease_token) == ("pending", 0, None)
        assert ticket.next_attempt_at <= timezone.now()


def test_keeps_on_past_72_hours(down):
    Ticket.objects.update(retrying_since=timezone.now() - timedelta(hours=80))
    let_the_probe_come_due()
    attempts.attempt_next()
    assert Ticket.objects.get().email_status == "pending"


def test_says_it_once_and_loudly(channel, post, caplog):
    channel.break_down()
    for _ in range(3):
        start_another_process()
        post()
        let_the_probe_come_due()
        attempts.attempt_next()
    assert len(errors(caplog)) == 1
    assert errors(caplog)[0].getMessage().startswith("MAIL IS DOWN: channel ")


def test_lets_one_in_thirty_seconds_try(down, post):
    post()
    for _ in range(3):
        assert attempts.attempt_next() is None
    assert down.attempts == 1
    let_the_probe_come_due()
    tried = [attempts.attempt_next() for _ in range(3)]
    assert [bool(attempt) for attempt in tried] == [True, False, False]
    assert down.attempts == 2
    next_probe_at = MailChannel.objects.get().next_probe_at
    assert timedelta(seconds=25) < next_probe_at - timezone.now() <= timedelta(seconds=30)


def test_tries_the_rows_in_turn(down, post):
    post()
    tried = []
    for _ in range(4):
        let_the_probe_come_due()
        tried.append(attempts.attempt_next()[0].pk)
    first, second = Ticket.objects.order_by("created_at")
    assert tried == [first.pk, second.pk, first.pk, second.pk]


def test_sends_everything_once_it_is_back(down, post, caplog):
    post()
    down.mend()
    let_the_probe_come_due()
    while attempts.attempt_next():
        pass
    assert set(Ticket.objects.values_list("email_status", flat=True)) == {"sent"}
    assert caplog.text.count("Mail is back") == 1
    assert post().json()["status"] == "sent"


def test_is_back_where_one_mail_alone_is_refused(down, post):
    down.mend()
    down.server.faults["."] = Answer(552, "Too large", times=1)
    down.server.faults["request"] = Response(413, times=1)
    let_the_probe_come_due()
    attempts.attempt_next()
    assert Ticket.objects.get().email_status == "failed"
    assert post().json()["status"] == "sent"


def test_is_another_channel_with_other_settings(down, post, use_mail):
    down.mend()
    use_mail(down.server, SUPPORT_EMAIL_FROM="other@ctxfy.example")
    start_another_process()
    assert post().json()["status"] == "sent"


def test_tells_no_setting_in_its_name(down):
    name = MailChannel.objects.get().name
    assert not [value for value in down.server.env.values() if len(value) > 8 and value in name]


@pytest.mark.parametrize("fault", [Close(), Silence()], ids=["dropped", "silent"])
def test_opens_after_three_that_did_not_get_through(channel, post, use_mail, fault, caplog):
    use_mail(channel.server, SUPPORT_EMAIL_DEADLINE="0.2")
    channel.server.faults["connect"] = fault
    for _ in range(3):
        assert not errors(caplog)
        assert post().json()["status"] == "pending"
    assert [record.getMessage()[:12] for record in errors(caplog)] == ["MAIL IS DOWN"]
    assert not Ticket.objects.filter(attempts=0).exists()
    post()
    assert Ticket.objects.filter(attempts=0).count() == 1


def test_says_why_once_a_late_refusal_is_heard(post, use_mail, scripted_smtp_server, caplog):
    """The server says that the password is wrong, but later than a request can wait."""
    use_mail(scripted_smtp_server, SUPPORT_EMAIL_DEADLINE="0.2", GOOGLE_SMTP_PASSWORD="wrong")
    scripted_smtp_server.faults["AUTH"] = Meanwhile(partial(time.sleep, 0.6))
    for _ in range(3):
        post()
    for _ in range(2):
        TicketFactory()
        let_the_probe_come_due()
        attempts.attempt_next()
    assert [record.getMessage().partition(". ")[0] for record in errors(caplog)] == [
        "MAIL IS DOWN: transient deadline: The mail server did not answer the log-in in time",
        f"MAIL IS DOWN, and now it is known why: {MailChannel.objects.get().last_error}",
    ]
    assert MailChannel.objects.get().last_error.startswith("channel 535")


def test_holds_on_to_a_refusal_that_silence_does_not_disprove(channel, post, use_mail, caplog):
    use_mail(channel.server, SUPPORT_EMAIL_DEADLINE="0.2")
    channel.break_down()
    post()
    refusal = MailChannel.objects.get().last_error
    for _ in range(3):
        breaker.report(Failure(FailureKind.TRANSIENT, "deadline", "x"), seconds=1, to_support=True)
    assert MailChannel.objects.get().last_error == refusal
    assert len(errors(caplog)) == 1


def test_sends_over_a_connection_that_took_long_to_open(post, use_mail, scripted_smtp_server):
    """Nobody waits for a probe, so a slow log-in is let finish, and its connection kept."""
    use_mail(scripted_smtp_server, SUPPORT_EMAIL_DEADLINE="0.2")
    scripted_smtp_server.faults["AUTH"] = Meanwhile(partial(time.sleep, 0.6))
    for _ in range(3):
        post()
    TicketFactory()
    let_the_probe_come_due()
    assert attempts.attempt_next()[1] is None
    assert post().json()["status"] == "sent"


def test_stays_closed_where_one_of_three_gets_through(channel, post):
    for fault in (Close(), Close(), None, Close(), Close(), None):
        channel.server.faults["connect"] = fault
        post()
    assert not MailChannel.objects.exists()


def test_stops_a_run_by_hand_with_what_to_mend(down):
    TicketFactory.create_batch(3)
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as exit_:
        call_command("resend_failed_emails", stdout=out, stderr=err)
    assert exit_.value.code == 1
    assert out.getvalue().splitlines()[-1] == "sent=0 pending=4 failed=0"
    assert "mend the settings" in err.getvalue()
    assert down.attempts == 2


def test_is_back_for_all_after_a_run_by_hand(down, post):
    down.mend()
    start_another_process()
    call_command("resend_failed_emails", stdout=StringIO())
    start_another_process()
    assert post().json()["status"] == "sent"


@pytest.mark.django_db(transaction=True)
def test_asks_at_no_request_s_cost(down, post):
    """The request that finds the probe due answers while another thread still asks."""
    down.mend()
    release = threading.Event()
    held = Meanwhile(partial(release.wait, 30))
    down.server.faults["."] = down.server.faults["request"] = held
    let_the_probe_come_due()
    assert post().json()["status"] == "pending"
    assert down.server.wait_for(1)
    assert Ticket.objects.exclude(lease_token=None).exists()
    release.set()
    for thread in threading.enumerate():
        if "_probe" in thread.name:
            thread.join(5)
    down.server.faults.clear()
    assert post().json()["status"] == "sent"


def test_wakes_what_waited_out_a_backoff(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["connect"] = Close()
    for _ in range(3):
        post()
    assert breaker.is_down()
    Ticket.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    del scripted_smtp_server.faults["connect"]
    call_command("resend_failed_emails", "--limit", "1", stdout=StringIO())
    assert Ticket.objects.due().count() == 2


@pytest.mark.django_db(transaction=True)
def test_is_not_back_by_a_mail_that_was_on_its_way(post, use_mail, scripted_smtp_server):
    """What was accepted began before the refusal, so it says nothing about it."""
    use_mail(scripted_smtp_server)

    def try_another():
        TicketFactory()
        attempts.attempt_next()
        connection.close()

    def refuse_another():
        scripted_smtp_server.faults["AUTH"] = REFUSED
        other = threading.Thread(target=try_another)
        other.start()
        other.join()

    scripted_smtp_server.faults["."] = Meanwhile(refuse_another, times=1)
    assert post().json()["status"] == "sent"
    assert MailChannel.objects.filter(failing_since__isnull=False).exists()
