"""Headers and errors that every endpoint shares, as components of the OpenAPI document."""

from dataclasses import dataclass
from typing import Any

from ctxfy_support.envelope import make_error
from ctxfy_support.transport_security import REFUSAL

EXAMPLE_REQUEST_ID = "req_9f2c4e7a1b3d5f6087a9c2e4"
_REQUEST_ID = {"type": "string", "pattern": "^req_[0-9a-f]{24}$"}
_COUNT = {"type": "integer", "minimum": 0}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "This request's name. Quote it to us: every log line of the request has it.",
        "schema": _REQUEST_ID,
        "example": EXAMPLE_REQUEST_ID,
    },
    "X-RateLimit-Limit": {
        "description": "Requests that your plan allows in a minute.",
        "schema": _COUNT,
        "example": 100,
    },
    "X-RateLimit-Remaining": {
        "description": "Requests left in the current minute.",
        "schema": _COUNT,
        "example": 99,
    },
    "X-RateLimit-Reset": {
        "description": "When the current minute ends, in Unix seconds.",
        "schema": _COUNT,
        "example": 1795514460,
    },
    "Retry-After": {
        "description": "Seconds to wait before you try again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 42,
    },
    "WWW-Authenticate": {
        "description": '`Bearer`; with `error="invalid_token"` where a key was sent.',
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token"',
    },
    "Allow": {
        "description": "The methods that this address answers to.",
        "schema": {"type": "string"},
        "example": "GET, POST, HEAD",
    },
}
RATE_LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@dataclass(frozen=True)
class ErrorAnswer:
    """`counted`: whether such a request has been counted (the rate limit's headers); None: maybe.

    `examples` are rows (name, body) for what a status alone does not say.
    """

    name: str
    description: str
    counted: bool | None
    header: str = ""
    examples: tuple[tuple[str, dict[str, Any]], ...] = ()


ERRORS = {
    400: ErrorAnswer(
        "BadRequest",
        "Something in the request is wrong; sending it again will not help. `details` names each "
        "field or parameter, all of them at once. Without `details` it is the body as a whole "
        "(no JSON object, a key twice, NaN, another encoding than UTF-8), the `Idempotency-Key` "
        "or the `Host`.",
        counted=None,
        examples=(
            (
                "A field",
                make_error(
                    400, details=[{"field": "reply_address", "message": "Invalid email format"}]
                ),
            ),
            (
                "The body as a whole",
                make_error(400, "The request body is not valid JSON in UTF-8"),
            ),
        ),
    ),
    401: ErrorAnswer(
        "Unauthorized",
        "No key, or one that does not work: mistyped, unknown, expired, revoked, or of a closed "
        "account. All of them look the same.",
        counted=False,
        header="WWW-Authenticate",
    ),
    403: ErrorAnswer(
        "Forbidden",
        "The request came over plain HTTP. Use `https://`, and revoke the key: it crossed the "
        "network in the clear.",
        counted=False,
        examples=(
            (
                "Plain HTTP",
                make_error(403, REFUSAL),
            ),
        ),
    ),
    404: ErrorAnswer(
        "NotFound",
        "You have nothing under this address. An unknown id, a malformed one and somebody else's "
        "look the same.",
        counted=True,
    ),
    405: ErrorAnswer(
        "MethodNotAllowed",
        "This address does not take that method; `Allow` lists those it takes.",
        counted=True,
        header="Allow",
    ),
    406: ErrorAnswer(
        "NotAcceptable",
        "Your `Accept` rules out `application/json`, and there is nothing else. Leave it out.",
        counted=False,
    ),
    413: ErrorAnswer(
        "BodyTooLarge",
        "The body is over 256 KiB. The longest valid ticket fits, however it is escaped.",
        counted=True,
    ),
    415: ErrorAnswer(
        "UnsupportedMediaType",
        "The body is not declared as JSON in UTF-8. Send `Content-Type: application/json`.",
        counted=True,
    ),
    422: ErrorAnswer(
        "IdempotencyKeyReused",
        "This `Idempotency-Key` belongs to a ticket with another content. Nothing was stored: take "
        "a new key for a new ticket.",
        counted=True,
        examples=(
            (
                "Another content",
                make_error(
                    422, "This Idempotency-Key was used before, for a ticket with another content"
                ),
            ),
        ),
    ),
    429: ErrorAnswer(
        "TooManyRequests",
        "Your account has used up its minute, or too many useless keys came from your network "
        "address. Wait for as many seconds as `Retry-After` says.",
        counted=None,
        header="Retry-After",
    ),
    500: ErrorAnswer(
        "InternalServerError",
        "A mistake of ours, logged under `requestId`. Safe to try again with an `Idempotency-Key`.",
        counted=None,
    ),
    503: ErrorAnswer(
        "ServiceUnavailable",
        "The database is away for the moment. Wait for `Retry-After` seconds and try again, with "
        "an `Idempotency-Key` where you open a ticket.",
        counted=None,
        header="Retry-After",
    ),
}

_ERROR_PROPERTIES: dict[str, Any] = {
    "error": {"type": "string", "description": "The status phrase."},
    "message": {"type": "string", "description": "What is wrong, for a person to read."},
    "code": {"type": "integer", "description": "The HTTP status once more."},
}
ERROR_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "description": "The body of every answer from 400 to 499.",
        "properties": {
            **_ERROR_PROPERTIES,
            "details": {
                "type": "array",
                "description": "What is wrong with which field or parameter, all at once. Only in "
                "answers that concern some.",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string", "description": "Its name in the request."},
                        "message": {"type": "string", "description": "What is wrong with it."},
                    },
                    "required": ["field", "message"],
                },
            },
        },
        "required": ["error", "message", "code"],
    },
    "ServerError": {
        "type": "object",
        "description": "The body of every answer from 500 on.",
        "properties": {
            **_ERROR_PROPERTIES,
            "requestId": {**_REQUEST_ID, "description": "The same as `X-Request-Id`."},
        },
        "required": ["error", "message", "code", "requestId"],
    },
}


def make_headers(*names: str, required: bool = True) -> dict[str, Any]:
    """An answer's headers: those that it always has, or, if not `required`, may have."""
    if required:
        return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {name: {**HEADERS[name], "required": False} for name in names}


def make_content(schema: str, *examples: tuple[str, Any]) -> dict[str, Any]:
    """A JSON body with the schema of this name; `examples` are rows (name, value)."""
    media_type: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if examples:
        media_type["examples"] = {
            name.title().replace(" ", ""): {"summary": name, "value": value}
            for name, value in examples
        }
    return {"application/json": media_type}


def _make_response(status: int, answer: ErrorAnswer) -> dict[str, Any]:
    headers = make_headers("X-Request-Id", *([answer.header] if answer.header else []))
    if answer.counted is not False:
        headers |= make_headers(*RATE_LIMIT_HEADERS, required=bool(answer.counted))
    body = make_error(status)
    if status >= 500:
        body["requestId"] = EXAMPLE_REQUEST_ID
    return {
        "description": answer.description,
        "headers": headers,
        "content": make_content(
            "ServerError" if status >= 500 else "Error",
            *(answer.examples or ((str(body["error"]), body),)),
        ),
    }


def make_components() -> dict[str, Any]:
    """The document's shared headers, responses and schemas."""
    return {
        "headers": {name: {**header, "required": True} for name, header in HEADERS.items()},
        "responses": {
            answer.name: _make_response(status, answer) for status, answer in ERRORS.items()
        },
        "schemas": ERROR_SCHEMAS,
    }
