"""What goes back: WSGI's status, headers and body as HTTP/1.1, and the server's own refusals."""

import json
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from ctxfy_support.envelope import make_error
from ctxfy_support.request_id import begin_request

Headers = list[tuple[str, str]]

_REFUSALS = {
    400: "This is not a well-formed HTTP/1.1 request",
    405: "No resource here knows this method",
    408: "The request did not arrive whole in time",
    413: "The request body is too large",
    431: "The request's head is larger than 32 KiB",
    503: "The service has more requests than it can answer. Please retry",
}


@lru_cache(maxsize=2)
def _format_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def has_body(method: str, status: str) -> bool:
    """Whether an answer may have a body at all (RFC 9110, section 6.4.1)."""
    return method != "HEAD" and status[:3] not in {"204", "304"}


def make_head(status: str, headers: Headers, *, closes: bool) -> bytes:
    """Status line and headers, to the empty line; `status` is WSGI's, such as `200 OK`."""
    lines = [f"HTTP/1.1 {status}\r\n", *[f"{name}: {value}\r\n" for name, value in headers]]
    lines.append(f"Date: {_format_date(int(time.time()))}\r\n")
    lines.append("Connection: close\r\n\r\n" if closes else "\r\n")
    return "".join(lines).encode("latin-1")


def make_chunk(data: bytes) -> bytes:
    """A part of a body whose length nobody knows; the empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def make_refusal(status: int) -> bytes:
    """A whole answer in the API's envelope, for what never becomes a request of Django's."""
    request_id = begin_request()
    body = json.dumps(make_error(status, _REFUSALS[status])).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-Id", request_id),
    ]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD, POST, PATCH, DELETE, OPTIONS"))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", "1"))
    return make_head(f"{status} {HTTPStatus(status).phrase}", headers, closes=True) + body
