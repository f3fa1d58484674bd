"""fetch_replies --watch, the fetcher, as the process that it is."""

import contextlib
import os
import signal

import psycopg
import pytest
from django.db import connection

from ctxfy_support.tests.loopback import Silence
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import CommandProcess, run_command
from support.inbound_mail import InboundMail
from support.tests.chaos import wait_until
from support.tests.inbox.imap.imap_server import ScriptedIMAPServer
from support.tests.inbox.imap.mails import make_mail

pytestmark = pytest.mark.django_db(transaction=True)

only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="a server can go")


@pytest.fixture
def start(process_env):
    """`start(mailbox, "--interval", "1")`: a fetcher, ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(mailbox, *arguments, **env):
            env = process_env | mailbox.env_for("none") | env
            process = CommandProcess("fetch_replies", "--watch", *arguments, env=env)
            return stack.enter_context(process)

        yield start


@pytest.fixture
def imap_server():
    with ScriptedIMAPServer([]) as server:
        yield server


def came_in(count):
    return wait_until(lambda: InboundMail.objects.count() == count, 30)


def last_line(process):
    return process.output.splitlines()[-1]


def test_takes_in_a_mail_as_soon_as_it_comes(start, mailbox):
    """By IDLE: the next look would be in an hour."""
    fetcher = start(mailbox, "--interval", "3600")
    for count in (1, 2):
        mailbox.append(make_mail(count))
        assert came_in(count)
    fetcher.stop()
    assert last_line(fetcher) == "stored=0 unmatched=2 ignored=0"
    assert mailbox.find("UNSEEN") == []


def test_looks_every_interval_where_the_server_tells_nothing(start, imap_server):
    fetcher = start(imap_server, "--interval", "0.1")
    assert wait_until(lambda: len(imap_server.heard("SEARCH")) > 2, 30)
    imap_server.mails[1] = make_mail(1)
    assert came_in(1)
    assert not imap_server.heard("IDLE")
    fetcher.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_at_once_while_it_waits(start, mailbox, number):
    fetcher = start(mailbox)
    mailbox.append(make_mail(1))
    assert came_in(1)
    os.kill(fetcher.pid, number)
    assert fetcher.wait(10) == 0
    assert last_line(fetcher) == "stored=0 unmatched=1 ignored=0"


@pytest.mark.parametrize("stage", ["connect", "FETCH", "IDLE"])
def test_ends_although_the_server_says_nothing(start, imap_server, stage):
    imap_server.capabilities += " IDLE"
    imap_server.mails = {1: make_mail(1)} if stage == "FETCH" else {}
    imap_server.faults[stage] = Silence()
    fetcher = start(imap_server)
    fetcher.wait_for_output("Watching")
    assert wait_until(lambda: imap_server._channels, 30)
    assert stage == "connect" or wait_until(lambda: imap_server.heard(stage), 30)
    os.kill(fetcher.pid, signal.SIGTERM)
    assert fetcher.wait(10) == 0
    assert last_line(fetcher) == "stored=0 unmatched=0 ignored=0"


def test_comes_back_after_the_server(start, imap_server):
    fetcher = start(imap_server, "--interval", "0.1")
    assert wait_until(lambda: imap_server.heard("SEARCH"), 30)
    imap_server.stop()
    fetcher.wait_for_output("The mailbox is away")
    imap_server.mails[1] = make_mail(1)
    imap_server.start()
    assert came_in(1)


def test_goes_on_with_the_others_where_a_mail_breaks_the_connection(start, imap_server):
    """And with the broken one behind them."""
    imap_server.mails = {number: make_mail(number) for number in (1, 2, 3)}
    imap_server.break_at = {1: 1}
    start(imap_server, "--interval", "0.1")
    assert came_in(2)
    assert imap_server.seen == {2, 3}


def test_asks_now_and_then_for_what_the_server_names_and_hides(start, imap_server):
    imap_server.mails, imap_server.hidden = {1: make_mail(1), 2: make_mail(2)}, {1}
    start(imap_server, "--interval", "0.1")
    assert came_in(1)
    looks = len(imap_server.heard("SEARCH"))
    assert wait_until(lambda: len(imap_server.heard("SEARCH")) > looks + 5, 30)
    assert len(imap_server.heard("FETCH 1 ")) == 1


def test_does_not_end_where_its_password_is_refused(start, imap_server):
    imap_server.refused = "AUTHENTICATE"
    fetcher = start(imap_server)
    fetcher.wait_for_output("log-in was refused")
    assert fetcher.status is None
    os.kill(fetcher.pid, signal.SIGTERM)
    assert fetcher.wait(10) == 0


@only_postgres
def test_waits_for_a_database_that_goes_away(start, mailbox):
    with PostgresServer(fsync="off") as postgres:
        env = {"DATABASE_URL": postgres.url}
        assert run_command("migrate", env=env).returncode == 0
        fetcher = start(mailbox, "--interval", "1", **env)
        mailbox.append(make_mail(1))
        fetcher.wait_for_output("came in")
        postgres.stop()
        mailbox.append(make_mail(2))
        fetcher.wait_for_output("The database did not answer")
        postgres.start()
        assert wait_until(lambda: fetcher.output.count("came in") == 2, 60)
        with psycopg.connect(postgres.url) as client:
            count = client.execute("SELECT count(*) FROM support_inbound_mails").fetchone()
        assert count == (2,)
        assert wait_until(lambda: mailbox.find("UNSEEN") == [], 30)
        fetcher.stop()


@only_postgres
def test_ends_although_the_database_hangs(start, mailbox):
    with PostgresServer(fsync="off") as postgres:
        env = {"DATABASE_URL": postgres.url}
        assert run_command("migrate", env=env).returncode == 0
        fetcher = start(mailbox, "--interval", "1", **env)
        mailbox.append(make_mail(1))
        fetcher.wait_for_output("came in")
        postgres.pause()
        mailbox.append(make_mail(2))
        os.kill(fetcher.pid, signal.SIGTERM)
        status = fetcher.wait(10)
        postgres.resume()
    assert status == 0
