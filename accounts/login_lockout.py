"""Who is guessing a password: what django-axes counts failures by, and what is kept of them.

Nothing that was typed or sent is stored: people type passwords into the name, and programs send
keys in any header.
"""

import math
from datetime import datetime
from http import HTTPStatus
from ipaddress import ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import User
from ctxfy_support.client_address import get_client_network
from ctxfy_support.logs import redact

LONGEST_NAME = 150
LONGEST_USER_AGENT = 255


def find_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The account's name that was tried; of any other text a digest, which counts as well.

    To count all other names as one would tell a guesser which names there are.
    """
    typed = (credentials or request.POST).get("username") or ""
    name = str(typed).replace("\0", "")[:LONGEST_NAME]
    if not name or User.objects.filter(username=name).exists():
        return name
    return f"unknown name {salted_hmac(__name__, name).hexdigest()[:12]}"


def find_address(request: HttpRequest) -> str | None:
    """The client's address past our own proxies, of IPv6 its /64's first; None if there is none."""
    try:
        return str(ip_network(get_client_network(request)).network_address)
    except ValueError:
        return None


class LockoutHandler(AxesDatabaseHandler):
    """Keeps name, address, browser and count of failed log-ins, and nothing else of the request."""

    def user_login_failed(
        self,
        sender: object,
        credentials: dict[str, Any],
        request: HttpRequest | None = None,
        **kwargs: object,
    ) -> None:
        if request is None:
            return  # authenticate() without a page
        seen: Any = request
        seen.axes_user_agent = redact(seen.axes_user_agent)[:LONGEST_USER_AGENT]
        seen.axes_http_accept = seen.axes_path_info = ""
        query, form = seen.GET, seen.POST
        seen.GET = seen.POST = QueryDict()
        try:
            super().user_login_failed(sender, credentials, request, **kwargs)
        finally:
            seen.GET, seen.POST = query, form


def answer_locked_name(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: the page for a name that is locked from this network."""
    failures = AccessAttempt.objects.filter(
        username=find_name(request, credentials), ip_address=find_address(request)
    )
    last = failures.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    return show_locked_out(request, "name", (last or timezone.now()) + settings.AXES_COOLOFF_TIME)


def show_locked_out(request: HttpRequest, reason: str, until: datetime | None) -> HttpResponse:
    """A page in the back-office's look: `reason` is "name", "network" or (a moment's) "busy"."""
    wait = (until - timezone.now()).total_seconds() if until else 1
    context = {
        **admin.site.each_context(request),
        "reason": reason,
        "until": until,
        "minutes": max(1, math.ceil(wait / 60)),
    }
    status = HTTPStatus.TOO_MANY_REQUESTS if until else HTTPStatus.SERVICE_UNAVAILABLE
    response = render(request, "admin/locked_out.html", context, status=status)
    response["Retry-After"] = str(max(1, math.ceil(wait)))
    return response
