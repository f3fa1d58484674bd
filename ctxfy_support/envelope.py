"""The one shape of every error under /v1/ (the contract's section 4), whatever went wrong."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeAlias

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.exceptions import PermissionDenied as APIPermissionDenied
from rest_framework.response import Response

from ctxfy_support.log_context import get_request_id

logger = logging.getLogger(__name__)


def is_api(path: str) -> bool:
    """Whether a path belongs to the API, and so is answered in JSON whatever happens."""
    return path == "/v1" or path.startswith("/v1/")


_MESSAGES = {
    400: "The request contains invalid parameters or malformed data",
    401: "Authentication required. Please provide a valid API token",
    403: "You do not have permission to perform this action",
    404: "The requested resource was not found",
    405: "This method is not allowed for the requested resource",
    406: "This API answers application/json only",
    413: f"The request body is larger than {settings.MAX_BODY_BYTES // 1024} KiB",
    415: "The request body must be JSON in UTF-8, sent as Content-Type: application/json",
    429: "Too many requests. Please retry after the time in the Retry-After header",
    500: "An unexpected error occurred on the server",
    503: "The service is temporarily unavailable. Please retry",
}

# Those of RFC 2616 to 7231, which clients may compare. RFC 9110 calls 413, 414, 416 and 422
# otherwise, and so does Python from 3.13 on.
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


Details: TypeAlias = list[dict[str, str]]


class Refusal(APIException):
    """An error of ours whose own words say more than its status does; `headers` go with it."""

    headers: Mapping[str, str] = {}


def get_phrase(status: int) -> str:
    """What an HTTP status is called, the same under every Python; ValueError for no status."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def make_error(status: int, message: str = "", details: Details | None = None) -> dict[str, object]:
    """The envelope's body for an HTTP status; `details` rows are {"field", "message"}."""
    phrase = get_phrase(status)
    body: dict[str, object] = {
        "error": phrase,
        "message": message or _MESSAGES.get(status, phrase),
        "code": status,
    }
    if details:
        body["details"] = details
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        body["requestId"] = get_request_id()
    return body


def flatten(errors: object, field: str = "") -> Details:
    """DRF's nested validation errors as rows, in the serializer's order of fields."""
    if isinstance(errors, dict):
        return [row for name, inner in errors.items() for row in flatten(inner, str(name))]
    if isinstance(errors, list):
        return [row for inner in errors for row in flatten(inner, field)]
    return [{"field": field, "message": str(errors)}]


def exception_handler(exc: Exception, context: dict[str, object]) -> Response | None:
    """DRF's EXCEPTION_HANDLER; None (a bug of ours) goes on to Django and comes back as a 500."""
    if isinstance(exc, OperationalError | InterfaceError | InternalError):
        # Away, restarting, locked, full or (after a failover) read-only: trying again is all that
        # a client can do.
        logger.error("The database did not answer: %s", type(exc).__name__, exc_info=exc)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return Response(make_error(status), status, headers={"Retry-After": "1"})
    if isinstance(exc, Http404):
        exc = NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = APIPermissionDenied()
    if not isinstance(exc, APIException):
        return None
    headers = dict(exc.headers) if isinstance(exc, Refusal) else {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(wait)
    if isinstance(exc, ValidationError):
        body = make_error(exc.status_code, details=flatten(exc.detail))
    else:
        # DRF's own words may echo the request; only a 400 or a status of ours says more than ours.
        known = exc.status_code in _MESSAGES and not isinstance(exc, ParseError | Refusal)
        body = make_error(exc.status_code, "" if known else str(exc.detail))
    return Response(body, exc.status_code, headers=headers)


def answer_error(status: int, message: str = "") -> HttpResponse:
    """An error outside of DRF, byte for byte as DRF writes it."""
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    return JsonResponse(
        make_error(status, message),
        status=status,
        reason=get_phrase(status),
        json_dumps_params=compact,
    )


class ErrorEnvelopeMiddleware:
    """Puts Django's own error pages under /v1/ (path, Host, crash; DEBUG or not) into the shape."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        status = response.status_code
        if not is_api(request.path) or status < HTTPStatus.BAD_REQUEST:
            return response
        if response.get("Content-Type") == "application/json":
            response.reason_phrase = get_phrase(status)
            return response
        answer = answer_error(status)
        answer["Content-Length"] = str(len(answer.content))
        return answer
