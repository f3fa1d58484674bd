"""The back-office's site: Unfold's, with answers for addresses that make no sense."""

from django.contrib.admin.apps import AdminConfig
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite


class BackOfficeSite(UnfoldAdminSite):
    def search(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Unfold's search for pages (Ctrl+K); a page of results that is not there is a 404."""
        try:
            answer: HttpResponse = super().search(request, extra_context)
        except (ValueError, InvalidPage):
            raise Http404 from None
        return answer


class BackOfficeConfig(AdminConfig):
    """django.contrib.admin with our site as `admin.site`."""

    default_site = "ctxfy_support.admin_site.BackOfficeSite"
