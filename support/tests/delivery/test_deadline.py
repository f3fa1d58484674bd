"""No attempt outlives its deadline, however the other side dawdles, and none comes to life later.

An attempt ends at its deadline and not with the fault, which would last for half a minute or for
ever. How close to the deadline is for `make chaos` (R7), on a machine that does nothing else.
"""

import contextlib
import operator
import os
import socket
import threading
import time

import psutil
import pytest
from django.core.mail.utils import DNS_NAME

from ctxfy_support.tests.loopback import HOST, Drip, Silence
from ctxfy_support.tests.scripted_smtp_server import ScriptedSMTPServer
from support.delivery.transport import pool
from support.models import Ticket

pytestmark = pytest.mark.django_db

DEADLINE_SECONDS = 0.2
# What an attempt may take beyond: enough for a busy machine, and far less than the faults last.
GRACE_SECONDS = float(os.environ.get("ATTEMPT_GRACE_SECONDS", "10"))
ACCEPTED = b"HTTP/1.1 202 Accepted\r\n"
STAGES = ("connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA")
DRIP = Drip(seconds=0.1)  # Slower than the deadline as a whole, faster than it byte by byte.
ENDLESS_ANSWER = Drip(b"x" * 999, after=b"250-", seconds=0.05)
SMTP_FAULTS = [
    *(("starttls", stage, Silence()) for stage in STAGES),
    *(("starttls", stage, DRIP) for stage in STAGES),
    ("starttls", "STARTTLS", Silence(after=b"220 Go\r\n")),
    ("starttls", "STARTTLS", Drip(b"\x16\x03\x03\x00\x7a" * 20, after=b"220 Go\r\n", seconds=0.1)),
    *((security, "connect", fault) for security in ("tls", "none") for fault in (Silence(), DRIP)),
    *(
        (security, ".", fault)
        for security in ("starttls", "tls", "none")
        for fault in (Silence(), Silence(accept=True), ENDLESS_ANSWER)
    ),
]
HTTP_FAULTS = [
    ("connect", Silence()),
    ("request", Silence()),
    ("request", DRIP),
    ("request", Drip(b"x" * 99, after=ACCEPTED + b"Content-Length: 99\r\n\r\n", seconds=0.1)),
    ("request", Drip(b"1\r\nx\r\n" * 99, after=ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\n")),
]


def names_of(value):
    return repr(value)[:80] if not isinstance(value, str) else value


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def count_threads_and_files():
    return threading.active_count(), psutil.Process().num_fds()


@pytest.fixture(autouse=True)
def nothing_left(post):
    """Whatever a test began, once its server is gone no thread and no socket remains."""
    before = count_threads_and_files()
    yield
    pool.close()
    # Fewer, too: what an earlier test has left to the garbage collector may go meanwhile.
    wait_until(lambda: all(map(operator.le, count_threads_and_files(), before)))


@pytest.fixture
def post_in_time(post, use_mail):
    """Post a ticket, whose attempt must be cut off in time; return it and its log's one entry."""

    def post_in_time(server, seconds=DEADLINE_SECONDS, **env):
        use_mail(server, SUPPORT_EMAIL_DEADLINE=str(seconds), **env)
        assert post().status_code == 201
        ticket = Ticket.objects.get()
        [entry] = ticket.attempt_log
        assert entry["ms"] < (seconds + GRACE_SECONDS) * 1000
        return ticket, entry

    return post_in_time


@pytest.fixture
def cut_off(post_in_time):
    """Post a ticket whose attempt must end at the deadline, its mail still to be sent."""

    def cut_off(server, **env):
        ticket, entry = post_in_time(server, **env)
        assert (ticket.email_status, entry["code"]) == ("pending", "deadline")
        return ticket

    return cut_off


@contextlib.contextmanager
def half_open_port():
    """Connections come about and nobody ever takes them."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def black_hole_port():
    """Whoever connects gets no answer at all: the queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize(("security", "stage", "fault"), SMTP_FAULTS, ids=names_of)
def test_cuts_smtp_off(cut_off, security, stage, fault):
    with ScriptedSMTPServer(security=security) as server:
        server.faults[stage] = fault
        cut_off(server)


@pytest.mark.parametrize(("stage", "fault"), HTTP_FAULTS, ids=names_of)
def test_cuts_sendgrid_off(cut_off, sendgrid_server, stage, fault):
    sendgrid_server.faults[stage] = fault
    cut_off(sendgrid_server)


def test_cuts_headers_off_that_follow_a_good_status(post_in_time, sendgrid_server):
    """Whether the status was enough depends on the moment of the cut; the time does not."""
    headers = Drip(b"X-Header: xyzzy\r\n" * 30, after=ACCEPTED, seconds=0.1)
    sendgrid_server.faults["request"] = headers
    post_in_time(sendgrid_server)


@pytest.mark.parametrize(
    ("server", "stage", "fault"),
    [
        ("scripted_smtp_server", ".", Silence(accept=True, after=b"250 2.0")),
        ("sendgrid_server", "request", Silence(accept=True, after=ACCEPTED + b"X-Header")),
    ],
    ids=names_of,
)
def test_believes_what_was_said_before_the_cut(request, post_in_time, server, stage, fault):
    server = request.getfixturevalue(server)
    server.faults[stage] = fault
    ticket, _ = post_in_time(server, seconds=3)
    assert ticket.email_status == "sent"
    assert len(server.messages) == 1


@pytest.mark.parametrize("bad_port", [half_open_port, black_hole_port])
@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_cuts_smtp_off_where_nobody_answers(cut_off, smtp_server, bad_port, security):
    with bad_port() as port:
        cut_off(smtp_server, GOOGLE_SMTP_PORT=str(port), GOOGLE_SMTP_SECURITY=security)


@pytest.mark.parametrize("bad_port", [half_open_port, black_hole_port])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cuts_sendgrid_off_where_nobody_answers(cut_off, sendgrid_server, bad_port, scheme):
    with bad_port() as port:
        cut_off(sendgrid_server, SENDGRID_API_URL=f"{scheme}://{HOST}:{port}/v3/")


@pytest.fixture
def hanging_resolution(monkeypatch):
    """`hanging_resolution(function)` makes it wait for the event that this returns."""
    release = threading.Event()

    def hang(function):
        def hanging(*args, **kwargs):
            release.wait()
            return function(*args, **kwargs)

        monkeypatch.setattr(socket, function.__name__, hanging)
        monkeypatch.delattr(DNS_NAME, "_fqdn", raising=False)
        return release

    yield hang
    release.set()


@pytest.mark.parametrize(
    ("server", "function"),
    [
        ("smtp_server", socket.getaddrinfo),
        ("smtp_server", socket.getfqdn),
        ("sendgrid_server", socket.getaddrinfo),
    ],
)
def test_does_nothing_once_a_name_is_found_too_late(
    request, cut_off, hanging_resolution, server, function
):
    server = request.getfixturevalue(server)
    threads = threading.active_count()
    release = hanging_resolution(function)
    ticket = cut_off(server)
    row = Ticket.objects.values().get()
    assert threading.active_count() == threads + 1
    release.set()
    wait_until(lambda: threading.active_count() <= threads)
    assert Ticket.objects.values().get(pk=ticket.pk) == row
    assert not server.messages


def test_does_not_spend_the_next_attempt_on_a_connection_it_cut(
    cut_off, post, settings, scripted_smtp_server
):
    scripted_smtp_server.faults["."] = Silence()
    cut_off(scripted_smtp_server)
    scripted_smtp_server.faults.clear()
    settings.SUPPORT_EMAIL_DEADLINE = 30
    assert post().json()["status"] == "sent"


def test_waits_no_longer_than_the_answer_takes(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server, SUPPORT_EMAIL_DEADLINE="100")
    scripted_smtp_server.faults["."] = Drip(seconds=0.01)
    assert post().json()["status"] == "sent"
    assert Ticket.objects.get().attempt_log[0]["ms"] < 50_000
