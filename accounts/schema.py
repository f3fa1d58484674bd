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
from accounts.serializers import (
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


GUIDE_FACTS = {"useless_keys_per_minute": wrong_keys.LIMIT}


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
        "the old one.",
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
        examples=[
            OpenApiExample("The first of two pages", _KEY | {"leaked_at": None}, response_only=True)
        ],
    ),
    destroy=extend_schema(
        operation_id="revokeApiKey",
        tags=["API keys"],
        summary="Revoke a key",
        description="The key stops working with the very next request, and for good. Revoking it "
        "again is fine. A key may revoke itself.",
        parameters=[
            OpenApiParameter(
                "id",
                str,
                OpenApiParameter.PATH,
                description="The `id` of the key, not the key itself.",
            )
        ],
        responses={204: OpenApiResponse(description="It has stopped working.")},
    ),
)


def add_errors(errors: dict[int, ErrorAnswer]) -> dict[int, ErrorAnswer]:
    """One of settings.API_ERRORS: the words for keys that do not work."""
    refusal = make_error(429, wrong_keys.TooManyUselessKeys.default_detail)
    examples = (("Your account's minute", make_error(429)), ("Useless keys", refusal))
    return errors | {429: replace(errors[429], examples=examples)}
