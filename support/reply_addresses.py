"""The address that an agent's mail asks to be answered at: signed, so it names its ticket.

`support@example.com` becomes `support+<token>@example.com`. The token is the ticket's id and a
keyed hash of it: whoever holds one can write to that ticket and to no other, and nobody can make
one up. It does not expire, and upper and lower case are one, as some servers change them.
"""

import base64
import binascii
import hmac
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

ID_BYTES = 16
# 80 bits: nobody guesses them by mail.
MAC_BYTES = 10
TOKEN_CHARACTERS = 42
SALT = "support.reply_addresses"


def find_reply_address(ticket_id: UUID) -> str | None:
    """Where answers to this ticket's mails go; None where SUPPORT_EMAIL_REPLIES is empty."""
    if not settings.SUPPORT_EMAIL_REPLIES:
        return None
    local, _, domain = settings.SUPPORT_EMAIL_REPLIES.rpartition("@")
    return f"{local}+{make_token(ticket_id)}@{domain}"


def make_token(ticket_id: UUID) -> str:
    """42 characters of a to z and 2 to 7."""
    return _encode(ticket_id, settings.SECRET_KEY)


def find_ticket_id(address: str) -> UUID | None:
    """The ticket that an address names, None where it has no token of ours."""
    local, _, _ = address.rpartition("@")
    token = local.rpartition("+")[2].lower()
    if len(token) != TOKEN_CHARACTERS:
        return None
    try:
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except (binascii.Error, ValueError):
        return None
    ticket_id = UUID(bytes=raw[:ID_BYTES])
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hmac.compare_digest(_encode(ticket_id, secret), token):
            return ticket_id
    return None


def _encode(ticket_id: UUID, secret: str) -> str:
    mac = salted_hmac(SALT, str(ticket_id), secret=secret, algorithm="sha256").digest()
    raw = ticket_id.bytes + mac[:MAC_BYTES]
    return base64.b32encode(raw).decode().rstrip("=").lower()
