"""The two mail backends, Anymail's SendGrid and Django's SMTP, made safe and interruptible.

Both keep a second handle on every socket they open. Their time-outs count each read, so a server
that drips a byte a second holds a send for ever; shutting the socket ends it at once.
"""

import binascii
import contextlib
import smtplib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import requests
import urllib3
from anymail.backends import sendgrid
from anymail.exceptions import AnymailNotSupportedWarning, AnymailRequestsAPIError
from anymail.utils import EmailAddress
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError, EmailMessage
from django.core.mail.backends import smtp
from requests.adapters import HTTPAdapter

from support.delivery.socket_watch import SocketWatch
from support.failures import Phase

# All of them over TLS, so the plainest comes first.
LOGIN_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
# What a key of SendGrid's must be allowed, among the scopes that it lists.
SENDING = "mail.send"
_WARNINGS_LOCK = threading.Lock()


@contextlib.contextmanager
def without_support_warning() -> Iterator[None]:
    """Keep Anymail from warning that it does not test SendGrid against the live service any more.

    Our tests hold what we use of it to SendGrid's reference instead, and nobody could act on it.
    """
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", AnymailNotSupportedWarning)
        yield


def _watched(connection_class: Any, watch: SocketWatch) -> Any:
    """A urllib3 connection class whose sockets are watched, from before their TLS handshake."""

    class WatchedConnection(connection_class):
        handle: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            watch.phase = Phase.CONNECT
            sock: socket.socket = super()._new_conn()
            self.handle = watch.add(sock)
            watch.phase = Phase.TLS
            return sock

        def connect(self) -> None:
            super().connect()
            watch.phase = Phase.SENDING

        def close(self) -> None:
            super().close()
            if self.handle is not None:
                watch.forget(self.handle)
                self.handle = None

    return WatchedConnection


class _WatchedAdapter(HTTPAdapter):
    def __init__(self, watch: SocketWatch) -> None:
        self.watch = watch
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(
                f"Watched{pool.__name__}",
                (pool,),
                {"ConnectionCls": _watched(pool.ConnectionCls, self.watch)},
            )
            for scheme, pool in (
                ("http", urllib3.HTTPConnectionPool),
                ("https", urllib3.HTTPSConnectionPool),
            )
        }


class _SendGridPayload(sendgrid.SendGridPayload):
    def get_request_params(self, api_url: str) -> dict[str, object]:
        # A redirected POST becomes a GET, whose 200 would count as a delivery.
        return {**super().get_request_params(api_url), "allow_redirects": False}

    def set_reply_to(self, emails: list[EmailAddress]) -> None:
        if len(emails) > 1:
            raise BadHeaderError("one Reply-To at most")
        for email in emails:
            self.data["reply_to"] = self.email_object(email)


class SendGridBackend(sendgrid.EmailBackend):
    """Anymail's SendGrid v3 backend; a mail is sent when SendGrid answers 202 and only then."""

    def __init__(self, **kwargs: Any) -> None:
        with without_support_warning():
            super().__init__(generate_message_id=False, **kwargs)
        self.watch = SocketWatch()

    def create_session(self) -> requests.Session:
        session: requests.Session = super().create_session()
        session.trust_env = False  # No proxy, no .netrc: the key goes to SendGrid alone.
        for scheme in ("http://", "https://"):
            session.mount(scheme, _WatchedAdapter(self.watch))
        return session

    def try_log_in(self) -> str:
        """Ask SendGrid what the key may do; return what it lacks, if anything.

        Raises AnymailRequestsAPIError where SendGrid does not know the key, RequestException where
        it cannot be asked.
        """
        self.open()
        try:
            response: requests.Response = self.session.get(
                f"{self.api_url}scopes",
                headers={"Authorization": f"Bearer {self.api_key}"},
                allow_redirects=False,
                timeout=self.timeout,
            )
        except (UnicodeError, urllib3.exceptions.LocationValueError):
            raise ImproperlyConfigured("SendGrid's address or API key is malformed") from None
        if response.status_code != 200:
            raise AnymailRequestsAPIError(response=response)
        may_send = SENDING in response.text
        return "" if may_send else f"SENDGRID_API_KEY lacks the permission to send ({SENDING})"

    def build_message_payload(
        self, message: EmailMessage, defaults: dict[str, object]
    ) -> _SendGridPayload:
        headers = message.extra_headers
        for value in (message.subject, *message.to, *message.reply_to, *headers, *headers.values()):
            if any(ord(character) < 32 or ord(character) == 127 for character in str(value)):
                # JSON would carry it all the way into the mail's header.
                raise BadHeaderError("control character in a header")
        return _SendGridPayload(message, defaults, self)

    def post_to_esp(self, payload: _SendGridPayload, message: EmailMessage) -> requests.Response:
        try:
            response: requests.Response = super().post_to_esp(payload, message)
        except (UnicodeError, urllib3.exceptions.LocationValueError):
            # Of an address or a key that HTTP cannot carry; the mail itself is JSON by now.
            raise ImproperlyConfigured("SendGrid's address or API key is malformed") from None
        return response

    def raise_for_status(
        self, response: requests.Response, payload: _SendGridPayload, message: EmailMessage
    ) -> None:
        if response.status_code != 202:
            raise AnymailRequestsAPIError(response=response)  # All that classify() asks for.


