"""Senders that are killed or stopped in the middle of it; `make chaos` has the long runs."""

import random
import threading
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from ctxfy_support.tests.loopback import Meanwhile
from support.models import Message, Ticket
from support.tests import chaos
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(use_mail, scripted_smtp_server):
    scripted_smtp_server.security = "none"
    return use_mail(scripted_smtp_server)


@pytest.fixture
def worker(process_env, server):
    with chaos.Worker(env=process_env | server.env) as worker:
        yield worker


def rows():
    return list(Ticket.objects.order_by("pk").values())


def resend():
    call_command("resend_failed_emails", stdout=StringIO())


def test_loses_nothing_to_kill_9(process_env, server):
    random.seed(4)
    outcome, answers, _ = chaos.run_kills(
        process_env | server.env, server, tickets=40, kills=6, settle=chaos.end_leases
    )
    assert outcome.is_complete
    assert outcome.extra_copies <= 6
    assert chaos.all_sent()
    assert (Ticket.objects.count(), Message.objects.count()) == (40, 10)
    assert answers[201] == 50


@pytest.mark.parametrize("stage", ["connect", "MAIL", "."])
def test_records_nothing_once_it_was_stopped_past_its_lease(worker, server, stage):
    """Stopped with the mail in hand, before it is taken or after, while another sends it."""
    release = threading.Event()
    server.faults[stage] = Meanwhile(partial(release.wait, 30), times=1)
    TicketFactory()
    assert chaos.wait_until(lambda: stage not in server.faults, 30)
    worker.pause()
    release.set()
    Ticket.objects.update(leased_until=timezone.now())
    resend()
    before = rows()
    assert before[0]["email_status"] == "sent"
    worker.resume()
    worker.wait_for_output("ended after its lease")
    assert rows() == before
    assert len({mail.header("Message-ID") for mail in server.wait_for(2)}) == 1


def make_tickets_while_it_is_stopped(worker):
    """Stopped in the middle of a statement it would hold SQLite's lock: so we hold it first."""
    with transaction.atomic():
        worker.pause()
        return TicketFactory.create_batch(2)


def test_goes_on_after_it_was_stopped(worker, server):
    make_tickets_while_it_is_stopped(worker)
    worker.resume()
    server.wait_for(2)
    worker.stop()
    assert chaos.all_sent()
