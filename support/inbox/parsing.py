"""A mail's bytes become one record of what it says; whatever they are, nothing raises.

What cannot be read is kept as it came (bounded), for an agent to look at.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime

from support.inbox.automatic import Bounce, find_bounce, find_reason
from support.inbox.parts import Parts
from support.inbox.quoting import split_quoted
from support.inbox.reading import (
    ADDRESS_LISTS,
    LONGEST_ADDRESS_LIST,
    LONGEST_TEXT,
    SAFE,
    clean,
    decode,
    read_header,
    read_headers,
    read_undecoded,
)

logger = logging.getLogger(__name__)

LARGEST_MAIL_BYTES = 25 * 1024 * 1024
# A mail of that size in lines of base64 has 350,000; of empty lines it would take gigabytes.
MOST_LINES = 600_000
LARGEST_HEAD_BYTES = 256 * 1024
MOST_RECIPIENTS = 200
LONGEST_ADDRESS = 320
LONGEST_FROM = 1_000
# Characters of a mail that could not be read.
LONGEST_RAW = 200_000
_ADDRESS = re.compile(r"[^\s<>\"',;:()\[\]@]{1,64}@[^\s<>\"',;:()\[\]@]{1,255}")


@dataclass(frozen=True)
class ParsedMail:
    """What a mail says; all of it was written by whoever sent it."""

    sender: str
    # The envelope's first, then those of the headers.
    recipients: tuple[str, ...]
    subject: str
    text: str
    quoted: str
    # Rows {"name", "type", "size" (octets)}; their contents are left out.
    attachments: tuple[dict[str, object], ...]
    message_id: str
    # The header as it stands, and the time that it says, if it says one.
    date_header: str
    date: datetime | None
    # Why nobody in person sent it; empty if somebody may have.
    automatic: str = ""
    is_marked_generated: bool = False
    bounce: Bounce | None = None
    # The whole, where it could not be read.
    raw: str = ""


def parse_raw(
    raw: bytes, recipients: Sequence[str] = (), envelope_sender: str | None = None
) -> ParsedMail:
    """A mail as it came, RFC 5322; `recipients` and `envelope_sender` are the envelope's."""
    try:
        message = BytesParser(policy=SAFE).parsebytes(bound(raw))
        return parse_message(message, recipients, envelope_sender)
    except Exception:
        logger.warning("A mail could not be read, and is kept as it came", exc_info=True)
    return parse_unreadable(raw, recipients)


def parse_message(
    message: Message, recipients: Sequence[str] = (), envelope_sender: str | None = None
) -> ParsedMail:
    """A mail that somebody else has taken apart; may raise where it makes no sense."""
    for part in message.walk():
        part.policy = SAFE
    parts = Parts()
    text = parts.read(message)[:LONGEST_TEXT]
    new, quoted = split_quoted(text)
    return _make(
        message,
        recipients,
        text=new,
        quoted=quoted,
        attachments=tuple(parts.attachments),
        automatic=find_reason(message, envelope_sender),
        bounce=find_bounce(message),
    )


def parse_unreadable(raw: bytes, recipients: Sequence[str] = ()) -> ParsedMail:
    """The headers, as far as they can be read, and the mail as it came."""
    kept = decode(raw[: LONGEST_RAW * 4])[:LONGEST_RAW]
    head = re.split(rb"\r?\n\r?\n", raw[:LARGEST_HEAD_BYTES], maxsplit=1)[0]
    try:
        message = BytesParser(policy=SAFE).parsebytes(head, headersonly=True)
        return _make(message, recipients, automatic=find_reason(message, None), raw=kept)
    except Exception:
        logger.warning("Not even its headers could be read", exc_info=True)
        return _make(Message(policy=SAFE), recipients, raw=kept)


def _make(
    message: Message,
    recipients: Sequence[str],
    *,
    text: str = "",
    quoted: str = "",
    attachments: tuple[dict[str, object], ...] = (),
    automatic: str = "",
    bounce: Bounce | None = None,
    raw: str = "",
) -> ParsedMail:
    date = read_header(message, "date")
    submitted = read_header(message, "auto-submitted").lower()
    return ParsedMail(
        sender=_find_sender(message),
        recipients=_find_recipients(message, recipients),
        subject=read_header(message, "subject"),
        text=text,
        quoted=quoted,
        attachments=attachments,
        message_id=read_header(message, "message-id"),
        date_header=date,
        date=_read_date(date),
        automatic=automatic,
        is_marked_generated=submitted.startswith("auto-generated"),
        bounce=bounce,
        raw=raw,
    )


def bound(raw: bytes) -> bytes:
    """As much of a mail as can be parsed in a bounded time and memory."""
    raw = raw[:LARGEST_MAIL_BYTES]
    if raw.count(b"\n") > MOST_LINES:
        raw = b"\n".join(raw.split(b"\n", MOST_LINES)[:MOST_LINES])
    return raw


def _find_sender(message: Message) -> str:
    """One mailbox, or whatever stands there."""
    # Taken apart before its words are decoded: one of them may look like a mailbox.
    for header in read_undecoded(message, "from"):
        for _, address in getaddresses([header[:LONGEST_FROM]]):
            if "@" in address:
                return clean(address)[:LONGEST_ADDRESS]
    return read_header(message, "from")[:LONGEST_ADDRESS]


def _find_recipients(message: Message, envelope: Iterable[str]) -> tuple[str, ...]:
    """Every address that the mail was sent to; a token counts in whichever it stands."""
    sources = [clean(address)[:LONGEST_ADDRESS_LIST] for address in envelope]
    for name in ADDRESS_LISTS:
        sources += read_headers(message, name)
    found = (address for source in sources for address in _ADDRESS.findall(source))
    return tuple(dict.fromkeys(found))[:MOST_RECIPIENTS]


def _read_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except Exception:
        return None
