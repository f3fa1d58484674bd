"""The mails: what a customer wrote, to SUPPORT_EMAIL alone; an answer, to the ticket's one mailbox.

All of a ticket's are one thread for whoever reads them.
"""

from email.message import EmailMessage
from email.policy import Compat32
from email.utils import format_datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from support.evidence import write_context
from support.mailboxes import find_mailbox, is_same_mailbox
from support.messages import Via
from support.models import Message, Ticket
from support.outbox import OutboxMessage
from support.reply_addresses import find_reply_address

SUBJECT_CHARACTERS = 200
# Not a host: it only makes the id unique, and stays when SUPPORT_EMAIL_FROM changes between two
# attempts, so that copies of a mail still collapse.
MESSAGE_ID_DOMAIN = "tickets.ctxfy"
# SendGrid tells it again with whatever it tells of the mail.
ROW_METADATA = "support_row"
LINE_CHARACTERS = 78


def subject(ticket: Ticket, prefix: str = "", suffix: str = "") -> str:
    """One line, whatever counts as a line break: the type is the customer's text."""
    line = " ".join(f"{prefix}[{ticket.type}] Support ticket {ticket.pk}{suffix}".split())
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

    # What a provider keeps beside a mail; Anymail passes it on, SMTP knows no such thing.
    metadata: dict[str, str]

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
        case Message() if row.is_answer:
            return _compose_answer(row)
        case Message():
            return _compose_message(row)
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
        "url": _page(ticket),
    }
    return _make_mail(
        ticket,
        "ticket_email",
        context,
        subject=subject(ticket),
        to=settings.SUPPORT_EMAIL,
        reply_to=find_mailbox(ticket.reply_address),
        headers={"Auto-Submitted": "auto-generated"},
    )


def _compose_message(message: Message) -> EmailMultiAlternatives:
    """What a customer wrote later, to SUPPORT_EMAIL, as a ticket's mail is."""
    ticket = message.ticket
    reply_address = find_mailbox(ticket.reply_address)
    sender = find_mailbox(message.sender)
    is_mail = message.via == Via.MAIL
    context = {
        "message": message,
        "ticket": ticket,
        "other_sender": is_mail and not is_same_mailbox(sender, reply_address),
        "url": _page(ticket),
    }
    return _make_mail(
        message,
        "message_email",
        context,
        subject=subject(ticket, "Re: ", " - the customer wrote"),
        to=settings.SUPPORT_EMAIL,
        reply_to=reply_address,
        headers={"Auto-Submitted": "auto-generated"} | _thread_headers(message),
    )


def _compose_answer(answer: Message) -> EmailMultiAlternatives:
    """An agent's answer; it quotes the customer's last message before it."""
    ticket = answer.ticket
    customers = ticket.messages.exclude(via=Via.BACK_OFFICE)
    last = customers.filter(created_at__lt=answer.created_at).last()
    context = {
        "answer": answer,
        "ticket": ticket,
        "wrote": last.text if last else ticket.message,
        "wrote_later": last.created_at if last else None,
    }
    return _make_mail(
        answer,
        "answer_email",
        context,
        subject=subject(ticket, "Re: "),
        to=find_mailbox(answer.to) or answer.to,
        reply_to=find_reply_address(ticket.pk) or settings.SUPPORT_EMAIL,
        headers=_thread_headers(answer),
    )


def _thread_headers(message: Message) -> dict[str, str]:
    """What puts it below the ticket's mail and the ten messages before it."""
    earlier = message.ticket.messages.filter(created_at__lt=message.created_at)
    newest = earlier.order_by("-created_at").only("id")[:10]
    thread = [message_id(message.ticket), *(message_id(row) for row in reversed(newest))]
    return {"In-Reply-To": thread[-1], "References": " ".join(thread)}


def _page(ticket: Ticket) -> str:
    return settings.SITE_URL + reverse("admin:support_ticket_change", args=[ticket.pk])


def _make_mail(
    row: OutboxMessage,
    template: str,
    context: dict[str, object],
    *,
    subject: str,
    to: str,
    reply_to: str | None,
    headers: dict[str, str],
) -> EmailMultiAlternatives:
    mail = Mail(
        subject=subject,
        body=render_to_string(f"support/{template}.txt", context),
        from_email=settings.SUPPORT_EMAIL_FROM,
        to=[to],
        reply_to=[reply_to] if reply_to else [],
        headers={"Message-ID": message_id(row), "Date": format_datetime(row.created_at)} | headers,
    )
    mail.metadata = {ROW_METADATA: str(row.pk)}
    mail.attach_alternative(render_to_string(f"support/{template}.html", context), "text/html")
    return mail
