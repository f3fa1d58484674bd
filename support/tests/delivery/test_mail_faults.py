"""Every way a mail provider fails: the ticket is taken, the failure named, the mail sent later."""

from datetime import timedelta
from email.utils import format_datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from ctxfy_support.tests.loopback import Close, Drip, Garbage, Meanwhile, Silence
from ctxfy_support.tests.scripted_smtp_server import Answer
from ctxfy_support.tests.sendgrid_server import Response
from ctxfy_support.tests.smtp_server import SMTPServer
from support.delivery import attempts
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

SHORT_SECONDS = 0.3
# What a server says may quote anything.
RAW = "xyzzy abcdefghijklmnop SG.made-up"
LONG_LINE = b"250 " + b"x" * 9_000 + b"\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\n"
CUT_SHORT = ACCEPTED + b"Content-Length: 9\r\n\r\nshort"
STAGES = ("connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", ".")

BROKEN = ("pending", "transient", "connection")
TOO_LATE = ("pending", "transient", "deadline")


def transient(code):
    return ("pending", "transient", str(code))


def channel(code):
    return ("pending", "channel", str(code))


def message(code):
    return ("failed", "message", str(code))


SMTP_ANSWERS = [
    ("connect", 421, transient),
    ("connect", 554, channel),
    ("STARTTLS", 454, transient),
    ("STARTTLS", 502, channel),
    ("AUTH", 454, transient),
    ("AUTH", 535, channel),
    ("MAIL", 421, transient),
    ("MAIL", 451, transient),
    ("MAIL", 550, channel),
    ("RCPT", 421, transient),
    ("RCPT", 450, transient),
    ("RCPT", 550, channel),
    ("MAIL", 452, transient),
    ("MAIL", 552, message),
    ("RCPT", 452, transient),
    ("RCPT", 552, transient),
    ("DATA", 452, transient),
    ("DATA", 552, message),
    ("DATA", 451, transient),
    ("DATA", 554, message),
    (".", 421, transient),
    (".", 452, transient),
    (".", 552, message),
]
# What 552 means stands in the enhanced code behind it: too large, or a mailbox that is full.
SIZE_ANSWERS = [
    ("MAIL", "5.3.4", message(552)),
    ("MAIL", "5.2.3", message(552)),
    ("MAIL", "5.2.2", channel(552)),
    ("MAIL", "5.4.5", channel(552)),
    ("RCPT", "5.3.4", message(552)),
    ("RCPT", "5.2.2", channel(552)),
    (".", "5.2.3", message(552)),
    (".", "5.2.2", channel(552)),
]
SMTP_FAULTS = [
    *((stage, Answer(code, f"5.0.0 {RAW}"), kind(code)) for stage, code, kind in SMTP_ANSWERS),
    *((stage, Answer(552, f"{status} {RAW}"), kind) for stage, status, kind in SIZE_ANSWERS),
    *((stage, Close(), BROKEN) for stage in STAGES),
    *((stage, Close(reset=True), BROKEN) for stage in STAGES),
    *((stage, Silence(), TOO_LATE) for stage in STAGES),
    *((stage, Garbage(LONG_LINE), BROKEN) for stage in ("connect", "AUTH", "MAIL", ".")),
    *((stage, Garbage(), transient(-1)) for stage in ("connect", "AUTH", "MAIL", ".")),
    ("EHLO", Answer(250, "smtp.test"), channel("unsupported")),
    ("EHLO", Answer(250, "smtp.test\nSTARTTLS\nAUTH XYZZY"), channel("unsupported")),
    ("STARTTLS", Drip(b"xyzzy\r\n" * 9, after=b"220 Go\r\n", seconds=0.01), channel("tls")),
    ("DATA", Close(after=b"354 Go ahead\r\n"), BROKEN),
    (".", Close(after=b"2"), transient(2)),
]
HTTP_ANSWERS = [
    *((status, transient) for status in (200, 204, 408, 429, 500, 502, 503)),
    *((status, channel) for status in (401, 403, 404)),
    *((status, message) for status in (400, 413)),
]
HTTP_FAULTS = [
    *(("request", Response(status, RAW), kind(status)) for status, kind in HTTP_ANSWERS),
    *(
        ("request", Response(status, headers={"Location": "/v3/landing"}), transient(status))
        for status in (301, 302, 307)
    ),
    ("connect", Close(), BROKEN),
    ("connect", Close(reset=True), BROKEN),
    ("connect", Silence(), TOO_LATE),
    ("request", Close(), BROKEN),
    ("request", Close(reset=True), BROKEN),
    ("request", Close(after=b"HTTP/1.1 2"), BROKEN),
    ("request", Close(after=CUT_SHORT), BROKEN),
    ("request", Silence(), TOO_LATE),
    ("request", Silence(after=ACCEPTED + b"Content-Length: 9\r\n\r\n"), TOO_LATE),
    ("request", Drip(accept=False), TOO_LATE),
    ("request", Garbage(RAW.encode() + b"\r\n"), BROKEN),
]
FAULTS = [
    *(("scripted_smtp_server", *fault) for fault in SMTP_FAULTS),
    *(("sendgrid_server", *fault) for fault in HTTP_FAULTS),
]
# The mail is taken and its answer lost.
AMBIGUOUS_FAULTS = [
    ("scripted_smtp_server", ".", Close(accept=True), BROKEN),
    ("scripted_smtp_server", ".", Close(accept=True, reset=True), BROKEN),
    ("scripted_smtp_server", ".", Close(accept=True, after=b"2"), transient(2)),
    ("scripted_smtp_server", ".", Silence(accept=True), TOO_LATE),
    ("scripted_smtp_server", ".", Garbage(accept=True), transient(-1)),
    ("sendgrid_server", "request", Close(accept=True), BROKEN),
    ("sendgrid_server", "request", Close(accept=True, reset=True), BROKEN),
    ("sendgrid_server", "request", Close(accept=True, after=b"2"), BROKEN),
    ("sendgrid_server", "request", Silence(accept=True), TOO_LATE),
    ("sendgrid_server", "request", Garbage(accept=True), BROKEN),
    ("sendgrid_server", "request", Response(502, RAW, accept=True), transient(502)),
]
# The mail is taken, the answer says so, and then it stops.
TAKEN_FAULTS = [
    ("scripted_smtp_server", ".", Close(accept=True, after=b"250 2.0")),
    ("sendgrid_server", "request", Close(accept=True, after=ACCEPTED + b"X-Message")),
    ("sendgrid_server", "request", Silence(accept=True, after=ACCEPTED)),
]


