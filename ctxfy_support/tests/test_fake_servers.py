"""The stand-ins for the mail providers are as strict as the originals, and fail on demand."""

import contextlib
import smtplib
import ssl
import time
from email.message import EmailMessage

import pytest
import requests

from ctxfy_support.tests.loopback import Close, Drip, Garbage, Silence
from ctxfy_support.tests.scripted_smtp_server import Answer, ScriptedSMTPServer
from ctxfy_support.tests.sendgrid_server import Response
from ctxfy_support.tests.smtp_server import SMTPServer

LONG_LINE = b"x" * 9_000 + b"\r\n"


def make_email():
    message = EmailMessage()
    message["From"] = "tickets@ctxfy.example"
    message["To"] = "support@ctxfy.example"
    message["Subject"] = "Ticket 1: billing"
    message.set_content("Charged twice in October.\n.\n.. and a line of dots\n")
    return message


@contextlib.contextmanager
def connect(server, *, timeout=2):
    context = ssl.create_default_context(cafile=server.ca_file)
    if server.security == "tls":
        client = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context)
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=timeout)
    try:
        if server.security == "starttls":
            client.starttls(context=context)
        yield client
    finally:
        client.close()


def send_smtp(server, **kwargs):
    with connect(server, **kwargs) as client:
        client.login(server.user, server.password)
        client.send_message(make_email())
        client.quit()


@pytest.fixture(params=[SMTPServer, ScriptedSMTPServer])
def make_smtp_server(request):
    with contextlib.ExitStack() as stack:
        yield lambda **kwargs: stack.enter_context(request.param(**kwargs))


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_smtp_takes_a_mail(make_smtp_server, security):
    server = make_smtp_server(security=security)
    send_smtp(server)
    [message] = server.wait_for(1)
    assert message.sender == "tickets@ctxfy.example"
    assert message.recipients == ["support@ctxfy.example"]
    assert message.subject == "Ticket 1: billing"
    assert message.text == "Charged twice in October.\n.\n.. and a line of dots\n"
    assert message.user == server.user
    assert message.encrypted == (security != "none")
    assert b"\r\n" in message.raw


def test_smtp_tells_a_kept_connection(make_smtp_server):
    server = make_smtp_server()
    with connect(server) as client:
        client.login(server.user, server.password)
        client.send_message(make_email())
        client.send_message(make_email())
    send_smtp(server)
    first, second, third = (message.connection for message in server.wait_for(3))
    assert first == second != third


def test_smtp_offers_no_login_before_starttls(make_smtp_server):
    server = make_smtp_server()
    with smtplib.SMTP(server.host, server.port, timeout=2) as client:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login(server.user, server.password)
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] >= 500
        assert client.mail("ada@example.com")[0] >= 500


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_smtp_takes_no_mail_without_login(make_smtp_server, security):
    server = make_smtp_server(security=security)
    with connect(server) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refusal:
            client.send_message(make_email())
        assert refusal.value.smtp_code == 530


def test_smtp_refuses_a_wrong_password(make_smtp_server):
    server = make_smtp_server()
    with connect(server) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            client.login(server.user, "wrong")
        assert refusal.value.smtp_code == 535


def test_smtp_knows_plain_and_login(make_smtp_server):
    server = make_smtp_server()
    for mechanism in (smtplib.SMTP.auth_plain, smtplib.SMTP.auth_login):
        with connect(server) as client:
            client.ehlo()
            client.user, client.password = server.user, server.password
            name = mechanism.__name__.removeprefix("auth_").upper()
            assert client.auth(name, mechanism.__get__(client))[0] == 235


def test_smtp_has_a_certificate_of_its_own_authority(make_smtp_server):
    server = make_smtp_server(security="tls")
    with pytest.raises(ssl.SSLCertVerificationError):
        smtplib.SMTP_SSL(server.host, server.port, timeout=2, context=ssl.create_default_context())


