"""The security headers of every answer: of endpoints, of Django itself, of the middlewares."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from ctxfy_support import content_security_policy
from ctxfy_support.client_address import is_over_tls
from ctxfy_support.envelope import is_api

STRICT_TRANSPORT_SECURITY = "max-age=31536000"
API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": content_security_policy.API,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeadersMiddleware:
    """Adds them from the outside, where Django's own errors and our refusals pass as well.

    What is under /v1/ stays out of every cache, the back-office out of shared ones.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if is_over_tls(request):
            response["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
        if is_api(request.path):
            for name, value in API_HEADERS.items():
                response.headers[name] = value
            return response
        if policy := content_security_policy.find_policy(request.path):
            response["Content-Security-Policy"] = policy
        if policy == content_security_policy.BACK_OFFICE:
            response["Referrer-Policy"] = "same-origin"
            response.setdefault("Cache-Control", "no-store, private")
        return response