def name(value):
    return repr(value)[:60] if not isinstance(value, str) else value


@pytest.fixture
def post_into(post, use_mail, caplog):
    """Post a ticket that must end as `expected` says, leaving nothing raw behind; return it."""

    def post_into(server, expected, **env):
        deadline = SHORT_SECONDS if expected == TOO_LATE else 5
        use_mail(server, SUPPORT_EMAIL_DEADLINE=str(deadline), **env)
        response = post()
        # The short one is for what never answers; what comes next may take its time.
        use_mail(server, SUPPORT_EMAIL_DEADLINE="5", **env)
        ticket = Ticket.objects.get()
        [entry] = ticket.attempt_log
        assert response.status_code == 201
        assert (response.json()["status"], entry["kind"], entry["code"]) == expected
        assert ticket.last_error == f"{entry['kind']} {entry['code']}: {entry['text']}"
        assert ticket.attempts == (entry["kind"] != "channel")
        assert entry["ms"] <= (deadline + 0.25) * 1000
        kept = str(Ticket.objects.values().get()) + caplog.text
        assert not [word for word in RAW.split() if word in kept]
        return ticket

    return post_into


def resend(ticket):
    call_command("resend_failed_emails", stdout=StringIO())
    ticket.refresh_from_db()
    assert (ticket.email_status, ticket.last_error) == ("sent", "")


def check_mails(server, ticket, count):
    """So many mails arrived, each with the ticket's one Message-ID and Date."""
    assert len(server.wait_for(count)) == count
    for mail in server.messages:
        assert mail.header("Message-ID") == f"<{ticket.pk}@tickets.ctxfy>"
        assert mail.header("Date") == format_datetime(ticket.created_at)


