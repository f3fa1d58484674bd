"""What a mailbox is, and whether there is a way to mail anything; knows settings and no table."""

import idna
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

INVALID_EMAIL = "Invalid email format"
# Octets (RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.2). The 256 of a whole path (4.5.3.1.3) are left
# to the servers on the way: many take more, and the API takes 320 characters.
LONGEST_LOCAL_PART = 64
LONGEST_DOMAIN = 255


def is_mail_configured() -> bool:
    """Whether there is a way to mail a ticket; without one it is only stored."""
    return bool(settings.SUPPORT_EMAIL) and not find_missing_credentials()


def is_sending_paused() -> bool:
    """Whether nothing may leave, as in a copy of the service; what is to be mailed waits."""
    return bool(settings.SUPPORT_EMAIL_DELIVERY == "paused")


def find_missing_credentials() -> list[str]:
    """The variables that SUPPORT_EMAIL needs beside it and that are empty; none where it is too."""
    credentials: dict[str, dict[str, str]] = {
        "sendgrid": {"SENDGRID_API_KEY": str(settings.ANYMAIL["SENDGRID_API_KEY"])},
        "google": {
            "GOOGLE_SMTP_USER": settings.EMAIL_HOST_USER,
            "GOOGLE_SMTP_PASSWORD": settings.EMAIL_HOST_PASSWORD,
        },
        "console": {},
    }
    if not settings.SUPPORT_EMAIL:
        return []
    needed = credentials[settings.SUPPORT_EMAIL_SENDER]
    return [name for name, value in needed.items() if not value]


def is_imap_wanted() -> bool:
    """Whether anything of a mailbox to fetch from is set."""
    return bool(settings.IMAP_HOST or settings.IMAP_USER or settings.IMAP_PASSWORD)


def find_missing_imap_settings() -> list[str]:
    """The variables that a fetcher needs and that are empty."""
    needed = ("IMAP_HOST", "IMAP_USER", "IMAP_PASSWORD")
    return [name for name in needed if not getattr(settings, name)]


def find_mailbox(value: str) -> str | None:
    """This one mailbox as every mail can carry it, its domain in ASCII; None if it is not one.

    Django's validator lets domains through that IDNA cannot encode, and local parts that a mail
    reader would take for an encoded word.
    """
    local, _, domain = value.rpartition("@")
    try:
        validate_email(value)
        if not domain.isascii():
            domain = idna.encode(domain, uts46=True).decode()
    except (ValidationError, idna.IDNAError):
        return None
    if len(local) > LONGEST_LOCAL_PART or len(domain) > LONGEST_DOMAIN:
        return None
    if not (local.isascii() and local.isprintable()) or "=?" in local:
        return None
    if local.startswith('"') and (local == '""' or set(local) & set("@<>")):
        return None  # Valid by the letter; some reader would see another mailbox in it.
    return f"{local}@{domain}"


def is_email_address(value: str) -> bool:
    """Whether this is one mailbox, as `user@host`."""
    return find_mailbox(value) is not None


def is_same_mailbox(one: str | None, other: str | None) -> bool:
    """Whether two mailboxes, as find_mailbox() gives them, are one; None is no mailbox.

    Upper and lower case do not count, nor do they before the @: by the letter (RFC 5321, section
    2.4) a server may tell them apart, but none that gives mailboxes to strangers does.
    """
    return one is not None and other is not None and one.lower() == other.lower()
