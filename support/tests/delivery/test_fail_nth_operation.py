"""Whatever single statement or socket call fails, in a POST or a resend, the mail is not lost."""

import contextlib
import contextvars
import socket
import ssl
from collections import Counter
from datetime import timedelta
from functools import partial
from io import StringIO
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.models import APIKey
from ctxfy_support.tests.scripted_smtp_server import ScriptedSMTPServer
from support.delivery.breaker import breaker
from support.delivery.transport import pool
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db(transaction=True)

SOCKET_CALLS = ("__init__", "dup", "connect", "sendall", "send", "recv", "recv_into")
# After these a caller has nothing in hand that it could close.
FAIL_BEFORE_ONLY = {"__init__", "dup", "getaddrinfo", "BEGIN"}
MOMENT = timedelta(seconds=1)
only_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="a server can go")


class Nth:
    """Fails the n-th of the calls that go through it, before it acts or after it has."""

    def __init__(self, n, moment, error):
        self.n, self.moment, self.error = n, moment, error
        self.calls = 0
        self.failed = None

    def __call__(self, name, act):
        self.calls += 1
        if self.calls != self.n:
            return act()
        self.failed = name
        if self.moment == "after" and name not in FAIL_BEFORE_ONLY:
            act()
        if self.moment == "lost":
            connection.connection.close()
        raise self.error("xyzzy")


@contextlib.contextmanager
def failing_statement(nth):
    """Put every statement of this thread's connection through `nth`, its commits too."""

    def run(execute, sql, *arguments):
        return nth(sql.split()[0], lambda: execute(sql, *arguments))

    commit = partial(nth, "COMMIT", connection._commit)
    with connection.execute_wrapper(run), mock.patch.object(connection, "_commit", commit):
        try:
            yield
        finally:
            if nth.moment == "lost":
                connection.close()


# The attempt's thread has a copy of the sender's context; the server's threads have not.
observer = contextvars.ContextVar("observer", default=None)


def observed(name, function):
    def call(*arguments, **kwargs):
        nth = observer.get()
        act = partial(function, *arguments, **kwargs)
        if nth is None:
            return act()
        inner = contextvars.copy_context()  # A call within a call is the same call.
        inner.run(observer.set, None)
        return nth(name, partial(inner.run, act))

    return call


@contextlib.contextmanager
def failing_socket_call(nth):
    """Put every call on a socket of the sender through `nth`."""
    with contextlib.ExitStack() as stack:

        def observe(owner, name):
            function = observed(name, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, function))

        observe(socket, "getaddrinfo")
        for name in SOCKET_CALLS:
            observe(socket.socket, name)
        for name in ("do_handshake", "sendall", "send", "recv", "recv_into"):
            observe(ssl.SSLSocket, name)
        token = observer.set(nth)
        try:
            yield
        finally:
            observer.reset(token)


def resend():
    """Run the command; it may say that something did not go out, or that it could not run."""
    with contextlib.suppress(SystemExit, CommandError):
        call_command("resend_failed_emails", stdout=StringIO(), stderr=StringIO())


@pytest.fixture
def plain_smtp_server():
    """A server without TLS, whose handshakes take most of the time."""
    with ScriptedSMTPServer(security="none") as server:
        yield server


@pytest.fixture
def check(use_mail, request):
    """Fail each call of an operation in turn; return how many calls there were.

    After each, once leases have run out, a resend sends everything that is stored and that a
    client was told of: once or twice, under one Message-ID.
    """

    def check(server, failing, nth_of, operation, before=lambda: None):
        server = use_mail(request.getfixturevalue(server))
        nth = nth_of(1)
        while True:
            # A process and a key that are new make every statement there is.
            breaker.__init__()
            APIKey.objects.update(last_used_at=None)
            before()
            earlier = stored()
            with failing(nth):
                told = operation() or set()
            # What is stored is acknowledged, unless the INSERT itself seemed to fail.
            assert told == stored() - earlier or nth.failed == "INSERT"
            check_stored_is_sent(server)
            if not nth.failed:
                return nth.n - 1
            nth = nth_of(nth.n + 1)

    return check


def stored():
    return {str(pk) for pk in Ticket.objects.values_list("pk", flat=True)}


def check_stored_is_sent(server):
    """Let leases run out, resend, and leave the table and the inbox empty."""
    rows = stored()
    Ticket.objects.exclude(leased_until=None).update(leased_until=timezone.now() - MOMENT)
    resend()
    assert not Ticket.objects.exclude(email_status="sent").exists()
    copies = Counter(mail.header("Message-ID") for mail in server.messages)
    assert set(copies) == {f"<{pk}@tickets.ctxfy>" for pk in rows}
    assert copies.total() <= len(rows) + 1
    Ticket.objects.all().delete()
    server.messages.clear()
    pool.close()


@pytest.fixture
def post_one(post):
    """POST a ticket; return what the client was told of."""

    def post_one():
        response = post()
        assert response.status_code in {201, 503}, response.content
        return {response.json()["id"]} if response.status_code == 201 else set()

    return post_one


def make_two():
    TicketFactory.create_batch(2)


statement_moments = pytest.mark.parametrize(
    "nth_of",
    [
        partial(Nth, moment="before", error=OperationalError),
        partial(Nth, moment="after", error=OperationalError),
        pytest.param(partial(Nth, moment="lost", error=OperationalError), marks=only_postgres),
    ],
    ids=["before", "after", "lost"],
)
socket_moments = pytest.mark.parametrize(
    "nth_of",
    [
        partial(Nth, moment="before", error=ConnectionResetError),
        partial(Nth, moment="after", error=ConnectionResetError),
    ],
    ids=["before", "after"],
)
servers = pytest.mark.parametrize("server", ["plain_smtp_server", "sendgrid_server"])
all_servers = pytest.mark.parametrize(
    "server", ["scripted_smtp_server", "plain_smtp_server", "sendgrid_server"]
)


@statement_moments
def test_keeps_a_ticket_whichever_statement_of_its_post_fails(check, post_one, nth_of):
    assert check("sendgrid_server", failing_statement, nth_of, post_one) >= 5


@statement_moments
def test_sends_all_whichever_statement_of_a_resend_fails(check, nth_of):
    assert check("sendgrid_server", failing_statement, nth_of, resend, make_two) >= 9


@all_servers
@socket_moments
def test_keeps_a_ticket_whichever_socket_call_of_its_post_fails(check, post_one, server, nth_of):
    assert check(server, failing_socket_call, nth_of, post_one) >= 5


@servers
@socket_moments
def test_keeps_a_ticket_sent_over_a_kept_connection(check, post_one, server, nth_of):
    assert check(server, failing_socket_call, nth_of, post_one, post_one) >= 2


@servers
@socket_moments
def test_sends_all_whichever_socket_call_of_a_resend_fails(check, server, nth_of):
    assert check(server, failing_socket_call, nth_of, resend, make_two) >= 7
