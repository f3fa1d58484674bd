"""What the OpenAPI document says of API keys and of who may ask."""

from dataclasses import replace
from datetime import timedelta

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from accounts import api_keys, wrong_keys
from accounts.models import MOST_WORKING_KEYS
from accounts.serializers import (
    AccountSerializer,
    CallingKeySerializer,
    IssuedAPIKeySerializer,
    ListedAPIKeySerializer,
    NewAPIKeySerializer,
)
from ctxfy_support.answers import Part
from ctxfy_support.envelope import make_error
from ctxfy_support.error_answers import ErrorAnswer

# A New Year's Day that is at least a month away: the samples of /docs run as pasted.
_NEXT_YEAR = (timezone.now() + timedelta(days=30)).year + 1
_KEY = {
    "id": "0193a2c7-91e4-7c55-b0d3-6f1e2a9c8d47",
    "key_prefix": "ctxfy_4fT9aZ",
    "name": "CI",
    "expiration_date": f"{_NEXT_YEAR}-01-01T00:00:00.000000Z",
    "created_at": "2026-11-23T10:00:00.123456Z",
    "revoked_at": None,
}
_LISTED = _KEY | {"last_used_at": "2026-11-23T10:04:17.402913Z", "leaked_at": None}
_ID = OpenApiParameter(
    "id", str, OpenApiParameter.PATH, description="The `id` of the key, not the key itself."
)


KEY_LIMIT_REACHED = (
    f"Your account has {MOST_WORKING_KEYS} working keys, the most that it may have. Revoke one "
    "that you no longer use"
)
GUIDE_FACTS = {
    "useless_keys_per_minute": wrong_keys.LIMIT,
    "most_working_keys": MOST_WORKING_KEYS,
}


class APIKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.APIKeyAuthentication"
    name = "APIKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> Part:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": api_keys.IN_WORDS,
            "x-pattern": api_keys.PATTERN,
            "description": "`Authorization: Bearer <api_key>`. Any key of an account opens "
            "everything that the account has.",
        }


document_api_keys = extend_schema_view(
    create=extend_schema(
        operation_id="createApiKey",
        tags=["API keys"],
        summary="Issue a key",
        description="Issues another key for your account. To rotate: issue one, deploy it, revoke "
        "the old one. No body, `null` and `{}` are the same.\n\n"
        "A key that expires makes none that outlives it: without an `expiration_date` the new one "
        f"ends with it, and a later one is a `400`. An account has at most {MOST_WORKING_KEYS} "
        "working keys; one more is a `409`.\n\n"
        "An `Idempotency-Key` is a `400`: a key is shown once, so the answer cannot be repeated. "
        "Where an answer was lost, find the key in your list and revoke it.",
        request=NewAPIKeySerializer,
        responses={201: OpenApiResponse(IssuedAPIKeySerializer, "The key works from now on.")},
        examples=[
            OpenApiExample(
                "Until New Year",
                {"name": "CI", "expiration_date": f"{_NEXT_YEAR}-01-01T00:00:00Z"},
                request_only=True,
            ),
            OpenApiExample(
                "The new key",
                _KEY | {"api_key": "ctxfy_4fT9aZ0qLw8XcVbN3mKjH7gFdS1pOiU6yTr5e2Qa"},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    ),
    list=extend_schema(
        operation_id="listApiKeys",
        tags=["API keys"],
        summary="List your keys",
        description="Every key of your account, newest first, the revoked and the expired too. "
        "No secrets.",
        responses={200: OpenApiResponse(ListedAPIKeySerializer, "A page of keys.")},
        examples=[OpenApiExample("The first of two pages", _LISTED, response_only=True)],
    ),
    retrieve=extend_schema(
        operation_id="getApiKey",
        tags=["API keys"],
        summary="Get a key",
        description="One key of your account: whether it works, and when it was last used. No "
        "secret.",
        parameters=[_ID],
        responses={200: OpenApiResponse(ListedAPIKeySerializer, "The key.")},
        examples=[OpenApiExample("A key", _LISTED, response_only=True, status_codes=["200"])],
    ),
    destroy=extend_schema(
        operation_id="revokeApiKey",
        tags=["API keys"],
        summary="Revoke a key",
        description="The key stops working with the very next request, and for good. Revoking it "
        "again is fine. A key may revoke itself.",
        parameters=[_ID],
        responses={204: OpenApiResponse(description="It has stopped working.")},
    ),
)


document_account = extend_schema_view(
    get=extend_schema(
        operation_id="getAccount",
        tags=["API keys"],
        summary="Who am I?",
        description="The account behind the key that you send, with its plan and token balance as "
        "they are at this moment, and the key itself. Ask it whether a key works, and whose it is.",
        responses={200: OpenApiResponse(AccountSerializer, "Your account.")},
        examples=[
            OpenApiExample(
                "An account",
                {
                    "user_id": "4711",
                    "username": "ada",
                    "subscription_plan": "pro",
                    "token_balance": 250_000,
                    "requests_per_minute": 100,
                    "api_key": {
                        name: _KEY[name] for name in map(str, CallingKeySerializer().fields)
                    },
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
)


def _issues_keys(path: str, operation: Part) -> bool:
    return bool(operation["operationId"] == "createApiKey")


def add_errors(errors: dict[int, ErrorAnswer]) -> dict[int, ErrorAnswer]:
    """One of settings.API_ERRORS: one key too many, and the words for keys that do not work."""
    refusal = make_error(429, wrong_keys.TooManyUselessKeys.default_detail)
    examples = (("Your account's minute", make_error(429)), ("Useless keys", refusal))
    too_many = make_error(409, KEY_LIMIT_REACHED)
    return errors | {
        409: errors[409].widen(_issues_keys, ("Too many keys", too_many)),
        429: replace(errors[429], examples=examples),
    }
