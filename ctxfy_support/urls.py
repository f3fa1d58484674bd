"""Every address the service answers; under /v1/ none ends in a slash and none redirects."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/support/", include("support.urls")),
    path("admin/", admin.site.urls),
]
