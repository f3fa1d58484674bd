"""What every answer to an authenticated request has beside its content."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from accounts.models import APIKey


class AccountMiddleware:
    """Adds the rate limit's headers, and notes that the key was used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        key: APIKey | None = getattr(request, "api_key", None)
        if key is None:
            return response
        if state := key.rate_limit:
            response["X-RateLimit-Limit"] = str(state.limit)
            response["X-RateLimit-Remaining"] = str(state.remaining)
            response["X-RateLimit-Reset"] = str(state.resets_at)
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            key.note_use()
        return response
