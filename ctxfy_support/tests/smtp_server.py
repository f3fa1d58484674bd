"""A real SMTP server on loopback: aiosmtpd with STARTTLS or implicit TLS and one account.

It keeps every message it accepts. For a server that misbehaves see scripted_smtp_server.py.
"""

import email
import email.policy
import functools
import itertools
import logging
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from ctxfy_support.tests.loopback import HOST, Inbox, free_port

# aiosmtpd tells every line of every session.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Message:
    """One accepted mail: its envelope, its bytes as sent, and the connection it came by."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    user: str | None
    connection: int

    @functools.cached_property
    def parsed(self):
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def subject(self):
        return self.parsed["Subject"]

    @property
    def text(self):
        return self.parsed.get_body(("plain",)).get_content().replace("\r\n", "\n")

    def header(self, name):
        return self.parsed[name]


@functools.cache
def certificate_authority():
    return trustme.CA()


@functools.cache
def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority().issue_cert(HOST, "localhost").configure_cert(context)
    return context


class Account:
    """The one account of an SMTP server, and the environment in which the service uses it."""

    support_email = "support@ctxfy.example"
    host = HOST

    def __init__(
        self, *, security="starttls", user="tickets@ctxfy.example", password="abcdefghijklmnop"
    ):
        super().__init__()
        self.security = security
        self.user = user
        self.password = password

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory()
        certificate_authority().cert_pem.write_to_path(self.ca_file)
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()
        self._directory.cleanup()

    @property
    def ca_file(self):
        return str(Path(self._directory.name) / "ca.pem")

    @property
    def env(self):
        return {
            "SUPPORT_EMAIL": self.support_email,
            "SUPPORT_EMAIL_FROM": self.user,
            "SUPPORT_EMAIL_SENDER": "google",
            "GOOGLE_SMTP_HOST": self.host,
            "GOOGLE_SMTP_PORT": str(self.port),
            "GOOGLE_SMTP_SECURITY": self.security,
            "GOOGLE_SMTP_USER": self.user,
            "GOOGLE_SMTP_PASSWORD": self.password,
            "SSL_CERT_FILE": self.ca_file,
        }


class SMTPServer(Account):
    """aiosmtpd; `security` is "starttls", "tls" or "none"; AUTH is required in each."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.port = free_port()
        self.messages = Inbox()
        self.wait_for = self.messages.wait_for
        self._numbers = itertools.count(1)

    def start(self):
        self._controller = _Controller(self)
        self._controller.start()

    def stop(self):
        self._controller.stop()

    # aiosmtpd's hooks

    def authenticate(self, smtp, session, envelope, mechanism, login):
        offered = (login.login.decode(), login.password.decode())
        success = offered == (self.user, self.password)
        return AuthResult(success=success, handled=False, auth_data=login)

    async def handle_DATA(self, smtp, session, envelope):  # noqa: N802
        self.messages.append(
            Message(
                sender=envelope.mail_from,
                recipients=list(envelope.rcpt_tos),
                raw=envelope.original_content,
                encrypted=smtp.transport.get_extra_info("ssl_object") is not None,
                user=session.auth_data.login.decode(),
                connection=smtp.number,
            )
        )
        return "250 2.0.0 OK"


class _Controller(Controller):
    def __init__(self, server):
        starttls, tls = server.security == "starttls", server.security == "tls"
        super().__init__(
            server,
            hostname=server.host,
            port=server.port,
            server_hostname="smtp.test",
            ssl_context=tls_context() if tls else None,
            tls_context=tls_context() if starttls else None,
            require_starttls=starttls,
            auth_require_tls=starttls,
            authenticator=server.authenticate,
        )
        self._connections = []

    def factory(self):
        smtp = super().factory()
        # The constructor's own argument warns unless STARTTLS comes first.
        smtp._auth_required = True
        smtp.number = next(self.handler._numbers)
        self._connections.append(smtp)
        return smtp

    def cancel_tasks(self, stop_loop=True):
        """Cut what clients keep open, which aiosmtpd leaves to the garbage collector."""
        for smtp in self._connections:
            if smtp.transport is not None:
                smtp.transport.abort()
        super().cancel_tasks(stop_loop)
