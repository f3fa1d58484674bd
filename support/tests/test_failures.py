"""What each way to fail is called: the class that decides, the code, the words that agents read."""

import smtplib
import ssl
from datetime import UTC, timedelta
from email.errors import HeaderParseError
from email.utils import format_datetime

import pytest
import requests
from anymail.exceptions import AnymailError, AnymailRequestsAPIError
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError
from django.utils import timezone

from support import failures
from support.failures import (
    DeadlineExceededError,
    Failure,
    FailureKind,
    classify,
    parse_retry_after,
)

WORDS = b"xyzzy"
DAY = timedelta(hours=24)
LATER = "The mail server asked to try again later"
LOGIN = "The mail server refused the user name or password"
REFUSED = "The mail server refused the connection"
SENDER = "The mail server refused the sender (SUPPORT_EMAIL_FROM)"
RECIPIENT = "The mail server refused the recipient (SUPPORT_EMAIL)"
HANDSHAKE = "The mail server broke off the TLS handshake"
UNTRUSTED = "No trusted TLS connection: check host, port, security and certificate"
UNWRITABLE = "This mail cannot be written as an e-mail"


def recipient_refused(code):
    return smtplib.SMTPRecipientsRefused({"support@ctxfy.example": (code, WORDS)})


def sender_refused(code, words=WORDS):
    return smtplib.SMTPSenderRefused(code, words, "sender@ctxfy.example")


SMTP = [
    (smtplib.SMTPNotSupportedError("xyzzy"), "channel", "unsupported",
     "The mail server lacks STARTTLS or AUTH: check the port"),
    (smtplib.SMTPException("xyzzy"), "channel", "unsupported",
     "The mail server offers no way to sign in that we know"),
    (smtplib.SMTPServerDisconnected("xyzzy"), "transient", "connection",
     "The mail server broke off the connection"),
    (smtplib.SMTPResponseException(500, "Line too long."), "transient", "connection",
     "The mail server's answer made no sense"),
    (smtplib.SMTPConnectError(554, WORDS), "channel", "554", REFUSED),
    (smtplib.SMTPHeloError(500, WORDS), "channel", "500", REFUSED),
    (smtplib.SMTPHeloError(499, WORDS), "transient", "499", LATER),
    (smtplib.SMTPHeloError(599, WORDS), "channel", "599", REFUSED),
    (smtplib.SMTPHeloError(600, WORDS), "transient", "600", LATER),
    (smtplib.SMTPAuthenticationError(535, WORDS), "channel", "535", LOGIN),
    (smtplib.SMTPAuthenticationError(454, WORDS), "transient", "454", LATER),
    (sender_refused(550), "channel", "550", SENDER),
    (sender_refused(451), "transient", "451", LATER),
    (sender_refused(550, b"5.4.5 Daily user sending limit exceeded"), "channel", "550",
     "The mail account's sending quota is used up"),
    (recipient_refused(550), "channel", "550", RECIPIENT),
    (recipient_refused(450), "transient", "450", LATER),
    (smtplib.SMTPRecipientsRefused({}), "transient", "0", LATER),
    (smtplib.SMTPDataError(554, WORDS), "message", "554", "The mail server refused this mail"),
    (smtplib.SMTPDataError(550, b"5.4.5 Daily user sending limit exceeded"), "channel", "550",
     "The mail account's sending quota is used up"),
    (smtplib.SMTPDataError(451, WORDS), "transient", "451", LATER),
]  # fmt: skip
OTHERS = [
    (DeadlineExceededError(), "transient", "deadline", "The mail server did not answer in time"),
    (ssl.SSLEOFError(), "transient", "tls", HANDSHAKE),
    (ssl.SSLZeroReturnError(), "transient", "tls", HANDSHAKE),
    (ssl.SSLError("xyzzy"), "channel", "tls", UNTRUSTED),
    (ssl.SSLCertVerificationError("xyzzy"), "channel", "tls", UNTRUSTED),
    (BadHeaderError("xyzzy"), "message", "invalid", UNWRITABLE),
    (HeaderParseError("xyzzy"), "message", "invalid", UNWRITABLE),
    (AnymailError("xyzzy"), "message", "invalid", UNWRITABLE),
    (ImproperlyConfigured("xyzzy"), "channel", "settings",
     "The mail settings cannot be used: check host and credentials"),
    (ConnectionRefusedError("xyzzy"), "transient", "connection",
     "The mail server could not be reached"),
    (KeyError("xyzzy"), "transient", "unexpected",
     "Sending failed in an unexpected way (KeyError)"),
]  # fmt: skip


