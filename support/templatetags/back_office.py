"""How the back-office writes times, names and first lines."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from django import template
from django.contrib.auth.models import AbstractUser
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.timesince import timesince

from support.messages import Message
from support.outbox import EmailStatus
from support.timeline import EventKind, TicketEvent

register = template.Library()

SUBJECT_CHARACTERS = 120
UNITS = (("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3_600), ("min", 60))
EVENT_ICONS: dict[str, str] = {
    EventKind.STATE: "swap_horiz",
    EventKind.ASSIGNEE: "person_add",
    EventKind.PRIORITY: "flag",
    EventKind.TAGS: "sell",
    EventKind.CLAIM: "front_hand",
    EventKind.NOTE: "sticky_note_2",
    EventKind.REPLY: "reply",
    EventKind.RESEND: "forward_to_inbox",
    EventKind.EXPORT: "download",
    EventKind.FAILURE: "error",
    EventKind.REVOKE: "key_off",
    EventKind.MESSAGE: "chat",
    EventKind.BOUNCE: "undo",
    EventKind.AUTOMATIC: "smart_toy",
}


class Filtered(Protocol):
    """What has an address: a queue."""

    def query_string(self, **changes: object) -> str: ...


@register.filter
def first_line(text: str) -> str:
    """The subject that a message without one has: its first line that says something."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "(empty message)")
    return line[:SUBJECT_CHARACTERS] + ("…" if len(line) > SUBJECT_CHARACTERS else "")


@register.filter
def age(moment: datetime | None) -> str:
    """How long ago, in one unit: `3 h`."""
    return short(timezone.now() - moment) if moment else ""


@register.filter
def short(duration: timedelta | None) -> str:
    """A duration in one unit, `42 min`; `none yet` where there is none."""
    if duration is None:
        return "none yet"
    seconds = duration.total_seconds()
    for name, size in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return "now" if seconds < 60 else "1 min"


@register.filter
def long_age(moment: datetime) -> str:
    """How long ago, in words."""
    if timezone.now() - moment < timedelta(minutes=1):
        return "a moment"
    return timesince(moment, depth=1).replace("\xa0", " ")


@register.filter
def initials(person: AbstractUser) -> str:
    words = (person.get_full_name() or person.get_username()).replace(".", " ").split()
    return "".join(word[0] for word in words[:2]).upper()


@register.filter
def shown_name(person: AbstractUser | None) -> str:
    return person.get_full_name() or person.get_username() if person else "Somebody"


@register.filter
def icon(event: TicketEvent) -> str:
    # A later release, beside this one or rolled back, may know more kinds.
    return EVENT_ICONS.get(event.kind, "history")


@register.filter
def mail_words(message: Message) -> str:
    """What became of a message's mail; of a customer's, which is for us, only trouble."""
    match message.email_status:
        case EmailStatus.SENT if message.delivered_at:
            return f"Delivered {message.delivered_at:%-d %b %Y %H:%M} UTC"
        case EmailStatus.SENT:
            words = ("Sent", "")
        case EmailStatus.PENDING:
            words = ("Not sent yet", "Not mailed to support yet")
        case EmailStatus.FAILED:
            is_bounced = message.last_error.startswith("Bounced")
            words = ("Came back" if is_bounced else "Not sent", "Not mailed to support")
        case _:
            words = ("Not mailed", "")
    return words[0] if message.is_answer else words[1]


@register.filter
def moment(text: str) -> datetime | None:
    """The time that an attempt's log keeps as RFC 3339."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


@register.simple_tag
def queue_link(queue: Filtered, **changes: object) -> str:
    """The queue's address with these changes, from its first page on."""
    return f"?{queue.query_string(**changes)}"


@register.filter
def get(mapping: Mapping[str, object], key: str) -> object:
    """What the mapping has under this key, or nothing."""
    return mapping.get(key, "")


@register.filter
def up_to(number: int, limit: int) -> str:
    """A count that stopped at a limit: `99+`."""
    return f"{limit}+" if number > limit else str(number)


@register.filter
def count_lines(text: str) -> str:
    """How long a text is that is folded away: `12 lines`."""
    lines = len(text.splitlines())
    return "1 line" if lines == 1 else f"{lines:,} lines"


@register.filter
def octets(size: object) -> str:
    """An attachment's size, which a mail's reader has measured: `12.5 KB`."""
    return filesizeformat(size).replace("\xa0", " ") if isinstance(size, int) else "not measured"


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"
