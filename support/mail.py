"""The mail that says what a ticket says, to SUPPORT_EMAIL and to nobody else."""

from email.utils import format_datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse

if TYPE_CHECKING:
    from support.models import Ticket

SUBJECT_CHARACTERS = 200
# Not a host: it only makes the id unique, and stays when SUPPORT_EMAIL_FROM changes between two
# attempts, so that copies of a mail still collapse.
MESSAGE_ID_DOMAIN = "tickets.ctxfy"


def is_configured() -> bool:
    """Whether there is a way to mail a ticket; without one it is only stored."""
    credentials = {
        "sendgrid": bool(settings.ANYMAIL["SENDGRID_API_KEY"]),
        "google": bool(settings.EMAIL_HOST_USER and settings.EMAIL_HOST_PASSWORD),
        "console": True,
    }
    return bool(settings.SUPPORT_EMAIL) and credentials[settings.SUPPORT_EMAIL_SENDER]


def is_email_address(value: str) -> bool:
    """Whether this is one mailbox, as `user@host`."""
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True


def compose(ticket: "Ticket") -> EmailMultiAlternatives:
    """The ticket's mail: the same Message-ID, Date and content on every attempt."""
    context = {
        "ticket": ticket,
        "url": settings.SITE_URL + reverse("admin:support_ticket_change", args=[ticket.pk]),
    }
    # The type is the customer's text; a header is one line, whatever counts as a line break.
    subject = " ".join(f"[{ticket.type}] Support ticket {ticket.pk}".split())
    message = EmailMultiAlternatives(
        subject=subject[:SUBJECT_CHARACTERS],
        body=render_to_string("support/ticket_email.txt", context),
        from_email=settings.SUPPORT_EMAIL_FROM,
        to=[settings.SUPPORT_EMAIL],
        reply_to=[ticket.reply_address] if is_email_address(ticket.reply_address) else [],
        headers={
            "Message-ID": f"<{ticket.pk}@{MESSAGE_ID_DOMAIN}>",
            "Date": format_datetime(ticket.created_at),
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("support/ticket_email.html", context), "text/html")
    return message