def http_error(status, **headers):
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return AnymailRequestsAPIError("xyzzy", response=response)


def request_error(exc):
    """As Anymail wraps what requests raised: with no answer, and in a class made for it."""
    return type("AnymailRequestError", (AnymailRequestsAPIError, type(exc)), {})(*exc.args)


THIS_MAIL = "The mail provider refused this mail"
ACCOUNT = "The mail provider refused the API key, the sender or the account"
ADDRESS = "The mail provider does not know this address: check its URL"
NOT_NOW = "The mail provider did not accept the mail now"
HTTP = [
    *((http_error(status), "message", str(status), THIS_MAIL) for status in (400, 413)),
    *((http_error(status), "channel", str(status), ACCOUNT) for status in (401, 403)),
    *((http_error(status), "channel", str(status), ADDRESS) for status in (402, 404, 451, 499)),
    *(
        (http_error(status), "transient", str(status), NOT_NOW)
        for status in (200, 302, 399, 408, 425, 429, 500, 503)
    ),
    (request_error(requests.exceptions.SSLError("EOF occurred in violation of protocol")),
     "transient", "tls", "The mail provider broke off the TLS handshake"),
    (request_error(requests.exceptions.SSLError("xyzzy")), "channel", "tls",
     "No trusted TLS connection to the mail provider"),
    (request_error(requests.exceptions.InvalidURL("xyzzy")), "channel", "settings",
     "The mail provider's address or API key is malformed"),
    (request_error(requests.exceptions.InvalidHeader("xyzzy")), "channel", "settings",
     "The mail provider's address or API key is malformed"),
    (request_error(requests.exceptions.ReadTimeout("xyzzy")), "transient", "connection",
     "The mail provider broke off the connection"),
]  # fmt: skip


def name(value):
    return repr(value)[:50] if isinstance(value, Exception) else None


@pytest.mark.parametrize(("exc", "kind", "code", "text"), [*SMTP, *OTHERS, *HTTP], ids=name)
def test_has_a_class_a_code_and_words_of_ours(exc, kind, code, text):
    assert classify(exc) == Failure(FailureKind(kind), code, text)
    assert str(classify(exc)) == f"{kind} {code}: {text}"


@pytest.mark.parametrize("status", [429, 503])
def test_waits_as_long_as_the_provider_asks(status):
    failure = classify(http_error(status, **{"Retry-After": "120"}))
    assert failure.retry_after == timedelta(seconds=120)


def test_asks_for_no_wait_where_there_was_no_answer():
    exc = AnymailRequestsAPIError("xyzzy")
    exc.status_code = 503
    assert classify(exc).retry_after == timedelta(0)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta(0)),
        ("1", timedelta(seconds=1)),
        (" 120\t", timedelta(seconds=120)),
        ("86399", DAY - timedelta(seconds=1)),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 5_000, DAY),
        ("", timedelta(0)),
        ("-1", timedelta(0)),
        ("1.5", timedelta(0)),
        ("²", timedelta(0)),
        ("\u0661", timedelta(0)),
        ("soon", timedelta(0)),
        ("Fri, 01 Jan 1999 00:00:00 GMT", timedelta(0)),
        ("Fri, 01 Jan 1999 00:00:00", timedelta(0)),
        ("Fri, 99 Jan 99999 00:00:00 GMT", timedelta(0)),
        ("Fri, 01 Jan 2999 00:00:00 GMT", DAY),
    ],
)
def test_reads_what_a_server_asks_for(value, wait):
    assert parse_retry_after(value) == wait


def test_reads_an_http_date():
    asked = (timezone.now() + timedelta(hours=3)).astimezone(UTC)
    wait = parse_retry_after(format_datetime(asked, usegmt=True))
    assert timedelta(hours=2, minutes=50) < wait <= timedelta(hours=3)


def test_takes_a_day_for_the_most():
    assert failures.LONGEST_RETRY_AFTER == DAY
