"""The `Idempotency-Key` header, and what it compares: one key, quoted or bare, for one content."""

import hashlib
import json
import re

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request

from support.models import Ticket

LONGEST_KEY = 255
# A server joins two header lines with a comma, so a bare key cannot hold one; a quoted key can.
_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x7e](?:[\x20-\x2b\x2d-\x7e]*[\x21-\x2b\x2d-\x7e])?")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')


def find_idempotency_key(request: Request) -> str | None:
    """The request's key without its quotes, None where there is none.

    Raises ParseError (400) for an empty, an over-long, a repeated or an unprintable one.
    """
    value = request.headers.get("Idempotency-Key")
    if value is None:
        return None
    value = value.strip(" \t")
    if quoted := _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not _BARE.fullmatch(value):
        raise ParseError("Idempotency-Key must be one key of 1 to 255 printable ASCII characters")
    if len(value) > LONGEST_KEY:
        raise ParseError("Idempotency-Key must not be longer than 255 characters")
    return value


class KeyReused(APIException):
    """An Idempotency-Key came again with another content."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key was used before, for a ticket with another content"
    default_code = "idempotency_key_reused"


def digest_content(fields: dict[str, str]) -> str:
    """SHA-256 of the validated fields, whatever their order in the body; 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def require_same_content(ticket: Ticket, digest: str) -> None:
    """Raise KeyReused (422) where the ticket that a key opened says something else."""
    if ticket.content_digest != digest:
        raise KeyReused
