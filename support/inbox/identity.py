"""What a mail is about: its ticket, the row it is or reports on, and what makes copies one mail."""

import hashlib
import re
from uuid import UUID

from ctxfy_support.ids import parse_id
from support.delivery.composing import MESSAGE_ID_DOMAIN
from support.inbound_mail import LONGEST_ADDRESS
from support.inbox.parsing import ParsedMail
from support.models import Message, Ticket
from support.outbox import OutboxMessage
from support.reply_addresses import find_ticket_id

_OWN_MESSAGE_ID = re.compile(rf"<([0-9a-f-]{{36}})@{re.escape(MESSAGE_ID_DOMAIN)}>", re.IGNORECASE)


def find_row(message_id: str) -> OutboxMessage | None:
    """The row that a mail of ours stands for, by its Message-ID; None if it is none of ours."""
    found = _OWN_MESSAGE_ID.search(message_id)
    row_id = parse_id(found[1].lower()) if found else None
    return find_row_by_id(row_id) if row_id else None


def find_row_by_id(row_id: UUID) -> OutboxMessage | None:
    return Message.objects.filter(pk=row_id).first() or Ticket.objects.filter(pk=row_id).first()


def find_ticket(parsed: ParsedMail) -> tuple[UUID | None, str]:
    """The ticket that a mail was sent to, and at which address.

    A report on a mail of ours comes to whoever sent that: the token then stands in the address
    that the returned mail asked to be answered at.
    """
    returned = [parsed.bounce.reply_to] if parsed.bounce and parsed.automatic else []
    for address in (*parsed.recipients, *returned):
        if ticket_id := find_ticket_id(address.strip("<> ")):
            return ticket_id, address[:LONGEST_ADDRESS]
    return None, next(iter(parsed.recipients), "")[:LONGEST_ADDRESS]


def digest_mail(parsed: ParsedMail, ticket_id: UUID | None) -> str:
    """What two deliveries of one mail have in common, whatever servers did to its lines."""
    words = " ".join(f"{parsed.text} {parsed.quoted} {parsed.raw}".split())
    said = (
        parsed.message_id,
        parsed.date_header,
        parsed.sender,
        parsed.subject,
        str(ticket_id or ""),
        words,
    )
    return hashlib.sha256("\0".join(said).encode()).hexdigest()
