"""Answers load balancers and Prometheus before any other rule: for any Host, without TLS."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch

from ctxfy_support.health import health, live
from ctxfy_support.metrics import metrics

VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/health": health,
    "/health/live": live,
    "/metrics": metrics,
}


class ProbeMiddleware:
    """Answers before the Host is checked: a load balancer uses whatever address it found."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if view := VIEWS.get(request.path):
            request.resolver_match = ResolverMatch(view, (), {}, route=request.path)
            return view(request)
        return self.get_response(request)
