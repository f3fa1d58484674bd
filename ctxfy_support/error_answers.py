"""Every error that the API answers with, as the OpenAPI document and the reference describe it.

What is an app's own (another status, an example with its fields) comes in by settings.API_ERRORS.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from ctxfy_support.answers import (
    EXAMPLE_REQUEST_ID,
    RATE_LIMIT_HEADERS,
    Part,
    make_content,
    make_headers,
)
from ctxfy_support.envelope import make_error
from ctxfy_support.parsers import NOT_JSON, EncodedBody
from ctxfy_support.transport_security import REFUSAL


@dataclass(frozen=True)
class ErrorAnswer:
    """`counted`: whether such a request has been counted (the rate limit's headers); None: maybe.

    `header` is one that it always has, `may_have` are such that it may have.
    `examples` are rows (name, body) for what a status alone does not say; `concerns` tells which
    operations can answer so, by path and operation.
    """

    name: str
    description: str
    counted: bool | None
    header: str = ""
    may_have: tuple[str, ...] = ()
    examples: tuple[tuple[str, Part], ...] = ()
    concerns: Callable[[str, Part], bool] = lambda path, operation: True

    def widen(
        self, concerns: Callable[[str, Part], bool], *examples: tuple[str, Part]
    ) -> "ErrorAnswer":
        """The same, of further operations too, with further examples."""
        return replace(
            self,
            examples=self.examples + examples,
            concerns=lambda *where: self.concerns(*where) or concerns(*where),
        )


def _names_one_thing(path: str, operation: Part) -> bool:
    return "{" in path


def _takes_a_body(path: str, operation: Part) -> bool:
    return "requestBody" in operation


_ERRORS = {
    400: ErrorAnswer(
        "BadRequest",
        "Something in the request is wrong; sending it again will not help. `details` names each "
        "field or parameter, all of them at once. Without `details` it is the body as a whole "
        "(no JSON object, a key twice, NaN, another encoding than UTF-8), the `Idempotency-Key` "
        "or the `Host`.",
        counted=None,
        examples=(("The body as a whole", make_error(400, NOT_JSON)),),
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
        examples=(("Plain HTTP", make_error(403, REFUSAL)),),
    ),
    404: ErrorAnswer(
        "NotFound",
        "You have nothing under this address. An unknown id, a malformed one and somebody else's "
        "look the same.",
        counted=True,
        concerns=_names_one_thing,
    ),
    405: ErrorAnswer(
        "MethodNotAllowed",
        "This address does not take that method; `Allow` lists those it takes.",
        counted=True,
        header="Allow",
    ),
    406: ErrorAnswer(
        "NotAcceptable",
        "Your `Accept` rules out `application/json`, by a weight of 0 (`application/json;q=0`) or "
        "by naming other types alone, and there is nothing else. Leave it out. The most specific "
        "range counts.",
        counted=True,
    ),
    409: ErrorAnswer(
        "Conflict",
        "It cannot be done as things are now; `message` says what stands in its way.",
        counted=True,
        concerns=lambda path, operation: False,
    ),
    413: ErrorAnswer(
        "BodyTooLarge",
        f"The body is over {settings.MAX_BODY_BYTES // 1024} KiB. The longest valid one fits, "
        "however it is escaped.",
        counted=True,
        concerns=_takes_a_body,
    ),
    415: ErrorAnswer(
        "UnsupportedMediaType",
        "The body is not declared as JSON in UTF-8, or it has a `Content-Encoding`. Send "
        "`Content-Type: application/json`, and the body as it is.",
        counted=True,
        may_have=("Accept-Encoding",),
        examples=(
            ("Not declared as JSON", make_error(415)),
            ("Compressed", make_error(415, str(EncodedBody.default_detail))),
        ),
        concerns=_takes_a_body,
    ),
    429: ErrorAnswer(
        "TooManyRequests",
        "Your account has used up its minute, or this key does not work and too many such came "
        "from your network; a key that works is not refused for those. Wait for as many seconds "
        "as `Retry-After` says.",
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
        "an `Idempotency-Key` where one is taken.",
        counted=None,
        header="Retry-After",
    ),
}


@cache
def get_errors() -> dict[int, ErrorAnswer]:
    """The errors by status, the apps' included: each takes those before it and returns its own."""
    errors = _ERRORS
    for path in settings.API_ERRORS:
        add_errors: Callable[[dict[int, ErrorAnswer]], dict[int, ErrorAnswer]] = import_string(path)
        errors = add_errors(errors)
    return dict(sorted(errors.items()))


def find_error_responses(path: str, operation: Part) -> Part:
    """What an operation can go wrong with: references by status."""
    return {
        str(status): {"$ref": f"#/components/responses/{error.name}"}
        for status, error in get_errors().items()
        if error.concerns(path, operation)
    }


def make_error_response(status: int, answer: ErrorAnswer) -> Part:
    headers = make_headers("X-Request-Id", *([answer.header] if answer.header else []))
    headers |= make_headers(*answer.may_have, required=False)
    if answer.counted is not False:
        headers |= make_headers(*RATE_LIMIT_HEADERS, required=bool(answer.counted))
    body = make_error(status)
    if status >= 500:
        body["requestId"] = EXAMPLE_REQUEST_ID
    return {
        "description": answer.description,
        "headers": headers,
        "content": make_content(
            "ServerErrorBody" if status >= 500 else "ErrorBody",
            *(answer.examples or ((str(body["error"]), body),)),
        ),
    }
