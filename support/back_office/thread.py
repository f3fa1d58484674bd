"""A ticket's conversation as its page shows it: messages, notes and acts, in one order."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from support.inbound_mail import InboundMail
from support.leaked_keys import LeakedKey
from support.mailboxes import find_mailbox, is_same_mailbox
from support.masking import find_placeholders
from support.messages import Via
from support.models import Message, Ticket
from support.timeline import EventKind, TicketEvent

ENTRIES_SHOWN = 500

# Of the address that a customer's mail says it is from: nothing where it is the one expected.
SENDERS = {
    "reply": "",
    "own": "The account's address, not the reply address",
    "other": "Not the ticket's reply address",
}


@dataclass(frozen=True)
class Entry:
    """An entry of the timeline, and what only its page says of it."""

    event: TicketEvent
    # Of a customer's mail: a key of SENDERS.
    sender: str = ""
    masked: tuple[str, ...] = ()
    leaked_keys: tuple[LeakedKey, ...] = ()
    # Who attached a mail that had come without a ticket.
    attached_by: AbstractUser | None = None

    @property
    def sender_text(self) -> str:
        return SENDERS.get(self.sender, "")


@dataclass(frozen=True)
class Thread:
    entries: list[Entry]
    # Of the ticket's own message.
    masked: tuple[str, ...]
    leaked_keys: list[LeakedKey]
    # Where the page of what came before begins; None where there is nothing.
    earlier: int | None

    @property
    def last_sender(self) -> str:
        """Where the customer's last message came from, if not from the ticket's reply address."""
        heard = (entry for entry in reversed(self.entries) if entry.event.kind == EventKind.MESSAGE)
        last = next(heard, None)
        if last is None or last.event.message is None or not last.sender_text:
            return ""
        return last.event.message.sender


def load_thread(ticket: Ticket, keys: list[LeakedKey], before: int | None) -> Thread:
    """Of a thread without end the newest 500 entries, or those before entry `before`."""
    rows = TicketEvent.objects.filter(ticket=ticket).order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    rows = rows.select_related("actor", "message").defer("message__attempt_log")
    newest = list(rows[: ENTRIES_SHOWN + 1])
    shown = newest[:ENTRIES_SHOWN][::-1]
    attached = _find_attached(shown)
    entries = [_make_entry(ticket, event, keys, attached) for event in shown]
    elsewhere = {key.pk for entry in entries for key in entry.leaked_keys}
    return Thread(
        entries=entries,
        masked=tuple(find_placeholders(ticket.message)),
        leaked_keys=[key for key in keys if key.pk not in elsewhere],
        earlier=shown[0].pk if len(newest) > ENTRIES_SHOWN else None,
    )


def _make_entry(
    ticket: Ticket,
    event: TicketEvent,
    keys: list[LeakedKey],
    attached: dict[UUID | None, AbstractUser | None],
) -> Entry:
    message = event.message
    if message is None or event.kind != EventKind.MESSAGE:
        return Entry(event)
    return Entry(
        event,
        sender=judge_sender(ticket, message),
        masked=tuple(find_placeholders(message.text)),
        leaked_keys=tuple(key for key in keys if f"{key.key_prefix}…" in message.text),
        attached_by=attached.get(message.pk),
    )


def judge_sender(ticket: Ticket, message: Message) -> str:
    """A key of SENDERS; nothing where the API has said who it is."""
    if message.via != Via.MAIL:
        return ""
    sender = find_mailbox(message.sender)
    if is_same_mailbox(sender, find_mailbox(ticket.reply_address)):
        return "reply"
    return "own" if is_same_mailbox(sender, find_mailbox(ticket.user.email)) else "other"


def _find_attached(events: list[TicketEvent]) -> dict[UUID | None, AbstractUser | None]:
    """Agents by the id of the message that they attached; no query where no mail came."""
    mails = [
        event.message.pk
        for event in events
        if event.message is not None and event.message.via == Via.MAIL
    ]
    if not mails:
        return {}
    rows = InboundMail.objects.filter(message__in=mails, settled_by__isnull=False)
    return {
        row.message_id: row.settled_by for row in rows.select_related("settled_by").defer("raw")
    }


def find_last_messages(tickets: Iterable[Ticket]) -> dict[UUID, Message]:
    """What `last_message` of the queue's rows names, by the ticket's id, without its texts."""
    keys = [key for ticket in tickets if (key := getattr(ticket, "last_message", None))]
    rows = Message.objects.filter(pk__in=keys).select_related("author").order_by()
    rows = rows.defer("text", "quoted", "attachments", "attempt_log")
    return {row.ticket_id: row for row in rows} if keys else {}
