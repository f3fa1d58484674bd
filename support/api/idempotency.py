"""The `Idempotency-Key` header, and what it compares: one key, quoted or bare, for one content."""

import hashlib
import json
import re
from collections.abc import Mapping

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request

from support.messages import LONGEST_IDEMPOTENCY_KEY
from support.models import Ticket

# Servers join two header lines with a comma, so a comma always means two keys: none may hold one,
# not even within quotes, for the lines `"a` and `b"` would make one quoted key.
BARE_KEY = r"[!#-+\--~](?:[ -+\--~]*[!-+\--~])?"
QUOTED_KEY = r'"((?:[ !#-+\--\[\]-~]|\\["\\])+)"'


def find_idempotency_key(request: Request) -> str | None:
    """The request's key without its quotes, None where there is none.

    Raises ParseError (400) for an empty, an over-long, a repeated or an unprintable one.
    """
    value = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if value is None:
        return None
    value = value.strip(" \t")
    if quoted := re.fullmatch(QUOTED_KEY, value):
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not re.fullmatch(BARE_KEY, value):
        raise ParseError(
            f"Idempotency-Key must be one key of 1 to {LONGEST_IDEMPOTENCY_KEY} printable ASCII "
            "characters without a comma"
        )
    if len(value) > LONGEST_IDEMPOTENCY_KEY:
        raise ParseError(
            f"Idempotency-Key must not be longer than {LONGEST_IDEMPOTENCY_KEY} characters"
        )
    return value


class KeyReused(APIException):
    """An Idempotency-Key came again with another content."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key was used before, for a ticket with another content"
    default_code = "idempotency_key_reused"


def digest_content(fields: Mapping[str, object]) -> str:
    """SHA-256 of the validated fields, whatever their order in the body; 64 hexadecimal digits.

    What is stored is the digest of the masked fields: from that of a card number whose first
    digits are known, or of a password, the secret could be found again by trying all.
    """
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def require_same_content(ticket: Ticket, *contents: Mapping[str, object]) -> None:
    """Raise KeyReused (422) where the ticket that a key opened says none of this.

    The content as it was sent counts too: the ticket may be older than the masking.
    """
    if ticket.content_digest not in {digest_content(fields) for fields in contents}:
        raise KeyReused
