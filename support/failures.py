"""Every way a send can go wrong, turned into three classes, a code and a short safe text.

message: this mail can never go. transient: time cures it. channel: our own credentials, sender or
recipient were refused, so no mail can go until someone mends them. The texts are ours: what a
server or a library says may quote a credential.
"""

import smtplib
import ssl
from dataclasses import dataclass
from datetime import timedelta
from email.errors import MessageError
from email.utils import parsedate_to_datetime
from enum import StrEnum

import requests
from anymail.exceptions import AnymailError, AnymailRequestsAPIError
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

LONGEST_RETRY_AFTER = timedelta(hours=24)


# Of a mail that never got as far as the provider, which says nothing about the way there.
NEVER_SENT_CODE = "invalid"
SUPPORT_EMAIL_REFUSED = "The mail server refused the recipient (SUPPORT_EMAIL)"
# Gmail's and Workspace's answer when the day's quota is used up: tomorrow cures it.
_QUOTA_CODE = b"5.4.5"


class FailureKind(StrEnum):
    MESSAGE = "message"
    TRANSIENT = "transient"
    CHANNEL = "channel"


class DeadlineExceededError(Exception):
    """The attempt was cut off at its deadline; the mail may still have been accepted."""


@dataclass(frozen=True)
class Failure:
    """`code` is an SMTP or HTTP status, or a word; `retry_after` is what the server asked for."""

    kind: FailureKind
    code: str
    text: str
    retry_after: timedelta = timedelta(0)

    def __str__(self) -> str:
        return f"{self.kind} {self.code}: {self.text}"


def _message(code: object, text: str) -> Failure:
    return Failure(FailureKind.MESSAGE, str(code), text)


def _transient(code: object, text: str, retry_after: timedelta = timedelta(0)) -> Failure:
    return Failure(FailureKind.TRANSIENT, str(code), text, retry_after)


def _channel(code: object, text: str) -> Failure:
    return Failure(FailureKind.CHANNEL, str(code), text)


def classify(exc: BaseException) -> Failure:
    """What an exception of a send means; never raises, and knows an answer for every exception."""
    match exc:
        case DeadlineExceededError():
            return _transient("deadline", "The mail server did not answer in time")
        case AnymailRequestsAPIError():
            return _classify_http(exc)
        case smtplib.SMTPException():
            return _classify_smtp(exc)
        case ssl.SSLError():
            return _classify_tls(exc)
        case MessageError() | ValueError() | AnymailError():
            return _message(NEVER_SENT_CODE, "This mail cannot be written as an e-mail")
        case ImproperlyConfigured():
            return _channel(
                "settings", "The mail settings cannot be used: check host and credentials"
            )
        case OSError():
            return _transient("connection", "The mail server could not be reached")
    return _transient("unexpected", f"Sending failed in an unexpected way ({type(exc).__name__})")


def _classify_tls(exc: BaseException) -> Failure:
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _transient("tls", "The mail server broke off the TLS handshake")
    return _channel("tls", "No trusted TLS connection: check host, port, security and certificate")


def _classify_smtp(exc: smtplib.SMTPException) -> Failure:
    """RFC 5321: 4yz is transient; what 5yz means depends on the command that it answers."""
    match exc:
        case smtplib.SMTPNotSupportedError():
            return _channel("unsupported", "The mail server lacks STARTTLS or AUTH: check the port")
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            code = next((code for code, _ in recipients.values()), 0)
            permanent = _channel(code, SUPPORT_EMAIL_REFUSED)
        case smtplib.SMTPDataError(smtp_code=code, smtp_error=words) if _is_quota(words):
            permanent = _channel(code, "The mail account's sending quota is used up")
        case smtplib.SMTPDataError(smtp_code=code):
            permanent = _message(code, "The mail server refused this mail")
        case smtplib.SMTPAuthenticationError(smtp_code=code):
            permanent = _channel(code, "The mail server refused the user name or password")
        case smtplib.SMTPSenderRefused(smtp_code=code):
            permanent = _channel(code, "The mail server refused the sender (SUPPORT_EMAIL_FROM)")
        case smtplib.SMTPResponseException(smtp_error=str()):
            # smtplib's own 500 for a line that is too long; a server's words are bytes.
            return _transient("connection", "The mail server's answer made no sense")
        case smtplib.SMTPResponseException(smtp_code=code):
            permanent = _channel(code, "The mail server refused the connection")
        case smtplib.SMTPServerDisconnected():
            return _transient("connection", "The mail server broke off the connection")
        case _:  # The bare class, for an AUTH without a mechanism that smtplib knows.
            return _channel("unsupported", "The mail server offers no way to sign in that we know")
    if 500 <= code <= 599:
        return permanent
    return _transient(code, "The mail server asked to try again later")


def _is_quota(words: bytes | str) -> bool:
    return isinstance(words, bytes) and words.startswith(_QUOTA_CODE)


def _classify_http(exc: AnymailRequestsAPIError) -> Failure:
    """SendGrid's statuses; without one the connection failed, and the mail may have been taken."""
    status = exc.status_code
    if status is None:
        return _classify_request(exc)
    if status in {400, 413}:
        return _message(status, "The mail provider refused this mail")
    if status in {401, 403}:
        return _channel(status, "The mail provider refused the API key, the sender or the account")
    if 400 <= status < 500 and status not in {408, 425, 429}:
        return _channel(status, "The mail provider does not know this address: check its URL")
    headers = exc.response.headers if exc.response is not None else {}
    wait = parse_retry_after(headers.get("Retry-After", ""))
    return _transient(status, "The mail provider did not accept the mail now", wait)


def _classify_request(exc: BaseException) -> Failure:
    if isinstance(exc, requests.exceptions.SSLError):
        if "EOF" in str(exc):
            return _transient("tls", "The mail provider broke off the TLS handshake")
        return _channel("tls", "No trusted TLS connection to the mail provider")
    if isinstance(exc, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return _channel("settings", "The mail provider's address or API key is malformed")
    return _transient("connection", "The mail provider broke off the connection")


def parse_retry_after(value: str) -> timedelta:
    """RFC 9110, 10.2.3: seconds or an HTTP date; nothing usable is zero, and a day is the most."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        wait = timedelta(seconds=min(int(value[:9]), 10**9))
    else:
        try:
            wait = parsedate_to_datetime(value) - timezone.now()
        except (ValueError, TypeError):
            return timedelta(0)
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)
