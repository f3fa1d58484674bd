"""The mails: a ticket's, to SUPPORT_EMAIL alone; a reply's, to the ticket's one mailbox."""

from email.message import EmailMessage
from email.policy import Compat32
from email.utils import format_datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from support.evidence import write_context
from support.mailboxes import find_mailbox
from support.models import Reply, Ticket
from support.outbox import OutboxMessage

SUBJECT_CHARACTERS = 200
# Not a host: it only makes the id unique, and stays when SUPPORT_EMAIL_FROM changes between two
# attempts, so that copies of a mail still collapse.
MESSAGE_ID_DOMAIN = "tickets.ctxfy"
LINE_CHARACTERS = 78


def subject(ticket: Ticket, prefix: str = "") -> str:
    """One line, whatever counts as a line break: the type is the customer's text."""
    line = " ".join(f"{prefix}[{ticket.type}] Support ticket {ticket.pk}".split())
    return line[:SUBJECT_CHARACTERS]


def message_id(row: OutboxMessage) -> str:
    return f"<{row.pk}@{MESSAGE_ID_DOMAIN}>"


class ShortHeaders(Compat32):
    """Writes a header that fits its line as it is.

    The email package takes each apart for a place to fold it, which is two fifths of what it takes
    to write a mail.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        line = f"{name}: {value}"
        fits = len(line) <= LINE_CHARACTERS and line.isascii() and line.isprintable()
        if fits and isinstance(value, str):  # Not a Header, which is for others to write.
            return f"{line}{self.linesep}".encode()
        return super().fold_binary(name, value)


class Mail(EmailMultiAlternatives):
    """A mail whose parts are held apart by its own name.

    Python would make one up, compile a pattern of it and search the parts. Nobody knows a row's
    id before it is written, so no text in it can end a part.
    """

    def message(self, **kwargs: Any) -> EmailMessage:
        message = super().message(**kwargs)
        if message.is_multipart():
            name, _, _ = self.extra_headers["Message-ID"].strip("<>").partition("@")
            message.set_boundary(f"=_{name}")
        message.policy = SHORT_HEADERS
        return message


SHORT_HEADERS = ShortHeaders()


def compose(row: OutboxMessage) -> EmailMultiAlternatives:
    """The mail that a row stands for; the same Message-ID and Date on every attempt."""
    match row:
        case Ticket():
            return _compose_ticket(row)
        case Reply():
            return _compose_reply(row)
    raise TypeError(f"no mail is known for {type(row).__name__}")


def _compose_ticket(ticket: Ticket) -> EmailMultiAlternatives:
    """To SUPPORT_EMAIL; an answer to it goes to the customer, where that is one mailbox."""
    context = {
        "ticket": ticket,
        # A value's further lines stand below its first, so that none looks like a line of ours.
        "context_rows": [
            (name, text.replace("\n", "\n    ")) for name, text in write_context(ticket.context)
        ],
        "leaked_keys": ticket.leaked_keys,
        "url": settings.SITE_URL + reverse("admin:support_ticket_change", args=[ticket.pk]),
    }
    mailbox = find_mailbox(ticket.reply_address)
    message = Mail(
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


def _compose_reply(reply: Reply) -> EmailMultiAlternatives:
    """An agent's answer, in the thread that the ticket's mail began."""
    ticket = reply.ticket
    earlier = ticket.replies.filter(created_at__lt=reply.created_at).order_by("-created_at")[:10]
    thread = [message_id(ticket), *(message_id(row) for row in reversed(earlier))]
    context = {"reply": reply, "ticket": ticket}
    message = Mail(
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
