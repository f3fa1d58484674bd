"""What the back-office's pages may load and run: nothing that is not served by this service."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

PREFIX = "/admin/"
# Unfold's Alpine evaluates expressions that its templates hold in attributes ('unsafe-eval') and
# writes style attributes ('unsafe-inline'). No script stands within a page, so none may.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityPolicyMiddleware:
    """Adds the policy to every answer under /admin/, and keeps those out of shared caches."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(PREFIX):
            response["Content-Security-Policy"] = POLICY
            response["Referrer-Policy"] = "same-origin"
            response.setdefault("Cache-Control", "no-store, private")
        return response
