"""Times as text: how those from outside are read, and how ours are written."""

import re
from datetime import UTC, datetime

# Fractions as fine as any language writes them; what is below a microsecond is dropped.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def parse_moment(text: str) -> datetime:
    """An ISO 8601 time or date, in UTC; without an offset it is UTC, a date is its midnight.

    Raises ValueError, in words for whoever wrote it, for anything else and for a time that UTC
    cannot express: PostgreSQL stores the year 10000, and nobody can read it back.
    """
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from None


def parse_rfc_3339(text: str) -> datetime:
    """A time as clients of the API write it, in UTC; without an offset it is UTC.

    Raises ValueError for everything else, other forms of ISO 8601 included.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError(f"{text!r} is not a time in RFC 3339")
    return parse_moment(text)


def write_moment(moment: datetime) -> str:
    """RFC 3339 in UTC to the microsecond: `2026-11-23T10:00:00.123456Z`."""
    # What the database gives is in UTC already; a page has 75 of these.
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{in_utc.isoformat(timespec='microseconds').removesuffix('+00:00')}Z"
