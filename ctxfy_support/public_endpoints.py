"""What the OpenAPI document says of the endpoints that need no key.

/metrics is for the operator, whose manual is README.md.
"""

from django.conf import settings
from django.utils.module_loading import import_string

from ctxfy_support import VERSION
from ctxfy_support.answers import Part, allow_more, make_content, make_headers

_LIVENESS: Part = {
    "type": "object",
    "description": "That the process runs.",
    "properties": {"status": {"type": "string", "const": "ok", "description": "Always the same."}},
    "required": ["status"],
}


def _make_health() -> Part:
    """The schema of /health, with the entries that the apps add (settings.HEALTH_SCHEMAS)."""
    return {
        "type": "object",
        "description": "How the service is, and each thing that it depends on.",
        "properties": {
            "status": {
                **allow_more("ok", "degraded", "unavailable"),
                "description": "`degraded`: requests are served, but something below is in "
                "trouble. `unavailable`: nothing can be stored.",
            },
            "version": {"type": "string", "description": "The service's own version."},
            "database": {
                **allow_more("ok", "unavailable"),
                "description": "Whether it answers.",
            },
            **{name: import_string(path) for name, path in settings.HEALTH_SCHEMAS.items()},
        },
        "required": ["status", "version", "database"],
    }


def make_public_schemas() -> dict[str, Part]:
    return {"Health": _make_health(), "Liveness": _LIVENESS}


def _answer(description: str, *headers: str, content: Part | None = None) -> Part:
    answer = {"description": description, "headers": make_headers("X-Request-Id", *headers)}
    return answer | ({"content": content} if content else {})


def _public(operation_id: str, summary: str, description: str, responses: Part) -> Part:
    """A path that answers GET to everybody; `responses` are its own answers."""
    refused = _answer("This address takes `GET` and `HEAD` alone.", "Allow")
    return {
        "get": {
            "operationId": operation_id,
            "summary": summary,
            "description": description,
            "tags": ["Operations"],
            "security": [],
            "responses": responses | {"405": refused},
        }
    }


def make_public_paths() -> dict[str, Part]:
    healthy = dict.fromkeys(_make_health()["properties"], "ok") | {"version": VERSION}
    away = {"status": "unavailable", "version": VERSION, "database": "unavailable"}
    return {
        "/health": _public(
            "getHealth",
            "Readiness",
            "May this process be sent requests? Point your load balancer here. Only trouble with "
            "the database takes it from `200`; with any other, requests are still served.",
            responses={
                "200": _answer(
                    "Requests are served.",
                    content=make_content("Health", ("All is well", healthy)),
                ),
                "503": _answer(
                    "Nothing can be stored at the moment.",
                    "Retry-After",
                    content=make_content("Health", ("No database", away)),
                ),
            },
        ),
        "/health/live": _public(
            "getLiveness",
            "Liveness",
            "Does this process run at all? It asks nobody else, so that a database that is away "
            "restarts no process.",
            responses={
                "200": _answer(
                    "The process runs.",
                    content=make_content("Liveness", ("Alive", {"status": "ok"})),
                )
            },
        ),
    }
