"""A worker that is not running shows: in /health and in /metrics."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from ctxfy_support.tests.processes import CommandProcess
from support.models import Sender
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mail(use_mail, scripted_smtp_server):
    """Mail is configured, and the server takes it."""
    use_mail(scripted_smtp_server)


@pytest.fixture
def health(client):
    def health():
        answer = client.get("/health")
        assert answer.status_code == 200
        return answer.json()["status"], answer.json()["workers"]

    return health


def see_sender(**ago):
    Sender.objects.create(name=f"host:{Sender.objects.count()}", seen_at=past(**ago))


def past(**ago):
    return timezone.now() - timedelta(**ago)


def senders_counted(client):
    (line,) = [
        line
        for line in client.get("/metrics").content.decode().splitlines()
        if line.startswith("support_mail_senders ")
    ]
    return int(line.split()[1])


def test_is_not_missed_where_requests_send_and_nothing_waits(health):
    TicketFactory(email_status="sent")
    assert health() == ("ok", "not needed")


def test_is_missed_where_mail_has_waited_for_a_minute(health):
    ticket = TicketFactory(next_attempt_at=past(seconds=30))
    assert health() == ("ok", "not needed")
    type(ticket).objects.update(next_attempt_at=past(seconds=61))
    assert health() == ("degraded", "not running")


def test_is_missed_where_only_workers_send(health, settings):
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    assert health() == ("degraded", "not running")
    see_sender(seconds=10)
    assert health() == ("ok", "ok")


def test_is_gone_when_it_was_not_seen_for_a_minute(health, client, settings):
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    see_sender(minutes=1, seconds=10)
    assert senders_counted(client) == 0
    assert health() == ("degraded", "not running")


def test_is_not_taken_for_gone_while_one_attempt_takes_its_time(client, settings):
    settings.SUPPORT_EMAIL_DEADLINE = 300
    see_sender(minutes=5)
    assert senders_counted(client) == 1


def test_is_seen_from_cron_too_and_old_ones_are_forgotten(client):
    see_sender(days=2)
    call_command("resend_failed_emails", "--due", stdout=StringIO())
    assert senders_counted(client) == 1
    assert Sender.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_is_seen_while_it_runs_and_says_goodbye(client, process_env, scripted_smtp_server):
    env = process_env | scripted_smtp_server.env
    with CommandProcess("resend_failed_emails", "--watch", env=env) as worker:
        worker.wait_for_output("Watching for mail that is due")
        TicketFactory()
        scripted_smtp_server.wait_for(1, seconds=30)
        assert Sender.objects.get().name.endswith(f":{worker.pid}")
        assert senders_counted(client) == 1
        worker.stop()
        assert senders_counted(client) == 0
