"""The form in which SendGrid posts a mail that came in, whichever of its settings it has.

Django decodes fields as UTF-8 and bounds the number of files, Anymail raises for a character set
that it does not know. What they cannot read is read from the bytes, and what nobody can is kept.
"""

import json
import logging
from collections.abc import Callable, Iterable
from email.message import Message
from email.parser import BytesParser

from anymail.inbound import AnymailInboundMessage
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest

from support.inbox.parsing import ParsedMail, bound, parse_message, parse_raw, parse_unreadable
from support.inbox.reading import (
    SAFE,
    decode,
    read_children,
    read_content,
    read_parameter,
    read_text,
)

logger = logging.getLogger(__name__)

BODIES = {"text": "plain", "html": "html"}


def read_mail(
    request: HttpRequest, take_apart: Callable[[HttpRequest], AnymailInboundMessage]
) -> ParsedMail:
    """The mail; raise SuspiciousOperation where the form holds none.

    `take_apart`: how Anymail reads the fields of a mail that SendGrid has parsed.
    """
    try:
        sender, recipients = _read_envelope(request.POST.get("envelope", ""))
        raw = request.POST.get("email")
        # A character that is no UTF-8 is lost in Django's text.
        if raw is not None and "\ufffd" not in raw:
            return parse_raw(raw.encode(), recipients, sender)
        if raw is None and "headers" in request.POST:
            return parse_message(take_apart(request), recipients, sender)
    except Exception:
        logger.warning("A mail is read from its bytes, for Anymail could not", exc_info=True)
    return _read_by_hand(request)


def _read_envelope(text: str) -> tuple[str | None, list[str]]:
    """Whom SMTP named: (sender, None where it is not told; recipients)."""
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(envelope, dict):
        return None, []
    sender, recipients = envelope.get("from"), envelope.get("to")
    listed: Iterable[object] = recipients if isinstance(recipients, list) else [recipients]
    return (
        sender if isinstance(sender, str) else None,
        [recipient for recipient in listed if isinstance(recipient, str)],
    )


def _read_by_hand(request: HttpRequest) -> ParsedMail:
    try:
        fields = _read_fields(request)
    except Exception:
        logger.warning("A form could not be read", exc_info=True)
        fields = {}
    envelope = read_content(fields["envelope"]) if "envelope" in fields else b""
    sender, recipients = _read_envelope(decode(envelope))
    if (raw := fields.get("email")) is not None:
        return parse_raw(read_content(raw), recipients, sender)
    if "headers" not in fields:
        raise SuspiciousOperation("this is no mail")
    try:
        return parse_message(_put_together(fields), recipients, sender)
    except Exception:
        logger.warning("A mail could not be read, and is kept as it came", exc_info=True)
    parts = [fields[name] for name in ("headers", *BODIES) if name in fields]
    return parse_unreadable(b"\r\n\r\n".join(read_content(part) for part in parts), recipients)


def _read_fields(request: HttpRequest) -> dict[str, Message]:
    """The form's fields with the bytes that were sent."""
    head = f"Content-Type: {request.META.get('CONTENT_TYPE', '')}\r\n\r\n".encode("latin-1")
    form = BytesParser(policy=SAFE).parsebytes(bound(head + request.body))
    return {
        read_parameter(field, "content-disposition", "name"): field for field in read_children(form)
    }


def _put_together(fields: dict[str, Message]) -> Message:
    """A mail of which SendGrid's fields are the parts."""
    mail = BytesParser(policy=SAFE).parsebytes(
        read_content(fields["headers"]).strip(), headersonly=True
    )
    del mail["Content-Type"]
    mail["Content-Type"] = "multipart/alternative"
    mail.set_payload([])
    charsets = json.loads(read_text(fields["charsets"])) if "charsets" in fields else {}
    for name, kind in BODIES.items():
        if (body := fields.get(name)) is not None:
            body["Content-Type"] = f'text/{kind}; charset="{charsets.get(name, "")}"'
            mail.attach(body)
    for field in fields.values():
        if read_parameter(field, "content-disposition", "filename"):
            mail.attach(field)
    return mail
