"""The format of an API key, known without a database: `ctxfy_` + 32 random + 6 check characters.

The check characters (CRC-32 of what precedes them) refuse a typo without a query and let secret
scanners tell a leaked key from noise. The secret has 190 bits, so a fast hash of it is enough: a
password hash protects only what can be guessed.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "ctxfy_"
SHOWN_CHARACTERS = 12
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS = 32
_CHECK_CHARACTERS = 6
# What follows the prefix, as JavaScript reads it too, and in words.
SECRET_CHARACTERS = _RANDOM_CHARACTERS + _CHECK_CHARACTERS
PATTERN = f"{PREFIX}[0-9A-Za-z]{{{SECRET_CHARACTERS}}}"
IN_WORDS = f"{PREFIX} and {SECRET_CHARACTERS} characters"
# A key, whole or cut short, in any text.
LOOKS_LIKE_A_KEY = f"{PREFIX}[0-9A-Za-z]{{12,}}"


def _check_characters(body: str) -> str:
    """CRC-32 in six base-62 digits, most significant first."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_CHARACTERS):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def generate() -> str:
    """A new key, 44 ASCII characters."""
    body = PREFIX + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
    return body + _check_characters(body)


def is_well_formed(key: str) -> bool:
    """Whether this could be one of our keys: its format and its check characters."""
    return bool(re.fullmatch(PATTERN, key)) and key[-6:] == _check_characters(key[:-6])


def digest(key: str) -> str:
    """SHA-256 of the key, 64 hexadecimal digits: what is stored."""
    return hashlib.sha256(key.encode()).hexdigest()
