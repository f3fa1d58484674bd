"""What every answer to an authenticated request has beside its content."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.models import APIKey
from accounts.throttling import RateLimit


class AccountMiddleware:
    """Adds the rate limit's headers, and notes the key's use once the answer is on its way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        state: RateLimit | None = getattr(request, "rate_limit", None)
        if state:
            response["X-RateLimit-Limit"] = str(state.limit)
            response["X-RateLimit-Remaining"] = str(state.remaining)
            response["X-RateLimit-Reset"] = str(state.resets_at)
        key: APIKey | None = getattr(request, "api_key", None)
        if key and not key.is_use_recorded():
            # Runs when the server closes the response, which it has sent by then; what it raises
            # (the database is away) goes nowhere.
            response._resource_closers.append(key.record_use)  # type: ignore[attr-defined]  # noqa: SLF001
        return response
