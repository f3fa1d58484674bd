"""Log lines: JSON in production, readable text in development, and no secret in either."""

import json
import logging
import re
from datetime import UTC, datetime

from django.conf import settings

from ctxfy_support.request_id import get_request_id

# Whatever a line holds that looks like an API key or an Authorization value.
_SECRETS = re.compile(r"ctxfy_[0-9A-Za-z]{12,}|\b(?:Bearer|Basic)\s+[^\s\"'\\]+", re.IGNORECASE)
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request", "server_time"}


def redact(text: str) -> str:
    """The text without API keys, Authorization values and the mail credentials in the settings."""
    for secret in (str(settings.ANYMAIL["SENDGRID_API_KEY"]), settings.EMAIL_HOST_PASSWORD):
        if secret:
            text = text.replace(secret, "[redacted]")
    return _SECRETS.sub("[redacted]", text)


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, request_id, extras."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": get_request_id() or None,
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Before the values are escaped: a credential with a quote in it would not be found later.
        clean = {
            key: redact(value) if isinstance(value, str) else value for key, value in line.items()
        }
        return redact(json.dumps(clean, default=str))


class TextFormatter(logging.Formatter):
    """`10:00:00 INFO logger: message [req_…]`, then the traceback if there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        # A path with a line break in it must not look like a line of ours.
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        head, newline, rest = text.partition("\n")
        request_id = get_request_id()
        return redact(f"{head}{f' [{request_id}]' if request_id else ''}{newline}{rest}")
