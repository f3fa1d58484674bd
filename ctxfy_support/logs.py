"""Log lines: JSON in production, readable text in development, and no secret in either.

A line is bounded, whatever a client sends: a path or a header of 60 KB makes no line of 240 KB.
"""

import json
import logging
import re
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import TypeAlias

from django.conf import settings
from django.utils.module_loading import import_string

from ctxfy_support import VERSION
from ctxfy_support.log_context import get_facts, get_request_id

_ExceptionInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request", "server_time"}
_AUTHORIZATION = r"\b(?:Bearer|Basic)\s+[^\s\"'\\]+"
# Characters that a message or a value keeps, and a traceback, which is mostly our own.
LONGEST_TEXT = 1_000
LONGEST_TRACEBACK = 20_000


@cache
def _secrets() -> re.Pattern[str]:
    """Authorization values, and whatever else the apps say looks like a secret."""
    patterns = [import_string(path) for path in settings.REDACTED_PATTERNS]
    return re.compile("|".join((*patterns, _AUTHORIZATION)), re.IGNORECASE)


def _read_setting(path: str) -> str:
    """A setting's value; `ANYMAIL.SENDGRID_API_KEY` is a key of a dictionary."""
    name, _, key = path.partition(".")
    value = getattr(settings, name)
    return str(value[key] if key else value)


def redact(text: str) -> str:
    """The text without API keys, Authorization values and the credentials in the settings."""
    for path in settings.REDACTED_SETTINGS:
        if secret := _read_setting(path):
            text = text.replace(secret, "[redacted]")
    return _secrets().sub("[redacted]", text)


def shorten(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text's beginning and end, where it is longer than so many characters."""
    left_out = len(text) - longest
    if left_out <= 0:
        return text
    half = longest // 2
    return f"{text[:half]}… {left_out} characters left out …{text[-half:]}"


def clean(value: object) -> object:
    """A value as a line may hold it; redacted first, for half a secret would not be found."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return shorten(redact(str(value)))


class _BoundedFormatter(logging.Formatter):
    """Redacts and shortens a traceback: an exception's own words may hold what a client sent."""

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802  (logging's name)
        return shorten(redact(super().formatException(ei)), LONGEST_TRACEBACK)


class JSONFormatter(_BoundedFormatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, version, message, facts, extras.

    The facts are those of log_context.py, `request_id` always among them.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "version": VERSION,
            "message": clean(record.getMessage()),
            **get_facts(),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line[key] = clean(value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(_BoundedFormatter):
    """`10:00:00 INFO logger: message [req_…]`, then the traceback if there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        # A path with a line break in it must not look like a line of ours.
        message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        record.message = shorten(redact(message))
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        head, newline, rest = text.partition("\n")
        request_id = get_request_id()
        return redact(f"{head}{f' [{request_id}]' if request_id else ''}{newline}{rest}")
