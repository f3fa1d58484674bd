"""What the server itself answers, in the API's envelope, to what never becomes Django's request."""

import json
from http import HTTPStatus

from ctxfy_support.envelope import make_error
from ctxfy_support.request_id import begin_request

Headers = list[tuple[str, str]]

_MESSAGES = {
    400: "This is not a well-formed HTTP/1.1 request",
    405: "No resource here knows this method",
    408: "The request did not arrive whole in time",
    413: "The request body is too large",
    431: "The request's head is larger than 32 KiB",
    503: "The service has more requests than it can answer. Please retry",
}


class RefusedError(Exception):
    """This request is answered with this status, and the connection ends with it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def make_refusal(status: int) -> tuple[Headers, bytes]:
    """(headers, body)"""
    request_id = begin_request()
    body = json.dumps(make_error(status, _MESSAGES[status]), separators=(",", ":")).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-Id", request_id),
        ("Connection", "close"),
    ]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD, POST, PATCH, DELETE, OPTIONS"))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", "1"))
    return headers, body
