"""Two doors behind what every answer has in common: the API's is short, the back-office's Django's.

A request under /v1/ needs no session, no CSRF cookie, no messages and no static file; each of these
would cost it processor time, and could set a cookie or redirect it.
"""

from collections.abc import Callable
from typing import TypeAlias, cast

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import resolve
from django.utils.module_loading import import_string

from ctxfy_support.envelope import is_api

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponse]


def call_view(request: HttpRequest) -> HttpResponse:
    """The view's answer; raises Resolver404 where there is none.

    An API has neither of what Django does further here: transactions around requests and hooks.
    """
    match = request.resolver_match = resolve(request.path_info)
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    if isinstance(response, SimpleTemplateResponse):  # DRF's
        response = response.render()
    return response


class APIDoor:
    """Leads /v1/ through settings.API_MIDDLEWARE to its view, and everything else further on."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.call_api = _answer_exceptions(call_view)
        for path in reversed(settings.API_MIDDLEWARE):
            self.call_api = _answer_exceptions(import_string(path)(self.call_api))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request.path):
            return self.get_response(request)
        request.get_host()  # Raises DisallowedHost, a 400.
        response = self.call_api(request)
        # A 304 would have to name the length of the answer that it stands for (RFC 9110, 8.6).
        if response.status_code != 304 and not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))
        return response


def _answer_exceptions(get_response: GetResponse) -> GetResponse:
    """As Django guards each of its middlewares; ours are synchronous."""
    return cast(GetResponse, convert_exception_to_response(get_response))