@pytest.mark.parametrize(("server", "stage", "fault", "expected"), FAULTS, ids=name)
def test_names_the_fault_and_sends_once_it_ends(request, post_into, server, stage, fault, expected):
    server = request.getfixturevalue(server)
    server.faults[stage] = fault
    ticket = post_into(server, expected)
    assert not server.messages
    server.faults.clear()
    resend(ticket)
    check_mails(server, ticket, 1)


def test_lets_the_others_through_where_one_mail_is_too_large(
    post, client, use_mail, scripted_smtp_server
):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["MAIL"] = Answer(552, "5.3.4 Message size exceeds fixed limit")
    assert [post().json()["status"] for _ in range(3)] == ["failed"] * 3
    assert client.get("/health").json()["mail"] == "ok"
    del scripted_smtp_server.faults["MAIL"]
    assert post().json()["status"] == "sent"


@pytest.mark.parametrize(
    ("stage", "missing"),
    [
        ("connect", "did not greet us"),
        ("EHLO", "did not greet us"),
        ("STARTTLS", "did not finish the TLS handshake"),
        ("AUTH", "did not answer the log-in"),
        ("MAIL", "did not answer"),
    ],
)
def test_says_what_was_not_answered_in_time(post_into, scripted_smtp_server, stage, missing):
    scripted_smtp_server.faults[stage] = Silence()
    ticket = post_into(scripted_smtp_server, TOO_LATE)
    assert ticket.last_error == f"transient deadline: The mail server {missing} in time"


def test_offers_its_password_once(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server, GOOGLE_SMTP_PASSWORD="wrong")
    offers = []
    scripted_smtp_server.faults["AUTH"] = Meanwhile(lambda: offers.append(1))
    assert post().json()["status"] == "pending"
    assert len(offers) == 1


def test_tries_again_where_the_tls_handshake_breaks_off(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["STARTTLS"] = Close(after=b"220 Go\r\n")
    assert post().json()["status"] == "pending"
    [entry] = Ticket.objects.get().attempt_log
    # By FIN or by RST: that is up to the moment.
    assert (entry["kind"], entry["code"] in {"tls", "connection"}) == ("transient", True)


@pytest.mark.parametrize(("server", "stage", "fault", "expected"), AMBIGUOUS_FAULTS, ids=name)
def test_sends_again_what_may_have_been_taken(request, post_into, server, stage, fault, expected):
    server = request.getfixturevalue(server)
    server.faults[stage] = fault
    ticket = post_into(server, expected)
    server.faults.clear()
    resend(ticket)
    check_mails(server, ticket, 2)


@pytest.mark.parametrize(("server", "stage", "fault"), TAKEN_FAULTS, ids=name)
def test_believes_the_status_alone(request, post, use_mail, server, stage, fault):
    server = use_mail(request.getfixturevalue(server), SUPPORT_EMAIL_DEADLINE=str(SHORT_SECONDS))
    server.faults[stage] = fault
    assert post().json()["status"] == "sent"
    server.faults.clear()
    assert post().json()["status"] == "sent"
    assert len(server.messages) == 2


def test_waits_for_a_provider_that_is_not_there(post_into, provider):
    provider.stop()
    ticket = post_into(provider, BROKEN)
    provider.start()
    resend(ticket)
    check_mails(provider, ticket, 1)


@pytest.mark.parametrize(
    "fault", [Close(), Close(reset=True), Silence(), Garbage(LONG_LINE)], ids=name
)
def test_counts_as_sent_whatever_quit_answers(post, use_mail, scripted_smtp_server, fault):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["QUIT"] = fault
    assert [post().json()["status"] for _ in range(2)] == ["sent", "sent"]
    resend(Ticket.objects.first())
    assert post().json()["status"] == "sent"
    assert len(scripted_smtp_server.messages) == 3


def test_replaces_a_kept_connection_that_died(post, provider):
    assert post().json()["status"] == "sent"
    provider.stop()
    provider.start()
    assert post().json()["status"] == "sent"
    assert len(provider.messages) == 2


@pytest.mark.parametrize("answer", [250, 421, 500])
def test_asks_a_kept_connection_before_trusting_it(post, use_mail, scripted_smtp_server, answer):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["NOOP"] = Answer(answer, "xyzzy")
    assert [post().json()["status"] for _ in range(2)] == ["sent", "sent"]
    first, second = (mail.connection for mail in scripted_smtp_server.messages)
    assert (first == second) == (answer == 250)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"GOOGLE_SMTP_PASSWORD": "xyzzy"}, channel(535)),
        ({"GOOGLE_SMTP_SECURITY": "tls"}, channel("tls")),
        ({"GOOGLE_SMTP_SECURITY": "none"}, channel("unsupported")),
    ],
    ids=["password", "tls-to-a-plain-port", "no-tls"],
)
def test_sends_once_the_settings_are_mended(post_into, use_mail, smtp_server, wrong, expected):
    ticket = post_into(smtp_server, expected, **wrong)
    use_mail(smtp_server, **{key: smtp_server.env[key] for key in wrong})
    resend(ticket)
    check_mails(smtp_server, ticket, 1)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_names_a_certificate_that_nobody_vouches_for(post_into, security, tmp_path):
    (tmp_path / "none.pem").touch()
    with SMTPServer(security=security) as server:
        post_into(server, channel("tls"), SSL_CERT_FILE=str(tmp_path / "none.pem"))


