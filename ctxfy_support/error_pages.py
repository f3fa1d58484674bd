"""Errors that people see: pages of the back-office under /admin/, small plain ones elsewhere.

What went wrong may be the database, so nothing here needs it: where it does not answer, the page
comes without the sidebar. Under /v1/ the envelope replaces all of them.
"""

import sys
from collections.abc import Callable

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html

from ctxfy_support.content_security_policy import is_back_office
from ctxfy_support.log_context import get_request_id

# Status -> title, text, Material icon.
PAGES = {
    400: (
        "This request makes no sense",
        "Something in the address or in the form could not be read.",
        "unknown_document",
    ),
    403: (
        "Your role does not allow this",
        "An administrator can change what it opens.",
        "shield_lock",
    ),
    404: (
        "There is no such page",
        "It may have been removed, or its address is not complete.",
        "search_off",
    ),
    405: (
        "Nothing is shown at this address",
        "It takes forms alone. Nothing was sent or changed.",
        "block",
    ),
    500: (
        "Something broke on our side",
        "It has been logged. Try again; if it stays so, tell an administrator the id below.",
        "error",
    ),
    503: (
        "The database does not answer",
        "Try again in a moment. Nothing that was stored is lost.",
        "cloud_off",
    ),
}
OLD_FORM = (
    "This form is too old",
    "Nothing was sent or changed. Open its page again, with cookies allowed, and send it anew.",
    "history",
)
# Trying again is all that anybody can do: it is away, restarting, locked or full.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
RETRY_SECONDS = 5
PLAIN = """<!DOCTYPE html>
<html lang="en"><head><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1.0"></head>
<body><h1>{title}</h1><p>{text}</p><p><a href="/docs">The API's reference</a></p></body></html>
"""


def show_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return make_page(request, 400)


def show_forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return make_page(request, 403)


def show_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return make_page(request, 404)


def show_crash(request: HttpRequest) -> HttpResponse:
    """500; 503 where it is the database that is away, which Django does not tell apart."""
    is_away = isinstance(sys.exc_info()[1], DATABASE_AWAY)
    response = make_page(request, 503 if is_away else 500)
    if is_away:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response


def show_csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return make_page(request, 403, OLD_FORM)


def make_page(
    request: HttpRequest, status: int, words: tuple[str, str, str] | None = None
) -> HttpResponse:
    title, text, icon = words or PAGES[status]
    if not is_back_office(request.path):
        return HttpResponse(format_html(PLAIN, title=title, text=text), status=status)
    context = {
        "title": title,
        "text": text,
        "icon": icon,
        "status": status,
        "request_id": get_request_id(),
        # Of a form, too: the address of an act leads to its page.
        "again": request.get_full_path() if words == OLD_FORM or status >= 500 else "",
    }
    if status < 500:
        try:
            if _is_staff(request):
                layout = {"layout": "admin/base_site.html", **admin.site.each_context(request)}
                return render(request, "admin/error.html", layout | context, status=status)
        except DatabaseError:
            pass  # It went away meanwhile; the page below does without.
    request.user = AnonymousUser()
    layout = {"layout": "unfold/layouts/unauthenticated.html", **admin.site.each_context(request)}
    return render(request, "admin/error.html", layout | context, status=status)


def _is_staff(request: HttpRequest) -> bool:
    """Whether somebody who may see the sidebar is logged in; some errors come before we know."""
    user: AbstractBaseUser | AnonymousUser = getattr(request, "user", AnonymousUser())
    return user.is_active and getattr(user, "is_staff", False)


class ErrorPageMiddleware:
    """Gives an error that Django answers with an empty page (405) one that says something."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_ours = is_back_office(request.path) and response.status_code in PAGES
        if not is_ours or response.streaming or response.content:
            return response
        page = make_page(request, response.status_code)
        if allow := response.get("Allow"):
            page["Allow"] = allow
        return page