def test_smtp_stops_with_a_client_connected_and_refuses_until_started(make_smtp_server):
    server = make_smtp_server()
    with connect(server):
        server.stop()
    with pytest.raises(ConnectionRefusedError):
        send_smtp(server)
    server.start()
    send_smtp(server)
    assert server.wait_for(1)


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("connect", smtplib.SMTPConnectError),
        ("AUTH", smtplib.SMTPAuthenticationError),
        ("MAIL", smtplib.SMTPSenderRefused),
        ("RCPT", smtplib.SMTPRecipientsRefused),
        ("DATA", smtplib.SMTPDataError),
        (".", smtplib.SMTPDataError),
    ],
)
def test_smtp_answers_as_told_at_every_stage(scripted_smtp_server, stage, error):
    scripted_smtp_server.faults[stage] = Answer(451, "4.3.0 Not\nnow")
    with pytest.raises(error):
        send_smtp(scripted_smtp_server)
    del scripted_smtp_server.faults[stage]
    send_smtp(scripted_smtp_server)
    assert len(scripted_smtp_server.messages) == 1


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        *((stage, Close()) for stage in ("connect", "EHLO", "STARTTLS", "AUTH", "RCPT", "DATA")),
        *((stage, Silence()) for stage in ("connect", "STARTTLS", ".")),
        ("connect", Garbage(LONG_LINE)),
        ("MAIL", Close(reset=True)),
        ("MAIL", Drip(seconds=0.2, accept=False)),
        (".", Garbage()),
        (".", Close(after=b"2")),
    ],
    ids=repr,
)
def test_smtp_fails_as_told(scripted_smtp_server, stage, fault):
    scripted_smtp_server.faults[stage] = fault
    with pytest.raises((OSError, smtplib.SMTPException)):
        send_smtp(scripted_smtp_server, timeout=0.1)
    assert not scripted_smtp_server.messages


def test_smtp_can_take_a_mail_and_lose_the_answer(scripted_smtp_server):
    scripted_smtp_server.faults["."] = Close(accept=True, times=1)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send_smtp(scripted_smtp_server)
    send_smtp(scripted_smtp_server)
    assert len(scripted_smtp_server.messages) == 2


def test_smtp_can_stop_in_the_middle_of_the_data(scripted_smtp_server):
    scripted_smtp_server.faults["DATA"] = Close(after=b"354 Go ahead\r\n")
    with pytest.raises((OSError, smtplib.SMTPServerDisconnected)):
        send_smtp(scripted_smtp_server)
    assert not scripted_smtp_server.messages


def test_smtp_can_leave_out_what_it_offers(scripted_smtp_server):
    scripted_smtp_server.faults["EHLO"] = Answer(250, "smtp.test")
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send_smtp(scripted_smtp_server)


def test_smtp_drips_one_byte_at_a_time(scripted_smtp_server):
    scripted_smtp_server.faults["MAIL"] = Drip(seconds=0.03)
    started = time.monotonic()
    send_smtp(scripted_smtp_server)
    assert time.monotonic() - started > 0.03 * len(b"250 2.0.0 OK")
    assert len(scripted_smtp_server.messages) == 1


@pytest.mark.parametrize("fault", [Close(), Garbage(), Garbage(LONG_LINE)], ids=repr)
def test_smtp_can_take_a_mail_and_part_badly(scripted_smtp_server, fault):
    scripted_smtp_server.faults["QUIT"] = fault
    with contextlib.suppress(smtplib.SMTPException):
        send_smtp(scripted_smtp_server)
    assert len(scripted_smtp_server.messages) == 1


def make_payload(**changes):
    return {
        "personalizations": [{"to": [{"email": "support@ctxfy.example", "name": "Support"}]}],
        "from": {"email": "tickets@ctxfy.example"},
        "subject": "Ticket 1: billing",
        "content": [
            {"type": "text/plain", "value": "Charged twice."},
            {"type": "text/html", "value": "<p>Charged twice.</p>"},
        ],
        "reply_to": {"email": "ada@example.com"},
        "headers": {"Message-ID": "<1@ctxfy.example>"},
    } | changes


def post_mail(server, payload=None, *, session=requests, key=None, **kwargs):
    return session.post(
        f"{server.url}mail/send",
        json=make_payload() if payload is None else payload,
        headers={"Authorization": f"Bearer {key or server.api_key}"},
        timeout=2,
        **kwargs,
    )


