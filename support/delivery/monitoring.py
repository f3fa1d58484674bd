"""What operators see of the mail and the tickets; the project's /health and /metrics ask here."""

from ctxfy_support.metrics import Family, counters, labels
from support.delivery.breaker import breaker
from support.failures import Failure
from support.mailboxes import is_mail_configured
from support.models import outboxes
from support.outbox import EmailStatus

# A customer's free text would become series without end; the rest is "other".
TYPES_COUNTED = {"billing", "technical", "feedback"}

# The entry of /health that check_mail() fills in, for the OpenAPI document.
MAIL_SCHEMA = {
    "type": "string",
    "enum": ["ok", "not configured", "failing"],
    "description": "`failing`: the provider refuses us or is out of reach. Absent while the "
    "database is away.",
}


def check_mail() -> str:
    """`ok`, `not configured`, or `failing` while every mail waits for the channel."""
    if not is_mail_configured():
        return "not configured"
    return "failing" if breaker.is_down() else "ok"


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
            "support_mail_oldest_pending_seconds",
            "gauge",
            "Age of the oldest mail that is still to be sent; 0 if there is none.",
            [("support_mail_oldest_pending_seconds", oldest)],
        ),
        Family(
            "support_mail_channel_up",
            "gauge",
            "1 unless our credentials or addresses were refused or the server is unreachable.",
            [("support_mail_channel_up", float(not breaker.is_down()))],
        ),
    ]
