"""/health: may this process be sent requests? /health/live: is it running at all?"""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ctxfy_support import VERSION

logger = logging.getLogger(__name__)


# What an entry may say while nothing is wrong.
CALM = {"ok", "not configured", "not needed"}


def check_database() -> str:
    """`ok` or `unavailable`."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFailure:
        logger.warning("The database did not answer a health check")
        return "unavailable"
    return "ok"


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """`status`, `version` and an entry for each dependency; 503 while no ticket could be stored.

    Mail that is down is `degraded`, not a reason to stop taking tickets.
    """
    entries = {"database": check_database()}
    if entries["database"] == "ok":
        for name, path in settings.HEALTH_CHECKS.items():
            entries[name] = _ask(name, path)
    unavailable = entries["database"] != "ok"
    degraded = any(entry not in CALM for entry in entries.values())
    status = "unavailable" if unavailable else "degraded" if degraded else "ok"
    answer = JsonResponse({"status": status, "version": VERSION, **entries})
    if unavailable:
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        answer["Retry-After"] = "1"
    return answer


def _ask(name: str, path: str) -> str:
    """What an app's check says; `error` where it could not find out, whatever the reason."""
    try:
        check: Callable[[], str] = import_string(path)
        return check()
    except Exception:
        logger.exception("The health check of %s failed", name)
        return "error"


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})