def test_gives_a_row_with_a_header_error_up(sendgrid_server, use_mail):
    use_mail(sendgrid_server)
    ticket = TicketFactory(type="a\x01b")
    attempts.attempt_next()
    ticket.refresh_from_db()
    assert ticket.email_status == "failed"
    assert ticket.last_error.startswith("message invalid: ")
    assert not sendgrid_server.requests


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (lambda now: "120", 120),
        (lambda now: format_datetime(now + timedelta(seconds=120), usegmt=True), 120),
        (lambda now: "999999999999", 24 * 3600),
        (lambda now: "-5", 0),
        (lambda now: "soon", 0),
        (lambda now: "Fri, 01 Jan 1999 00:00:00 GMT", 0),
        (lambda now: "Fri, 99 Jan 99999 00:00:00 GMT", 0),
    ],
    ids=["seconds", "date", "long", "negative", "word", "past", "no-date"],
)
def test_waits_as_long_as_it_is_asked_to(post_into, sendgrid_server, status, asked, seconds):
    before = timezone.now().replace(microsecond=0)
    answer = Response(status, headers={"Retry-After": asked(before)})
    sendgrid_server.faults["request"] = answer
    ticket = post_into(sendgrid_server, transient(status))
    wait = timedelta(seconds=seconds)
    longest = max(wait, timedelta(seconds=10))
    # SQLite counts milliseconds, an HTTP date whole seconds.
    earliest = before + wait - timedelta(seconds=1)
    assert earliest <= ticket.next_attempt_at <= timezone.now() + longest


@pytest.fixture
def try_later(use_mail, scripted_smtp_server):
    """Try a row that is answered 451, with these columns; return it as it is then."""
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["MAIL"] = Answer(451, "later")

    def try_later(**columns):
        ticket = TicketFactory(**columns)
        # This one: a backoff may be so short that an earlier one is due again.
        attempts.attempt_next(Ticket.objects.filter(pk=ticket.pk))
        ticket.refresh_from_db()
        return ticket

    return try_later


@pytest.mark.parametrize(("attempts", "ceiling"), [(0, 10), (1, 20), (4, 160), (60, 3600)])
def test_waits_longer_each_time_and_an_hour_at_most(try_later, attempts, ceiling):
    before = timezone.now()
    tickets = [try_later(attempts=attempts) for _ in range(12)]
    waits = sorted((ticket.next_attempt_at - before).total_seconds() for ticket in tickets)
    assert 0 <= waits[0] < waits[-1] <= ceiling + 5
    # Full jitter: they spread over all of it.
    assert waits[-1] - waits[0] > ceiling / 5
    assert {ticket.attempts for ticket in tickets} == {attempts + 1}


@pytest.mark.parametrize(("hours", "status"), [(71, "pending"), (73, "failed")])
def test_gives_up_after_72_hours(try_later, hours, status):
    since = timezone.now() - timedelta(hours=hours)
    ticket = try_later(retrying_since=since, attempts=40)
    assert (ticket.email_status, ticket.retrying_since) == (status, since)


def test_starts_its_72_hours_with_the_first_failure(try_later):
    ticket = try_later(created_at=timezone.now() - timedelta(days=9))
    assert ticket.email_status == "pending"
    assert timezone.now() - ticket.retrying_since < timedelta(minutes=1)
