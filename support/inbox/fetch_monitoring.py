"""What operators see of the fetchers; the project's /health and /metrics ask here."""

from django.utils import timezone

from ctxfy_support.answers import allow_more
from ctxfy_support.metrics import Family
from support.fetchers import Fetcher
from support.mailboxes import find_missing_imap_settings, is_imap_wanted

# The entry of /health that check_inbox() fills in, for the OpenAPI document.
INBOX_SCHEMA = {
    **allow_more("ok", "not configured", "no credentials", "not fetching", "error"),
    "description": "Whether mail is fetched by IMAP. `not fetching`: nobody has looked into the "
    "mailbox for five minutes. `no credentials`: its server, user or password is not set. `error`: "
    "it could not be found out. Absent while the database is away.",
}


def check_inbox() -> str:
    """`ok`, `not configured`, `no credentials`, or `not fetching` after five minutes without."""
    if not is_imap_wanted():
        return "not configured"
    if find_missing_imap_settings():
        return "no credentials"
    return "ok" if Fetcher.objects.fetched_lately().exists() else "not fetching"


def collect() -> list[Family]:
    """Who fetches, since when nobody has (seconds; no sample before the first), what is stuck."""
    alive, fetched_at, stuck = Fetcher.objects.report()
    age = max(0.0, (timezone.now() - fetched_at).total_seconds()) if fetched_at else None
    return [
        Family(
            "support_inbound_fetchers",
            "gauge",
            "Runs of fetch_replies that were seen in the last minute.",
            [("support_inbound_fetchers", float(alive))],
        ),
        Family(
            "support_inbound_last_fetch_age_seconds",
            "gauge",
            "Time since a fetcher last looked into the mailbox; absent before the first.",
            [] if age is None else [("support_inbound_last_fetch_age_seconds", age)],
        ),
        Family(
            "support_inbound_stuck_mails",
            "gauge",
            "Mails in the mailbox that could not be taken in and are tried again.",
            [("support_inbound_stuck_mails", float(stuck))],
        ),
    ]
