"""The back-office's site: Unfold's, with answers for addresses that make no sense."""

from collections.abc import Callable
from functools import wraps

from django.contrib.admin.apps import AdminConfig
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from unfold.sites import UnfoldAdminSite

from ctxfy_support.postgresql.planning import planned_by_value


class BackOfficeSite(UnfoldAdminSite):
    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        """Every page asks for what an agent chose, which may be rare or common."""

        @wraps(view)
        def planned(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            with planned_by_value():
                return view(request, *args, **kwargs)

        checked: Callable[..., HttpResponseBase] = super().admin_view(planned, cacheable)
        return checked

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
