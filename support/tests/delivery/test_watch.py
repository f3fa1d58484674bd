"""resend_failed_emails --watch, the worker, as the process that it is."""

import contextlib
import os
import signal

import psycopg
import pytest
from django.db import connection

from ctxfy_support.tests.loopback import Drip
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import CommandProcess, run_command
from support.models import Ticket
from support.tests import chaos
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db(transaction=True)

only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="a server can go")


@pytest.fixture
def start(process_env, scripted_smtp_server):
    """`start("--watch", NAME="value")`: the command as a process, ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, **env):
            env = process_env | scripted_smtp_server.env | env
            process = CommandProcess("resend_failed_emails", *arguments, env=env)
            return stack.enter_context(process)

        yield start


@pytest.fixture
def worker(start):
    worker = start("--watch")
    worker.wait_for_output("Watching for mail that is due")
    return worker


def last_line(process):
    return process.output.splitlines()[-1]


def test_sends_what_requests_leave_to_it(worker, post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server, SUPPORT_EMAIL_DELIVERY="background")
    for count in (1, 2):
        assert post().json()["status"] == "pending"
        scripted_smtp_server.wait_for(count)
    worker.stop()
    assert set(Ticket.objects.values_list("email_status", flat=True)) == {"sent"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_finishes_the_mail_in_hand(worker, scripted_smtp_server, number):
    scripted_smtp_server.faults["."] = Drip(seconds=0.05)
    TicketFactory.create_batch(3)
    scripted_smtp_server.wait_for(1)
    os.kill(worker.pid, number)
    assert worker.wait() == 0
    assert last_line(worker) == "sent=1 pending=0 failed=0"
    assert Ticket.objects.filter(email_status="sent").count() == 1
    assert Ticket.objects.due().count() == 2


def test_keeps_one_connection_while_there_is_work(worker, scripted_smtp_server):
    TicketFactory.create_batch(20)
    mails = scripted_smtp_server.wait_for(20)
    assert len({mail.connection for mail in mails}) == 1


def test_shares_the_work_with_others(process_env, scripted_smtp_server):
    """Three workers and two runs by hand at once on the same rows: each mail once."""
    env = process_env | scripted_smtp_server.env
    outcome = chaos.run_together(env, scripted_smtp_server, rows=200)
    assert outcome.is_complete
    assert outcome.extra_copies == 0
    assert Ticket.objects.filter(email_status="sent", attempts=1).count() == 200


@only_postgres
def test_waits_for_a_database_that_goes_away(start, scripted_smtp_server):
    with PostgresServer(fsync="off") as postgres:
        env = {"DATABASE_URL": postgres.url}
        make_ticket = "from support.tests.factories import TicketFactory; TicketFactory()"
        for command in (["migrate"], ["shell", "--command", make_ticket]):
            assert run_command(*command, env=env).returncode == 0
        worker = start("--watch", **env)
        worker.wait_for_output("was accepted")
        postgres.stop()
        worker.wait_for_output("The database did not answer")
        postgres.start()
        with psycopg.connect(postgres.url) as client:
            client.execute("UPDATE support_tickets SET email_status = 'pending'")
        scripted_smtp_server.wait_for(2)
        worker.stop()
    assert last_line(worker) == "sent=2 pending=0 failed=0"
