"""The mails: a ticket's, to SUPPORT_EMAIL alone; a reply's, to the ticket's one mailbox."""

from email.utils import format_datetime
from typing import TYPE_CHECKING

import idna
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse

if TYPE_CHECKING:
    from support.models import Ticket
    from support.replies import Reply

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
    if not (local.isascii() and local.isprintable()) or "=?" in local:
        return None
    if local.startswith('"') and (local == '""' or set(local) & set("@<>")):
        return None  # Valid by the letter; some reader would see another mailbox in it.
    return f"{local}@{domain}"


def is_email_address(value: str) -> bool:
    """Whether this is one mailbox, as `user@host`."""
    return find_mailbox(value) is not None


def subject(ticket: "Ticket", prefix: str = "") -> str:
    """One line, whatever counts as a line break: the type is the customer's text."""
    line = " ".join(f"{prefix}[{ticket.type}] Support ticket {ticket.pk}".split())
    return line[:SUBJECT_CHARACTERS]


def message_id(row: "Ticket | Reply") -> str:
    return f"<{row.pk}@{MESSAGE_ID_DOMAIN}>"


def compose(ticket: "Ticket") -> EmailMultiAlternatives:
    """The ticket's mail: the same Message-ID and Date on every attempt."""
    context = {
        "ticket": ticket,
        "url": settings.SITE_URL + reverse("admin:support_ticket_change", args=[ticket.pk]),
    }
    mailbox = find_mailbox(ticket.reply_address)
    message = EmailMultiAlternatives(
        subject=subject(ticket),
        body=render_to_string("support/ticket_email.txt", context),
        from_email=settings.SUPPORT_EMAIL_FROM,
        to=[settings.SUPPORT_EMAIL],
        reply_to=[mailbox] if mailbox else [],
        headers={
            "Message-ID": message_id(ticket),
            "Date": format_datetime(ticket.created_at),
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("support/ticket_email.html", context), "text/html")
    return message


def compose_reply(reply: "Reply") -> EmailMultiAlternatives:
    """An agent's answer, in the thread that the ticket's mail began; the same on every attempt."""
    ticket = reply.ticket
    earlier = ticket.replies.filter(created_at__lt=reply.created_at).order_by("-created_at")[:10]
    thread = [message_id(ticket), *(message_id(row) for row in reversed(earlier))]
    context = {"reply": reply, "ticket": ticket}
    message = EmailMultiAlternatives(
        subject=subject(ticket, "Re: "),
        body=render_to_string("support/reply_email.txt", context),
        from_email=settings.SUPPORT_EMAIL_FROM,
        to=[find_mailbox(reply.to) or reply.to],
        reply_to=[settings.SUPPORT_EMAIL],
        headers={
            "Message-ID": message_id(reply),
            "Date": format_datetime(reply.created_at),
            "In-Reply-To": thread[-1],
            "References": " ".join(thread),
        },
    )
    message.attach_alternative(render_to_string("support/reply_email.html", context), "text/html")
    return message
