"""What `manage.py doctor` asks about mail that comes in: is there a way, and does it let us in."""

from collections.abc import Iterator

from django.conf import settings

from ctxfy_support.doctor.findings import Finding, notice, well, wrong
from support.delivery.stop_request import StopRequest
from support.inbox.imap import Mailbox, MailboxError, MailboxRefusedError
from support.mailboxes import find_missing_imap_settings, is_imap_wanted


def check_ways_in() -> Iterator[Finding]:
    """Log in where customers' answers are fetched, and change nothing there."""
    if not settings.SUPPORT_EMAIL_REPLIES:
        yield notice(
            "SUPPORT_EMAIL_REPLIES is empty: customers answer outside of this service",
            "Fine if that is what you want.",
        )
        return
    if not is_imap_wanted():
        if settings.ANYMAIL["WEBHOOK_SECRET"]:
            yield well("SendGrid brings customers' answers; it is not asked whether it does")
        else:
            yield wrong(
                "Nothing brings what customers answer",
                "Set ANYMAIL_WEBHOOK_SECRET, or IMAP_HOST, IMAP_USER and IMAP_PASSWORD.",
            )
        return
    if missing := find_missing_imap_settings():
        names = " and ".join(missing)
        yield wrong(f"{names} is not set: nobody fetches what customers answer", f"Set {names}.")
        return
    try:
        with Mailbox(StopRequest()):
            yield well(f"{settings.IMAP_HOST} takes our log-in, and has {settings.IMAP_FOLDER}")
    except MailboxRefusedError as exc:
        yield wrong(
            f"The mailbox of customers' answers does not let us in: {exc}",
            "Mend what it names among IMAP_HOST to IMAP_FOLDER.",
        )
    except MailboxError as exc:
        yield wrong(
            f"The mailbox of customers' answers cannot be reached: {exc}",
            "Look at the way there (DNS, firewall); what came meanwhile waits in it.",
        )
