"""One id for each request: in its answer's `X-Request-Id`, in 5xx bodies, in every log line."""

import logging
import secrets
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from ctxfy_support.client_address import get_client_network
from ctxfy_support.forwarded_ids import find_proxy_request_id, find_trace_id
from ctxfy_support.log_context import begin, get_request_id, note

logger = logging.getLogger(__name__)


def begin_request() -> str:
    """Name the request that this thread now works on; return the name.

    Never reset: Django still logs about a request after the last middleware has returned, and the
    thread's next request brings its own.
    """
    name = f"req_{secrets.token_hex(12)}"
    begin(name)
    return name


class RequestIdMiddleware:
    """Names the request and logs one line for it; outermost, so nothing answers without an id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin_request()
        started = time.perf_counter()
        if trace_id := find_trace_id(request):
            note(trace_id=trace_id)
        response = self.get_response(request)
        response["X-Request-Id"] = get_request_id()
        seconds = time.perf_counter() - started
        note(client_network=get_client_network(request))
        # Of a browser's session, if somebody has looked at it; never ask the database for a line.
        if account := getattr(getattr(request, "_cached_user", None), "pk", None):
            note(account_id=account)
        extra = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 2),
        }
        if name := find_proxy_request_id(request):
            extra["proxy_request_id"] = name
        logger.info("%s %s %s", request.method, request.path, response.status_code, extra=extra)
        return response
