"""What operators see of the mail and the tickets; the project's /health and /metrics ask here."""

from ctxfy_support.metrics import Family, counters, labels
from support.delivery.breaker import breaker
from support.failures import Failure
from support.mailboxes import find_missing_credentials, is_mail_configured
from support.models import Ticket, outboxes
from support.outbox import EmailStatus

STORED_COUNTED = 10_000
# A customer's free text would become series without end; the rest is "other".
TYPES_COUNTED = {"billing", "technical", "feedback"}

# The entry of /health that check_mail() fills in, for the OpenAPI document.
MAIL_SCHEMA = {
    "type": "string",
    "enum": ["ok", "not configured", "no credentials", "failing", "error"],
    "description": "`failing`: the provider refuses us or is out of reach. `no credentials`: there "
    "is an address to mail to and no way to. `error`: it could not be found out. Absent while the "
    "database is away.",
}


def check_mail() -> str:
    """`ok`, `not configured`, `no credentials`, or `failing` while all wait for the channel.

    Without SUPPORT_EMAIL nothing is to be mailed; without its credentials something is, and is not.
    """
    if find_missing_credentials():
        return "no credentials"
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
            "support_mail_channel_up",
            "gauge",
            "1 unless our credentials or addresses were refused or the server is unreachable.",
            [("support_mail_channel_up", float(not breaker.is_down()))],
        ),
    ]
