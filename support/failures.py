"""Every way a send can go wrong, turned into three classes, a code and a short safe text.

message: this mail can never go. transient: time cures it. channel: our own credentials, sender or
recipient were refused, so no mail can go until someone mends them. The texts are ours: what a
server or a library says may quote a credential.
"""

import re
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
DEADLINE_CODE = "deadline"
SUPPORT_EMAIL_REFUSED = "The mail server refused the recipient (SUPPORT_EMAIL)"
SIZE_LIMIT = 552
# RFC 3463, 3.3 and 3.4. Too large for the system, or for the administrator.
_TOO_LARGE_CODES = {"5.3.4", "5.2.3"}
MAILBOX_FULL_CODE = "5.2.2"
# Gmail's and Workspace's answer when the day's quota is used up: tomorrow cures it.
_QUOTA_CODE = "5.4.5"


class FailureKind(StrEnum):
    MESSAGE = "message"
    TRANSIENT = "transient"
    CHANNEL = "channel"


class Phase(StrEnum):
    """What an attempt was waiting for when its deadline struck."""

    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    LOGIN = "login"
    SENDING = "sending"


DEADLINE_TEXTS = {
    Phase.CONNECT: "The mail server could not be reached in time",
    Phase.TLS: "The mail server did not finish the TLS handshake in time",
    Phase.GREETING: "The mail server did not greet us in time",
    Phase.LOGIN: "The mail server did not answer the log-in in time",
    Phase.SENDING: "The mail server did not answer in time",
}


class DeadlineExceededError(Exception):
    """The attempt was cut off at its deadline.

    In its last phase, sending, the mail may still have been accepted.
    """

    def __init__(self, phase: Phase = Phase.SENDING) -> None:
        super().__init__(DEADLINE_TEXTS[phase])
        self.phase = phase


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
    """What an exception of a send means, for every exception; never raises."""
    match exc:
        case DeadlineExceededError(phase=phase):
            return _transient(DEADLINE_CODE, DEADLINE_TEXTS[phase])
        case AnymailRequestsAPIError():
            return _classify_http(exc)
        case smtplib.SMTPException():
            return _classify_smtp(exc)
        case requests.RequestException():
            return _classify_request(exc)
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
            code, words = next(iter(recipients.values()), (0, b""))
            permanent = _classify_refused_recipient(code, words)
        case smtplib.SMTPAuthenticationError(smtp_code=code):
            permanent = _channel(code, "The mail server refused the user name or password")
        case smtplib.SMTPDataError(smtp_code=code, smtp_error=words):
            permanent = _classify_refused_data(code, words)
        case smtplib.SMTPSenderRefused(smtp_code=code, smtp_error=words):
            permanent = _classify_refused_sender(code, words)
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


def _classify_refused_sender(code: int, words: bytes | str) -> Failure:
    """5yz at MAIL FROM, where smtplib says how large the mail is (RFC 1870, 6.1)."""
    status = find_enhanced_status(words)
    if status == _QUOTA_CODE:
        return _used_up(code)
    if status in _TOO_LARGE_CODES or (code == SIZE_LIMIT and status != MAILBOX_FULL_CODE):
        return _too_large(code)
    return _channel(code, "The mail server refused the sender (SUPPORT_EMAIL_FROM)")


def _classify_refused_recipient(code: int, words: bytes | str) -> Failure:
    """5yz at RCPT TO, to SUPPORT_EMAIL; a size may be refused here too (RFC 1870, 6.4)."""
    status = find_enhanced_status(words)
    if status in _TOO_LARGE_CODES:
        return _too_large(code)
    if code == SIZE_LIMIT and status != MAILBOX_FULL_CODE:
        # Of the size, the room or the number of recipients: RFC 5321, 4.5.3.1.10 takes it for 452.
        return _transient(code, "The mail server's room for this recipient is used up")
    return _channel(code, SUPPORT_EMAIL_REFUSED)


def _classify_refused_data(code: int, words: bytes | str) -> Failure:
    """5yz at DATA or after the dot: this mail's fault, unless the server says that it is not."""
    status = find_enhanced_status(words)
    if status == _QUOTA_CODE:
        return _used_up(code)
    if status == MAILBOX_FULL_CODE:
        return _channel(code, SUPPORT_EMAIL_REFUSED)
    if status in _TOO_LARGE_CODES:
        return _too_large(code)
    return _message(code, "The mail server refused this mail")


def _too_large(code: int) -> Failure:
    return _message(code, "The mail is larger than the mail server takes")


def _used_up(code: int) -> Failure:
    return _channel(code, "The mail account's sending quota is used up")


def find_enhanced_status(words: bytes | str) -> str:
    """The enhanced status code (RFC 3463) that a server's words begin with, else nothing."""
    text = words.decode("latin-1") if isinstance(words, bytes) else words
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)", text, re.ASCII)
    return found[0] if found else ""


def _classify_http(exc: AnymailRequestsAPIError) -> Failure:
    """SendGrid's statuses; without one the connection failed, and the mail may have been taken."""
    status = exc.status_code
    if status is None:
        return _classify_request(exc)
    if status in {400, 413}:
        return _message(status, "The mail provider refused this mail")
    if status in {401, 403}:
        return _channel(status, "The mail provider refused the API key, the sender or the account")
    if status // 100 == 4 and status not in {408, 425, 429}:
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
        wait = timedelta(seconds=int(value[:9]))  # 31 years; more digits may overflow.
    else:
        try:
            wait = parsedate_to_datetime(value) - timezone.now()
        except (ValueError, TypeError):
            return timedelta(0)
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)
