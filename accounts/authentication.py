"""`Authorization: Bearer <api_key>`: one statement, and one answer for every key that is no use."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import api_keys
from accounts.admission import admit
from accounts.models import APIKey, User
from accounts.wrong_keys import TooManyUselessKeys, wrong_keys
from ctxfy_support.client_address import get_client_network
from ctxfy_support.log_context import note

# RFC 6750, section 3: what is wrong with a header that holds no Bearer token at all. No words of
# the client's are repeated.
_SEND = "send Authorization: Bearer <api_key>"
_NO_KEY = f"The key is missing: {_SEND}"
_NO_SCHEME = f"The scheme is missing: {_SEND}"
_OTHER_SCHEME = f"The scheme must be Bearer: {_SEND}"
_SEVERAL = f"Exactly one key must follow the scheme: {_SEND}"


def read_credentials(request: Request) -> tuple[str | None, str]:
    """(the Bearer token, what is wrong with the header): one of them, or neither without a header.

    The token may be malformed. Servers join two header lines with a comma.
    """
    value: str = request._request.META.get("HTTP_AUTHORIZATION", "")  # noqa: SLF001
    scheme, _, token = value.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer":
        bare = scheme.startswith(api_keys.PREFIX)
        return None, "" if not scheme else _NO_SCHEME if bare else _OTHER_SCHEME
    if not token:
        return None, _NO_KEY
    if "," in token or len(token.split()) > 1:
        return None, _SEVERAL
    return token, ""


class APIKeyAuthentication(BaseAuthentication):
    """Makes the key's user `request.user` and the key itself `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, APIKey] | None:
        """Return None without a Bearer token; raise AuthenticationFailed for one that is no use.

        Raises TooManyUselessKeys instead where the client's network has sent too many of those.
        """
        token, _ = read_credentials(request)
        if token is None:
            return None
        network = get_client_network(request._request)  # noqa: SLF001  (Django's own request)
        wait = wrong_keys.seconds_to_wait(network)
        if wait and wrong_keys.is_useless(token):
            raise TooManyUselessKeys(wait)
        key = admit(token, in_doubt=wait > 0)
        if key is None:
            wrong_keys.note_wrong(network, token)
            raise TooManyUselessKeys(wait) if wait else AuthenticationFailed
        note(account_id=key.user_id, key_prefix=key.key_prefix)
        request._request.api_key = key  # type: ignore[attr-defined]  # noqa: SLF001
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        """The `WWW-Authenticate` challenge of the 401 (RFC 6750, section 3)."""
        token, wrong = read_credentials(request)
        if wrong:
            return f'Bearer error="invalid_request", error_description="{wrong}"'
        return "Bearer" if token is None else 'Bearer error="invalid_token"'
