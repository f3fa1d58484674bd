"""One id for each request: in its answer's `X-Request-Id`, in 5xx bodies, in every log line."""

import logging
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

_request_id: ContextVar[str] = ContextVar("request_id", default="")


def get_request_id() -> str:
    """The current request's id (`req_` and 24 hexadecimal digits); empty outside a request."""
    return _request_id.get()


def begin_request() -> str:
    """Name the request that this thread now works on; return the name.

    Never reset: Django still logs about a request after the last middleware has returned, and the
    thread's next request brings its own.
    """
    name = f"req_{secrets.token_hex(12)}"
    _request_id.set(name)
    return name


class RequestIdMiddleware:
    """Names the request and logs one line for it; outermost, so nothing answers without an id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin_request()
        started = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-Id"] = get_request_id()
        logger.info(
            "%s %s %s",
            request.method,
            request.path,
            response.status_code,
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "duration_ms": round((time.perf_counter() - started) * 1000, 2),
            },
        )
        return response
