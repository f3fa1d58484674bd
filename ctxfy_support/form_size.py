"""Bounds a form's size where Django has one bound for all, and one address takes large ones."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class FormSizeMiddleware:
    """Refuses a body over FORM_BYTES but under PATHS_WITH_LARGE_BODIES, which see to it themselves.

    `manage.py serve` has refused it before; any other server may not.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        is_too_large = length.isdigit() and int(length) > settings.FORM_BYTES
        if is_too_large and not request.path.startswith(settings.PATHS_WITH_LARGE_BODIES):
            return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.get_response(request)
