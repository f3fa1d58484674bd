"""What `manage.py doctor` asks about the mail: is there a way to send, who sends, what waits."""

import socket
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.utils import timezone

from ctxfy_support import VERSION
from ctxfy_support.doctor.findings import Finding, notice, well, wrong
from support.delivery.composing import MESSAGE_ID_DOMAIN
from support.delivery.monitoring import STORED_COUNTED, check_workers
from support.delivery.transport import PATIENCE, pool, try_log_in
from support.failures import Failure, FailureKind, classify
from support.mail_channel import MailChannel, channel_name
from support.mailboxes import find_missing_credentials, is_mail_configured
from support.models import Sender, Ticket, outboxes
from support.outbox import EmailStatus

LATE = timedelta(minutes=10)
MEND = {
    FailureKind.CHANNEL: "Mend what it names among the mail settings (README, Settings), then "
    "restart; what waits goes out by itself.",
    FailureKind.TRANSIENT: "Look at the way there (DNS, firewall) and at the provider's own status "
    "page; what waits goes out once it is back.",
    FailureKind.MESSAGE: "Look at SUPPORT_EMAIL and SUPPORT_EMAIL_FROM.",
}


def check_channel() -> Iterator[Finding]:
    """Log in where mails go out, without sending any."""
    if not settings.SUPPORT_EMAIL:
        yield notice(
            "SUPPORT_EMAIL is empty: tickets are stored, and none is mailed",
            "Fine if that is what you want.",
        )
        return
    if missing := find_missing_credentials():
        names = " and ".join(missing)
        yield wrong(f"{names} is not set: tickets are stored, and none is mailed", f"Set {names}.")
        return
    if settings.SUPPORT_EMAIL_SENDER == "console":
        yield notice(
            "Mails are printed, not sent (SUPPORT_EMAIL_SENDER is console)",
            "Fine in development alone.",
        )
        return
    started = time.monotonic()
    try:
        lack = try_log_in()
    except Exception as exc:
        yield _explain("The mail provider does not take our log-in", classify(exc))
        return
    if lack:
        yield wrong(lack, "Give the key that permission, or make another key.")
        return
    yield well(
        f"{settings.SUPPORT_EMAIL_SENDER} takes our log-in, after "
        f"{(time.monotonic() - started) * 1000:.0f} ms"
    )


def _explain(what: str, failure: Failure) -> Finding:
    return wrong(f"{what}: {failure.text} ({failure.kind} {failure.code})", MEND[failure.kind])


def send_test_mail() -> Iterator[Finding]:
    """One mail to SUPPORT_EMAIL, the way that all others go."""
    if not is_mail_configured():
        yield wrong("No test mail: no mail backend is configured", "See README, Settings.")
        return
    if settings.SUPPORT_EMAIL_SENDER == "console":
        yield notice("No test mail: SUPPORT_EMAIL_SENDER is console")
        return
    mail = EmailMessage(
        subject="Test mail of Ctxfy support",
        body=f"manage.py doctor --send on {socket.gethostname()} (version {VERSION}) sent this at "
        f"{timezone.now():%Y-%m-%d %H:%M:%S} UTC. There is nothing to do.\n",
        from_email=settings.SUPPORT_EMAIL_FROM,
        to=[settings.SUPPORT_EMAIL],
        headers={
            "Message-ID": f"<{uuid.uuid4()}@{MESSAGE_ID_DOMAIN}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        pool.send(mail, PATIENCE)
    except Exception as exc:
        yield _explain("The test mail was not accepted", classify(exc))
        return
    finally:
        pool.close()
    yield well(
        f"The test mail was accepted; look whether {settings.SUPPORT_EMAIL} gets it, and not as "
        "spam"
    )


def check_senders() -> Iterator[Finding]:
    """Does somebody send what no request does, and may they, on SQLite?"""
    if not is_mail_configured():
        return
    names = sorted(Sender.objects.alive().values_list("name", flat=True))
    if check_workers() == "not running":
        yield wrong(
            "No worker was seen in the last minute, and mail waits for one",
            "Run manage.py resend_failed_emails --watch for ever, or --due from cron.",
        )
    elif names:
        yield well(f"{len(names)} at work: {', '.join(names)}")
    else:
        yield notice(
            "No worker was seen in the last minute",
            "Requests send their own mail; what they could not is sent only if one runs: "
            "manage.py resend_failed_emails --watch.",
        )
    others = {name.rpartition(":")[0] for name in names} - {socket.gethostname()[:80]}
    if others and connection.vendor == "sqlite":
        yield wrong(
            f"Another host ({', '.join(sorted(others))}) uses this SQLite file",
            "SQLite is for one host; use PostgreSQL for several.",
        )


def check_queue() -> Iterator[Finding]:
    """What waits, since when and why; what was given up; what was only stored."""
    yield from _check_breaker()
    reports = [rows.queue_report() for rows in outboxes()]
    pending, failed = (
        int(sum(row[status] for row in reports))
        for status in (EmailStatus.PENDING, EmailStatus.FAILED)
    )
    oldest = timedelta(seconds=round(max(row["oldest_pending_seconds"] for row in reports)))
    if pending and oldest > LATE:
        yield wrong(
            f"{pending} mails wait, the oldest for {oldest}",
            "manage.py resend_failed_emails --dry-run says why; without --dry-run it sends them.",
        )
    else:
        yield well(f"{pending} mails wait{f', the oldest for {oldest}' if pending else ''}")
    if failed:
        yield wrong(
            f"{failed} mails were given up",
            "manage.py resend_failed_emails --dry-run says why; without --dry-run it sends them.",
        )
    only_stored = Ticket.objects.filter(email_status=EmailStatus.STORED).order_by()
    stored = only_stored.values("pk")[:STORED_COUNTED].count() if is_mail_configured() else 0
    if stored:
        many = f"{stored} or more" if stored == STORED_COUNTED else str(stored)
        yield notice(
            f"{many} tickets were only stored, when no mail backend was configured",
            "manage.py resend_failed_emails --stored sends them, --stored --dry-run lists them.",
        )


def _check_breaker() -> Iterator[Finding]:
    channel = MailChannel.objects.filter(name=channel_name(), failing_since__isnull=False).first()
    if channel is not None:
        yield wrong(
            f"All mail waits since {channel.failing_since:%Y-%m-%d %H:%M:%S} UTC: "
            f"{channel.last_error}",
            "Mend that; a probe every 30 seconds finds out, and what waits goes out by itself.",
        )
