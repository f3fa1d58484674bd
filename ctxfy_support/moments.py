"""Times as text: how those from outside are read, and how ours are written."""

from datetime import UTC, datetime


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


def write_moment(moment: datetime) -> str:
    """RFC 3339 in UTC to the microsecond: `2026-11-23T10:00:00.123456Z`."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
