"""Connections to a provider: how long they are kept, what they refuse to carry, how they end."""

import re
import socket
import threading
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError, EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from ctxfy_support.tests.loopback import Close, Meanwhile
from ctxfy_support.tests.sendgrid_server import Response
from support.delivery import attempts, transport
from support.delivery.email_backends import SendGridBackend, SMTPBackend, SocketWatch
from support.delivery.transport import Connection, ConnectionPool, pool
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


class PlainBackend(BaseEmailBackend):
    """A backend without sockets, as the console's is; its mails are counted."""

    sent = 0

    def send_messages(self, email_messages):
        self.sent += len(email_messages)
        return len(email_messages)


def a_mail(**changes):
    fields = {"subject": "Hello", "to": ["support@ctxfy.example"], "from_email": "a@b.example"}
    fields["body"] = "Hello"
    return EmailMessage(**fields | changes)


@pytest.fixture
def server(use_mail, scripted_smtp_server):
    return use_mail(scripted_smtp_server)


@pytest.fixture
def clock(monkeypatch):
    """The clock of the kept connections, in the test's hands."""
    clock = SimpleNamespace(now=1_000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(transport, "time", clock)
    return clock


def connections(server):
    """The number of each mail's connection, from 0."""
    seen = [mail.connection for mail in server.messages]
    return [list(dict.fromkeys(seen)).index(each) for each in seen]


@pytest.mark.parametrize(("idle", "used"), [(19, [0, 0]), (20, [0, 0]), (20.5, [0, 1])])
def test_are_kept_for_twenty_seconds(server, post, clock, idle, used):
    post()
    clock.now += idle
    post()
    assert connections(server) == used


def test_are_kept_for_twenty_seconds_after_the_last_mail(server, post, clock):
    for _ in range(3):
        post()
        clock.now += 15
    assert connections(server) == [0, 0, 0]


def test_are_closed_when_nobody_wants_them_any_more(server, post, clock):
    post()
    [kept] = pool._idle
    clock.now += 20.5
    pool.close_stale()
    assert pool._idle == []
    assert kept.backend.connection is None


def test_are_used_in_turn_the_last_first(server):
    own, first, second = ConnectionPool(), Connection(), Connection()
    own._idle.extend([first, second])
    own.send(a_mail())
    assert own._idle == [first, second]
    assert first.backend.connection is None
    assert second.backend.connection is not None
    own.close()


def test_are_all_closed_with_the_pool(server):
    kept = [Connection(), Connection()]
    for each in kept:
        each.send(a_mail(), 5)
    pool._idle.extend(kept)
    pool.close()
    assert pool._idle == []
    assert [each.backend.connection for each in kept] == [None, None]


def test_give_a_socket_a_second_more_than_the_deadline(server, settings):
    settings.SUPPORT_EMAIL_DEADLINE = 5
    assert Connection().backend.timeout == 6


def test_carry_on_without_a_socket_to_watch(settings):
    settings.EMAIL_BACKEND = f"{__name__}.{PlainBackend.__name__}"
    pool.send(a_mail())
    [kept] = pool._idle
    pool.send(a_mail())
    assert kept.backend.sent == 2
    kept.abort()
    assert kept.is_aborted
    pool.close()


def test_send_in_a_thread_that_keeps_no_process_alive(server, post):
    before, during = set(threading.enumerate()), []
    server.faults["."] = Meanwhile(lambda: during.extend(threading.enumerate()))
    post()
    [sender] = [each for each in during if each not in before and "(run)" in each.name]
    assert sender.daemon


def test_are_not_used_again_after_an_error(server, post):
    server.faults["MAIL"] = Close(times=1)
    post()
    assert pool._idle == []
    Ticket.objects.update(next_attempt_at=None)
    post()
    assert len(server.messages) == 1


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


class TestSocketWatch:
    def test_ends_what_it_watches(self, pair):
        ours, theirs = pair
        watch = SocketWatch()
        handle = watch.add(ours)
        assert handle.fileno() not in {-1, ours.fileno()}
        watch.abort()
        assert theirs.recv(1) == b""
        assert handle.fileno() == -1

    def test_takes_no_socket_once_it_is_over(self, pair):
        ours, _ = pair
        watch = SocketWatch()
        watch.abort()
        with pytest.raises(ConnectionAbortedError, match=r"^the attempt is over$"):
            watch.add(ours)
        assert ours.fileno() == -1

    def test_ends_the_others_where_one_has_ended(self, pair):
        gone, other = socket.socketpair()
        watch = SocketWatch()
        watch.add(gone)
        watch.add(pair[0])
        gone.shutdown(socket.SHUT_RDWR)
        other.close()
        gone.close()
        watch.abort()
        assert pair[1].recv(1) == b""

    def test_lets_go_of_a_socket_that_lives_on(self, pair):
        ours, theirs = pair
        watch = SocketWatch()
        handle = watch.add(ours)
        watch.release()
        assert handle.fileno() == -1
        watch.abort()
        ours.send(b"x")
        assert theirs.recv(1) == b"x"

    def test_forgets_one_of_its_sockets(self, pair):
        ours, theirs = pair
        watch = SocketWatch()
        first, second = watch.add(ours), watch.add(ours)
        watch.forget(first)
        assert first.fileno() == -1
        watch.forget(first)
        stranger = theirs.dup()
        watch.forget(stranger)
        assert stranger.fileno() != -1
        stranger.close()
        assert second.fileno() != -1
        watch.release()


@pytest.fixture
def sendgrid(use_mail, sendgrid_server):
    use_mail(sendgrid_server)
    return SendGridBackend(timeout=5)


CONTROL = r"^control character in a header$"


@pytest.mark.parametrize("character", ["\x00", "\x09", "\x1f", "\x7f"])
@pytest.mark.parametrize("field", ["subject", "to", "reply_to", "header", "name"])
def test_carry_no_control_character_to_sendgrid(sendgrid, field, character):
    text = f"a{character}b"
    changes = {
        "subject": {"subject": text},
        "to": {"to": [text]},
        "reply_to": {"reply_to": [text]},
        "header": {"headers": {"X-Odd": text}},
        "name": {"headers": {text: "odd"}},
    }[field]
    with pytest.raises(BadHeaderError, match=CONTROL):
        sendgrid.build_message_payload(a_mail(**changes), {})


@pytest.mark.parametrize("character", [" ", "!", "~", "\x80", "é"])
def test_carry_every_other_character_to_sendgrid(sendgrid, sendgrid_server, character):
    sendgrid.send_messages([a_mail(subject=f"a{character}b")])
    assert sendgrid_server.messages[0].subject == f"a{character}b"


def test_carry_one_reply_to_at_most_to_sendgrid(sendgrid, sendgrid_server):
    sendgrid.send_messages([a_mail(reply_to=["ada@example.com"])])
    assert sendgrid_server.messages[0].payload["reply_to"] == {"email": "ada@example.com"}
    with pytest.raises(BadHeaderError, match=r"^one Reply-To at most$"):
        sendgrid.send_messages([a_mail(reply_to=["ada@example.com", "bob@example.com"])])
    assert len(sendgrid_server.messages) == 1


@pytest.mark.parametrize(
    ("status", "why"),
    [(302, "transient 302: "), (413, "message 413: "), (203, "transient 203: ")],
)
def test_take_202_alone_for_accepted(use_mail, sendgrid_server, status, why):
    """And follow no redirect, at whose end a page may well answer 200."""
    use_mail(sendgrid_server)
    redirect = {"Location": "/v3/landing"}
    sendgrid_server.faults["request"] = Response(status, headers=redirect, times=1)
    failure = attempts.attempt(Ticket.objects.filter(pk=TicketFactory().pk).claim())
    assert str(failure).startswith(why)
    assert len(sendgrid_server.requests) == 1


def test_name_each_mail_themselves(sendgrid, sendgrid_server):
    """Else the library adds an id of its own."""
    sendgrid.send_messages([a_mail(headers={"Message-ID": "<x@y.example>"})])
    assert "custom_args" not in str(sendgrid_server.messages[0].payload)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_try_once_and_are_watched(sendgrid, scheme):
    session = sendgrid.create_session()
    adapter = session.get_adapter(f"{scheme}://api.sendgrid.com/")
    assert adapter.watch is sendgrid.watch
    assert adapter.max_retries.total == 0
    classes = adapter.poolmanager.pool_classes_by_scheme
    assert classes[scheme].__name__.startswith("WatchedHTTP")
    assert classes[scheme].ConnectionCls.__name__ == "WatchedConnection"


def test_go_by_no_proxy_of_the_environment(use_mail, sendgrid_server, post, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    use_mail(sendgrid_server)
    assert post().json()["status"] == "sent"


def test_say_that_sendgrids_settings_are_malformed(sendgrid, settings):
    settings.ANYMAIL = settings.ANYMAIL | {"SENDGRID_API_KEY": "\u201cSG.x\u201d"}
    with pytest.raises(ImproperlyConfigured, match=r"^SendGrid's address or API key is malformed$"):
        SendGridBackend(timeout=5).send_messages([a_mail()])


def test_say_that_the_settings_of_smtp_are_malformed(server):
    backend = SMTPBackend(password="abcd\u00a0efgh", timeout=5)
    with pytest.raises(ImproperlyConfigured, match=r"^the SMTP settings are malformed$"):
        backend.open()
    backend.close()


def test_close_politely_and_wait_for_no_answer(server):
    backend = SMTPBackend(timeout=5)
    backend.send_messages([a_mail()])
    backend.close()
    assert backend.connection is None
    assert not backend.watch._handles


def test_are_asked_only_when_they_have_been_idle(server, monkeypatch):
    """A run opens its connection and sends over it at once: no question between."""
    asked = []
    server.faults["NOOP"] = Meanwhile(lambda: asked.append(1))
    backend = SMTPBackend(timeout=5)
    backend.open()
    backend.send_messages([a_mail()])
    assert not asked
    backend.open()
    backend.send_messages([a_mail()])
    assert len(asked) >= 1
    backend.close()


def test_say_what_the_backend_did_not(settings, caplog):
    settings.EMAIL_BACKEND = "support.tests.delivery.test_mail_log.SilentBackend"
    attempts.attempt(Ticket.objects.filter(pk=TicketFactory().pk).claim())
    assert re.search(r"^RuntimeError: the backend sent nothing$", caplog.text, re.MULTILINE)
