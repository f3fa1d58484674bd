"""`Authorization: Bearer <api_key>`: one statement, and one answer for every key that is no use."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from accounts.admission import admit
from accounts.models import APIKey, User
from accounts.wrong_keys import wrong_keys
from ctxfy_support.client_address import get_client_network


def find_token(request: Request) -> str | None:
    """The Bearer token sent, which may be empty or malformed; None if there is none."""
    value: str = request._request.META.get("HTTP_AUTHORIZATION", "")  # noqa: SLF001
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class APIKeyAuthentication(BaseAuthentication):
    """Makes the key's user `request.user` and the key itself `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, APIKey] | None:
        """Return None without a Bearer token; raise AuthenticationFailed for one that is no use.

        Raises Throttled where the client's address has sent too many of those.
        """
        token = find_token(request)
        if token is None:
            return None
        address = get_client_network(request._request)  # noqa: SLF001  (Django's own request)
        if wait := wrong_keys.seconds_to_wait(address, token):
            raise Throttled(wait)
        key = admit(token)
        if key is None:
            wrong_keys.note_wrong(address, token)
            raise AuthenticationFailed
        wrong_keys.note_worked(key.digest)
        request._request.api_key = key  # type: ignore[attr-defined]  # noqa: SLF001
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        """The `WWW-Authenticate` challenge of the 401 (RFC 6750, section 3)."""
        return "Bearer" if find_token(request) is None else 'Bearer error="invalid_token"'
