"""UUIDv7 (RFC 9562, 5.7): ids that sort by time and cannot be guessed (74 random bits)."""

import secrets
import time
import uuid


def parse_id(text: str) -> uuid.UUID | None:
    """The id that this text is, written as the API writes it; None for anything else."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None


def uuid7() -> uuid.UUID:
    """A new id: 48 bits of Unix milliseconds, version, 12 random bits, variant, 62 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    random_bits = secrets.randbits(74)
    value = milliseconds << 80 | 0x7 << 76 | random_bits >> 62 << 64
    return uuid.UUID(int=value | 0b10 << 62 | random_bits & (1 << 62) - 1)
