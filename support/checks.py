"""What is worth a warning before anything is served; Django's `check` and every start say it."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from support.mailboxes import (
    find_missing_credentials,
    find_missing_imap_settings,
    is_imap_wanted,
    is_sending_paused,
)


def check_mail_credentials(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """support.W001: there is an address to mail to, and nothing to log in with."""
    missing = find_missing_credentials()
    if not missing:
        return []
    return [
        checks.Warning(
            f"SUPPORT_EMAIL is set and {' and '.join(missing)} is not: tickets are stored, and "
            "none is mailed.",
            hint=f"Set {' and '.join(missing)}, then send what was stored meanwhile: manage.py "
            "resend_failed_emails --stored. Without SUPPORT_EMAIL, tickets are stored on purpose.",
            id="support.W001",
        )
    ]


def check_imap_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """support.W003: there is a mailbox to fetch from, and no way in."""
    missing = find_missing_imap_settings()
    if not missing or not is_imap_wanted():
        return []
    return [
        checks.Warning(
            f"Of the mailbox that customers' answers come to, {' and '.join(missing)} is not set: "
            "nobody fetches them.",
            hint=f"Set {' and '.join(missing)}, or none of IMAP_HOST, IMAP_USER, IMAP_PASSWORD.",
            id="support.W003",
        )
    ]


def check_ways_in(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """support.W002: customers are asked to answer at an address that nothing brings here."""
    is_brought = settings.ANYMAIL["WEBHOOK_SECRET"] or settings.IMAP_HOST
    if not settings.SUPPORT_EMAIL_REPLIES or is_brought:
        return []
    return [
        checks.Warning(
            "SUPPORT_EMAIL_REPLIES is set, and nothing brings its mail here: what customers answer "
            "is seen by nobody but the owner of that mailbox.",
            hint="Set ANYMAIL_WEBHOOK_SECRET and point SendGrid's Inbound Parse at "
            "/anymail/sendgrid/inbound/, or set IMAP_HOST and run fetch_replies --watch.",
            id="support.W002",
        )
    ]


def check_paused(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """support.W004: every mail waits, because somebody has said so."""
    if not is_sending_paused():
        return []
    return [
        checks.Warning(
            "SUPPORT_EMAIL_DELIVERY is paused: tickets and answers are stored, and nothing is "
            "mailed to anybody.",
            hint="Right for a restored or a staging copy. Elsewhere set it to inline or "
            "background; what has waited meanwhile goes out then.",
            id="support.W004",
        )
    ]
