"""`Authorization: Bearer <api_key>`: one query, and one answer for every key that does not work."""

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import APIKey, User


def find_token(request: Request) -> str | None:
    """The Bearer token sent, which may be empty or malformed; None if there is none."""
    scheme, _, token = get_authorization_header(request).decode("latin-1").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class APIKeyAuthentication(BaseAuthentication):
    """Makes the key's user `request.user` and the key itself `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, APIKey] | None:
        """Return None without a Bearer token; raise AuthenticationFailed for one that is no use."""
        token = find_token(request)
        if token is None:
            return None
        key = APIKey.objects.find_active(token)
        if key is None:
            raise AuthenticationFailed
        return key.user, key

    def authenticate_header(self, request: Any) -> str:
        """The `WWW-Authenticate` challenge of the 401 (RFC 6750, section 3)."""
        return "Bearer" if find_token(request) is None else 'Bearer error="invalid_token"'