def test_sendgrid_takes_a_mail(sendgrid_server):
    response = post_mail(sendgrid_server)
    assert (response.status_code, response.text) == (202, "")
    assert response.headers["X-Message-Id"]
    [message] = sendgrid_server.wait_for(1)
    assert message.recipients == ["support@ctxfy.example"]
    assert message.subject == "Ticket 1: billing"
    assert message.text == "Charged twice."
    assert message.header("message-id") == "<1@ctxfy.example>"


def test_sendgrid_tells_a_kept_connection(sendgrid_server):
    with requests.Session() as session:
        post_mail(sendgrid_server, session=session)
        post_mail(sendgrid_server, session=session)
    post_mail(sendgrid_server)
    first, second, third = (message.connection for message in sendgrid_server.wait_for(3))
    assert first == second != third


def test_sendgrid_refuses_a_wrong_key(sendgrid_server):
    response = post_mail(sendgrid_server, key="SG.wrong")
    assert response.status_code == 401
    assert response.json()["errors"][0]["message"]
    assert not sendgrid_server.messages


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "ada"}]}]}, "personalizations.0.to.email"),
        ({"from": {"name": "Ctxfy"}}, "from.email"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        ({"content": make_payload()["content"][::-1]}, "content"),
        ({"reply_to_list": [{"email": "ada@example.com"}]}, "reply_to"),
        ({"headers": {"Reply-To": "ada@example.com"}}, "headers.Reply-To"),
        ({"headers": {"X-Ticket": 1}}, "headers.X-Ticket"),
    ],
    ids=repr,
)
def test_sendgrid_refuses_what_its_reference_forbids(sendgrid_server, changes, field):
    response = post_mail(sendgrid_server, make_payload(**changes))
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not sendgrid_server.messages


def test_sendgrid_answers_as_told(sendgrid_server):
    landing = f"{sendgrid_server.url}landing"
    sendgrid_server.faults["request"] = Response(302, headers={"Location": landing}, times=1)
    assert post_mail(sendgrid_server).url == landing
    sendgrid_server.faults["request"] = Response(429, headers={"Retry-After": "3"}, times=1)
    assert post_mail(sendgrid_server).headers["Retry-After"] == "3"
    assert not sendgrid_server.messages
    assert post_mail(sendgrid_server).status_code == 202


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        ("connect", Close(reset=True)),
        ("connect", Silence()),
        ("request", Close()),
        ("request", Close(after=b"HTTP/1.1 2")),
        ("request", Close(after=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")),
        ("request", Silence()),
        ("request", Silence(after=b"HTTP/1.1 202 Accepted\r\nX-Message-Id: 1\r\n")),
        ("request", Garbage()),
    ],
    ids=repr,
)
def test_sendgrid_fails_as_told(sendgrid_server, stage, fault):
    sendgrid_server.faults[stage] = fault
    with pytest.raises(requests.RequestException):
        requests.post(f"{sendgrid_server.url}mail/send", json={}, timeout=0.2)
    assert not sendgrid_server.messages


@pytest.mark.parametrize("dripped", ["status line", "headers", "body"])
def test_sendgrid_drips_what_it_is_told(sendgrid_server, dripped):
    lines = [b"HTTP/1.1 202 Accepted\r\n", b"Content-Length: 20\r\n\r\n", b"x" * 20]
    at_once = ["status line", "headers", "body"].index(dripped)
    drip = Drip(b"".join(lines[at_once:]), after=b"".join(lines[:at_once]), seconds=0.01)
    sendgrid_server.faults["request"] = drip
    started = time.monotonic()
    assert post_mail(sendgrid_server).text == "x" * 20
    assert time.monotonic() - started > 0.01 * (len(drip.data) - 1)


def test_sendgrid_can_take_a_mail_and_lose_the_answer(sendgrid_server):
    sendgrid_server.faults["request"] = Close(accept=True, times=1)
    with pytest.raises(requests.ConnectionError):
        post_mail(sendgrid_server)
    assert len(sendgrid_server.messages) == 1


def test_sendgrid_refuses_connections_while_it_is_stopped(sendgrid_server):
    with requests.Session() as session:
        post_mail(sendgrid_server, session=session)
        sendgrid_server.stop()
        with pytest.raises(requests.ConnectionError):
            post_mail(sendgrid_server, session=session)
        sendgrid_server.start()
        assert post_mail(sendgrid_server, session=session).status_code == 202
