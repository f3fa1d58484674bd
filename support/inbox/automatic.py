"""Whether nobody in person sent a mail, and what a mail says that came back undelivered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from itertools import islice

from support.inbox.reading import SAFE, decode, read_children, read_content, read_header

LONGEST_DIAGNOSTIC = 300
MOST_PARTS = 100
# RFC 3834, section 5; what came before it; RFC 2919 and 2369.
_NOT_PERSONAL = {"bulk", "list", "junk", "auto_reply"}
_LISTS = ("list-id", "list-unsubscribe", "list-post")
_AUTOREPLIES = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-autoreply-from")
_DELIVERY_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")


@dataclass(frozen=True)
class Bounce:
    """A report on the delivery of a mail (RFC 3464), of the recipient that it is worst for."""

    action: str  # failed, delayed, delivered, relayed, expanded
    status: str  # As 5.1.1
    diagnostic: str
    # Of the mail that it is about.
    message_id: str
    reply_to: str

    @property
    def is_final(self) -> bool:
        return self.action == "failed"

    def __str__(self) -> str:
        return " ".join(part for part in (self.status, self.diagnostic) if part) or self.action


def find_reason(message: Message, envelope_sender: str | None) -> str:
    """Why a mail counts as automatic, in plain words; empty if a person may have written it."""
    submitted = read_header(message, "auto-submitted").lower()
    if submitted and submitted.partition(";")[0].strip() != "no":
        return f"Auto-Submitted: {submitted[:60]}"
    if message.get_content_type() == "multipart/report":
        return "A report (multipart/report)"
    precedence = read_header(message, "precedence").lower()
    if precedence in _NOT_PERSONAL:
        return f"Precedence: {precedence}"
    for name in (*_LISTS, *_AUTOREPLIES):
        if read_header(message, name):
            return f"It has the header {name.title()}"
    if read_header(message, "return-path") == "<>" or envelope_sender in {"", "<>"}:
        return "An empty return path"
    return ""


def find_bounce(message: Message) -> Bounce | None:
    """What a delivery report says; None if there is none in it.

    Wherever it stands: who takes mails apart makes a multipart/report into something else.
    """
    parts = list(islice(_flatten(message), MOST_PARTS))
    report = next((part for part in parts if part.get_content_type() in _DELIVERY_REPORTS), None)
    if report is None:
        return None
    fields = _read_fields(report)
    returned = next((part for part in parts if part.get_content_type() in _RETURNED), None)
    original = _read_original(returned) if returned is not None else Message()
    diagnostic = fields.get("diagnostic-code", "").partition(";")[2].strip()
    return Bounce(
        action=fields.get("action", "").lower()[:20],
        status=re.sub(r"[^0-9.]", "", fields.get("status", ""))[:12],
        diagnostic=diagnostic[:LONGEST_DIAGNOSTIC],
        message_id=read_header(original, "message-id"),
        reply_to=read_header(original, "reply-to"),
    )


def _flatten(message: Message) -> Iterator[Message]:
    for part in read_children(message):
        yield part
        if part.get_content_maintype() == "multipart":
            yield from _flatten(part)


def _read_fields(report: Message) -> dict[str, str]:
    """The fields of the recipient whose mail failed, else of the first."""
    rows = []
    blocks = read_children(report)
    rest = b"".join(map(read_content, blocks)) if blocks else read_content(report)
    for block in [*blocks, *_parse_blocks(rest)]:
        names = ("action", "status", "diagnostic-code")
        fields = {name: read_header(block, name) for name in names}
        if fields["action"]:
            rows.append(fields)
    failed = [row for row in rows if row["action"].lower() == "failed"]
    return next(iter(failed or rows), {})


def _parse_blocks(content: bytes) -> list[Message]:
    """Where the report came as text: its blocks, parted by empty lines."""
    text = decode(content[:50_000])
    return [_parse_head(block.strip()) for block in re.split(r"\n\s*\n", text)[:50]]


def _read_original(part: Message) -> Message:
    """The headers of the mail that came back."""
    for mail in read_children(part):
        return mail
    return _parse_head(decode(read_content(part)[:50_000]).lstrip())


def _parse_head(text: str) -> Message:
    return HeaderParser(policy=SAFE).parsestr(text)
