"""What answers have in common, as parts of the OpenAPI document: headers and bodies."""

from typing import Any, TypeAlias

# A part of the document, as drf-spectacular makes them too.
Part: TypeAlias = dict[str, Any]

EXAMPLE_REQUEST_ID = "req_9f2c4e7a1b3d5f6087a9c2e4"
_REQUEST_ID = {"type": "string", "pattern": "^req_[0-9a-f]{24}$"}
_COUNT = {"type": "integer", "minimum": 0}

HEADERS: dict[str, Part] = {
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
        "description": '`Bearer`; with `error="invalid_token"` where a key was sent, and with '
        '`error="invalid_request"` and an `error_description` where the header holds something '
        "else than `Bearer` and one key.",
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token"',
    },
    "Accept-Encoding": {
        "description": "`identity`, where the request had a `Content-Encoding`; absent otherwise.",
        "schema": {"type": "string", "const": "identity"},
        "example": "identity",
    },
    "Allow": {
        "description": "The methods that this address answers to.",
        "schema": {"type": "string"},
        "example": "GET, POST, HEAD",
    },
}
RATE_LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_ERROR_PROPERTIES: Part = {
    "error": {"type": "string", "description": "The status phrase."},
    "message": {"type": "string", "description": "What is wrong, for a person to read."},
    "code": {"type": "integer", "description": "The HTTP status once more."},
}
# `Error` is a name that TypeScript, Swift and others have given away.
ERROR_SCHEMAS: dict[str, Part] = {
    "ErrorBody": {
        "type": "object",
        "description": "The body of every answer from 400 to 499.",
        "properties": {
            **_ERROR_PROPERTIES,
            "details": {
                "type": "array",
                "description": "What is wrong with which field or parameter, all at once. Only in "
                "answers that concern some.",
                "items": {"$ref": "#/components/schemas/FieldError"},
            },
        },
        "required": ["error", "message", "code"],
    },
    "FieldError": {
        "type": "object",
        "description": "What is wrong with one field or parameter.",
        "properties": {
            "field": {"type": "string", "description": "Its name in the request."},
            "message": {"type": "string", "description": "What is wrong with it."},
        },
        "required": ["field", "message"],
    },
    "ServerErrorBody": {
        "type": "object",
        "description": "The body of every answer from 500 on.",
        "properties": {
            **_ERROR_PROPERTIES,
            "requestId": {"type": "string", "description": "The same as `X-Request-Id`."},
        },
        "required": ["error", "message", "code", "requestId"],
    },
}


def allow_more(*values: str) -> Part:
    """A text that is one of these today. As an `enum` it would break clients with the next one:
    many generated ones refuse the whole answer. `x-extensible-enum` is what others call it too.
    """
    return {"type": "string", "x-extensible-enum": list(values), "examples": list(values)}


def make_headers(*names: str, required: bool = True) -> Part:
    """An answer's headers: those that it always has, or, if not `required`, may have."""
    if required:
        return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {name: {**HEADERS[name], "required": False} for name in names}


def make_content(schema: str, *examples: tuple[str, object]) -> Part:
    """A JSON body with the schema of this name; `examples` are rows (name, value)."""
    media_type: Part = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if examples:
        media_type["examples"] = {
            name.title().replace(" ", ""): {"summary": name, "value": value}
            for name, value in examples
        }
    return {"application/json": media_type}
