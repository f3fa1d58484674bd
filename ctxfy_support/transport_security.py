"""No key travels in the clear: plain HTTP is refused where one is sent, and redirected elsewhere.

A redirect would hide that the first request already leaked its key. This machine itself may use
plain HTTP: nobody listens there, and health checks and development need it.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

from ctxfy_support.client_address import find_unnamed_proxy, is_local, is_over_tls
from ctxfy_support.envelope import answer_error, is_api

logger = logging.getLogger(__name__)

REFUSAL = "This API is served over HTTPS only. Consider the key of this request leaked: revoke it"


class TransportSecurityMiddleware:
    """Refuses or redirects plain HTTP."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.has_warned = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not self.has_warned:
            self._look_for_unnamed_proxy(request)
        secure = is_over_tls(request)
        if secure:
            # For Django's own checks, such as that of a form's origin.
            request.META["wsgi.url_scheme"] = "https"
        plain_is_fine = settings.DEBUG or is_local(request)
        if secure or plain_is_fine:
            return self.get_response(request)
        if is_api(request.path) or request.path.startswith(settings.PATHS_THAT_READ_BODIES_LATE):
            return answer_error(HTTPStatus.FORBIDDEN, REFUSAL)
        # get_host() refuses a strange Host, so that nobody is sent elsewhere.
        return HttpResponsePermanentRedirect(
            f"https://{request.get_host()}{request.get_full_path()}"
        )

    def _look_for_unnamed_proxy(self, request: HttpRequest) -> None:
        proxy = find_unnamed_proxy(request)
        if proxy:
            self.has_warned = True
            logger.warning(
                "%s passes requests on, and TRUSTED_PROXIES does not name it. So its word does not "
                "count: plain HTTP from it is refused, and all its clients are one address. If it "
                "is your proxy, add it: TRUSTED_PROXIES=%s",
                proxy,
                proxy,
            )
