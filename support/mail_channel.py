"""The way the mail goes, as all processes know it: one row for each sender and its settings."""

from django.conf import settings
from django.db import models
from django.utils.crypto import salted_hmac


class MailChannel(models.Model):
    """One way to send, with the settings it has; changed settings are another channel.

    `failing_since` is empty while mail goes; see delivery/breaker.py for who sets it. `must_wake`:
    it is back, and what waits out a backoff because it was away has not all been made due.
    """

    name = models.CharField(primary_key=True, max_length=40)
    failing_since = models.DateTimeField(null=True)
    next_probe_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    must_wake = models.BooleanField(default=False, db_default=False)

    class Meta:
        db_table = "support_mail_channels"

    def __str__(self) -> str:
        return (
            f"{self.name}, failing since {self.failing_since}" if self.failing_since else self.name
        )


def channel_name() -> str:
    """The sender and eight digits of a keyed hash of its settings; no credential can be read off.

    Whoever mends a password and restarts need not wait for the next probe.
    """
    configured = repr(
        (
            settings.EMAIL_BACKEND,
            settings.ANYMAIL["SENDGRID_API_KEY"],
            settings.ANYMAIL["SENDGRID_API_URL"],
            settings.EMAIL_HOST,
            settings.EMAIL_PORT,
            settings.EMAIL_HOST_USER,
            settings.EMAIL_HOST_PASSWORD,
            settings.EMAIL_USE_TLS,
            settings.EMAIL_USE_SSL,
            settings.SUPPORT_EMAIL,
            settings.SUPPORT_EMAIL_FROM,
        )
    )
    mark = salted_hmac("support.channels", configured, algorithm="sha256").hexdigest()[:8]
    return f"{settings.SUPPORT_EMAIL_SENDER}-{mark}"
