"""What operators see of the mail and the tickets; the project's /health and /metrics ask here."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from ctxfy_support.answers import allow_more
from ctxfy_support.metrics import Family, counters, labels
from support.delivery.breaker import breaker
from support.failures import Failure
from support.mailboxes import find_missing_credentials, is_mail_configured, is_sending_paused
from support.models import Sender, Ticket, outboxes
from support.outbox import EmailStatus

STORED_COUNTED = 10_000
OVERDUE_AFTER = timedelta(minutes=1)
# A customer's free text would become series without end; the rest is "other".
TYPES_COUNTED = {"billing", "technical", "feedback"}

# The entry of /health that check_mail() fills in, for the OpenAPI document.
MAIL_SCHEMA = {
    **allow_more("ok", "not configured", "no credentials", "paused", "failing", "error"),
    "description": "`failing`: the provider refuses us or is out of reach. `no credentials`: there "
    "is an address to mail to and no way to. `paused`: by SUPPORT_EMAIL_DELIVERY. "
    "`error`: it could not be found out. Absent while the "
    "database is away.",
}
WORKERS_SCHEMA = {
    **allow_more("ok", "not configured", "not needed", "not running", "error"),
    "description": "Whether a worker was seen in the last minute. `not running`: mail waits for "
    "one. `not needed`: none was seen, and mail goes out without. `error`: it could not be found "
    "out. Absent while the database is away.",
}


def check_mail() -> str:
    """`ok`, `not configured`, `no credentials`, `paused`, or `failing`: all wait for the channel.

    Without SUPPORT_EMAIL nothing is to be mailed; without its credentials something is, and is not.
    """
    if find_missing_credentials():
        return "no credentials"
    if not is_mail_configured():
        return "not configured"
    if is_sending_paused():
        return "paused"
    return "failing" if breaker.is_down() else "ok"


def check_workers() -> str:
    """Whether somebody sends what a request does not: `ok`, `not needed` or `not running`.

    Without a worker (or a cron job) in the last minute: `not running` where only workers send, or
    where a mail has been due for a minute; else `not needed`, for requests send their own mail.
    """
    if not is_mail_configured():
        return "not configured"
    if is_sending_paused():
        return "not needed"
    if Sender.objects.alive().exists():
        return "ok"
    overdue = {"next_attempt_at__lte": Now() - OVERDUE_AFTER}
    if settings.SUPPORT_EMAIL_DELIVERY == "background" or any(
        rows.due().filter(**overdue).exists() for rows in outboxes()
    ):
        return "not running"
    return "not needed"


def count_ticket(ticket_type: str) -> None:
    """Count a ticket that was stored."""
    kind = ticket_type.lower() if ticket_type.lower() in TYPES_COUNTED else "other"
    counters.add({f"support_tickets_total{labels(type=kind)}": 1})


def count_attempt(failure: Failure | None) -> None:
    """Count an attempt to send a mail."""
    outcome = {"outcome": "failed", "class": failure.kind} if failure else {"outcome": "sent"}
    counters.add({f"support_mail_attempts_total{labels(**outcome)}": 1})


def collect() -> list[Family]:
    """The mail queue as it stands: how many, and since when the oldest waits (seconds)."""
    reports = [rows.queue_report() for rows in outboxes()]
    only_stored = Ticket.objects.filter(email_status=EmailStatus.STORED).order_by()
    stored = only_stored.values("pk")[:STORED_COUNTED].count()
    oldest = max(row["oldest_pending_seconds"] for row in reports)
    return [
        Family(
            "support_mail_unsent",
            "gauge",
            "Mails that have not gone out: pending (will be tried), failed (given up).",
            [
                (f"support_mail_unsent{labels(status=status)}", sum(row[status] for row in reports))
                for status in (EmailStatus.PENDING, EmailStatus.FAILED)
            ],
        ),
        Family(
            "support_mail_stored",
            "gauge",
            f"Tickets that were only stored, not mailed; counted up to {STORED_COUNTED}.",
            [("support_mail_stored", float(stored))],
        ),
        Family(
            "support_mail_oldest_pending_seconds",
            "gauge",
            "Age of the oldest mail that is still to be sent; 0 if there is none.",
            [("support_mail_oldest_pending_seconds", oldest)],
        ),
        Family(
            "support_mail_senders",
            "gauge",
            "Workers and cron jobs that were seen in the last minute.",
            [("support_mail_senders", float(Sender.objects.alive().count()))],
        ),
        Family(
            "support_mail_channel_up",
            "gauge",
            "1 unless our credentials or addresses were refused or the server is unreachable.",
            [("support_mail_channel_up", float(not breaker.is_down()))],
        ),
    ]