class _WatchedSMTP(smtplib.SMTP):
    """Says what it is waiting for, and tries one way to log in."""

    watch: SocketWatch
    phase_once_connected = Phase.GREETING

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self.watch.phase = Phase.CONNECT
        sock: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # private
        self.watch.add(sock)
        self.watch.phase = self.phase_once_connected
        return sock

    def getreply(self) -> tuple[int, bytes]:
        if self.watch.phase is Phase.TLS and self.phase_once_connected is Phase.TLS:
            self.watch.phase = Phase.GREETING  # The handshake is over: this is the banner.
        return super().getreply()

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.ehlo_or_helo_if_needed()
        self.watch.phase = Phase.TLS
        answer = super().starttls(*args, **kwargs)
        self.watch.phase = Phase.GREETING  # Which starts anew.
        return answer

    def login(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Log in by PLAIN if the server offers it, else LOGIN, else CRAM-MD5.

        smtplib would try one after the other with a password that was refused. Servers delay each
        refusal, so the deadline struck before the answer was known; and some count them.
        """
        self.ehlo_or_helo_if_needed()
        self.watch.phase = Phase.LOGIN
        offered = self.esmtp_features.get("auth", "").upper().split()
        chosen = next((name for name in LOGIN_MECHANISMS if name in offered), None)
        if chosen:
            self.esmtp_features["auth"] = chosen
        return super().login(*args, **kwargs)


class _WatchedSMTPOverTLS(smtplib.SMTP_SSL, _WatchedSMTP):
    """smtplib asks its next base class for the socket, which is ours, before it adds TLS."""

    phase_once_connected = Phase.TLS


class SMTPBackend(smtp.EmailBackend):
    """Django's SMTP backend; a kept connection is asked (NOOP) before it is trusted with a mail."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.watch = SocketWatch()
        self.is_idle = False

    @property
    def connection_class(self) -> type[_WatchedSMTP]:
        base = _WatchedSMTPOverTLS if self.use_ssl else _WatchedSMTP
        # Not an argument: SMTP_SSL's constructor passes none on.
        return type(base.__name__, (base,), {"watch": self.watch})

    def open(self) -> bool | None:
        self.watch.phase = Phase.SENDING
        if self.connection is not None and self.is_idle and not self._is_alive():
            self.close()
        try:
            opened = super().open()
        except binascii.Error:
            raise smtplib.SMTPServerDisconnected("an AUTH challenge that is no base64") from None
        except ssl.SSLError:
            raise  # That of a certificate is a ValueError, too.
        except ValueError:
            # Of a host name or a credential that SMTP cannot carry.
            raise ImproperlyConfigured("the SMTP settings are malformed") from None
        self.is_idle = False
        return opened

    def try_log_in(self) -> str:
        """Open the connection, which logs in; there is nothing that it could lack then."""
        self.open()
        return ""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.watch.phase = Phase.SENDING
        sent = super().send_messages(email_messages)
        self.is_idle = True
        return sent

    def _is_alive(self) -> bool:
        try:
            return self.connection is not None and self.connection.noop()[0] == 250
        except OSError:
            return False

    def _close_connection(self, connection: smtplib.SMTP) -> None:
        # A refused or garbled QUIT must not turn a mail that was accepted into a failure, and
        # nobody waits for its answer.
        with contextlib.suppress(OSError):
            connection.putcmd("quit")
        connection.close()
        self.watch.release()
