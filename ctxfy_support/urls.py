"""Every address the service answers; under /v1/ none ends in a slash and none redirects."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from ctxfy_support.reference import views as reference

handler400 = "ctxfy_support.error_pages.show_bad_request"
handler403 = "ctxfy_support.error_pages.show_forbidden"
handler404 = "ctxfy_support.error_pages.show_not_found"
handler500 = "ctxfy_support.error_pages.show_crash"

# Where people begin, and what they type; a program that comes here finds the reference too.
to_docs = csrf_exempt(require_safe(RedirectView.as_view(url="/docs")))

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/support/", include("support.api.urls")),
    path("v1/", include("accounts.urls")),
    # No cookie counts here, so that another method gets a 405 and not a page about CSRF.
    path("openapi.json", csrf_exempt(reference.openapi)),
    path("postman.json", csrf_exempt(reference.postman)),
    path("docs", csrf_exempt(reference.docs)),
    path("docs.md", csrf_exempt(reference.markdown)),
    path("llms.txt", csrf_exempt(reference.index)),
    path("docs/", to_docs),
    path("", to_docs),
    path("admin/", admin.site.urls),
    path("anymail/", include("support.inbox.urls")),
]
