"""The OpenAPI document: the API as the code has it, through drf-spectacular, once a process.

Here stands what the project itself answers for: paging, text fields, the endpoints without a key,
and which errors an endpoint can give. What is an app's own stands in its schema.py, the guide in
templates/reference/guide.md.
"""

import json
from functools import cache
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from ctxfy_support.answers import (
    ERRORS,
    RATE_LIMIT_HEADERS,
    make_components,
    make_content,
    make_headers,
)
from ctxfy_support.pagination import DEFAULT_PER_PAGE, MAX_PAGE, MAX_PER_PAGE

TAGS = {
    "Support tickets": "Tell us what went wrong, and see what became of it.",
    "API keys": "Issue, list and revoke the keys of your account.",
    "Operations": "For load balancers and monitoring; no key needed.",
}

# --- For the apps' schema.py ---------------------------------------------------------------------

_PAGE = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1}
_PER_PAGE = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_PER_PAGE,
    "default": DEFAULT_PER_PAGE,
}
PAGE_PARAMETERS = [
    OpenApiParameter(
        "page", _PAGE, description="Which page. One after the last is empty, not an error."
    ),
    OpenApiParameter("per_page", _PER_PAGE, description="How many rows a page has."),
]


class PaginationSerializer(serializers.Serializer[Any]):
    """Where a page stands among all rows."""

    page = serializers.IntegerField(min_value=1, help_text="The page you asked for.")
    per_page = serializers.IntegerField(min_value=1, help_text="How many rows a page has.")
    total = serializers.IntegerField(min_value=0, help_text="How many rows there are.")
    pages = serializers.IntegerField(min_value=0, help_text="How many pages; 0 without rows.")


def annotate(result: dict[str, Any], notes: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Add to properties what their fields do not say: schema -> property -> keywords.

    A keyword that is None is taken away. Raises KeyError for a property that the code no longer
    has.
    """
    for schema, properties in notes.items():
        for name, keywords in properties.items():
            merged = result["components"]["schemas"][schema]["properties"][name] | keywords
            result["components"]["schemas"][schema]["properties"][name] = {
                keyword: value for keyword, value in merged.items() if value is not None
            }


# As fields.py refuses them, but for lone surrogates: no text that a client can send holds one.
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_CONTROL_BUT_LAYOUT = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"


def make_line_pattern(*, blank: bool = False, without: str = "") -> str:
    """A line without control characters and those named; it is trimmed, so any may surround it."""
    first = "" if blank else rf"[^\s{_CONTROL}{without}]"
    return rf"^\s*{first}[^{_CONTROL}{without}]*\s*$"


def make_text_pattern() -> str:
    """Lines without control characters, and somewhere in them more than white space."""
    control = _CONTROL_BUT_LAYOUT
    return rf"^[^\S{control}]*[^\s{control}][^{control}]*$"


class TextFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """fields.TextField: its length, and the characters that it takes."""

    target_class = "ctxfy_support.fields.TextField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        field = self.target
        if field.trim_whitespace:
            pattern = make_line_pattern(blank=field.allow_blank)
        else:
            pattern = make_text_pattern()
        schema = {"type": "string", "maxLength": field.max_length}
        if field.allow_blank:
            # Out of sight of drf-spectacular, which would add another way to be empty (oneOf).
            return schema | {"allOf": [{"pattern": pattern}]}
        return schema | {"minLength": 1, "pattern": pattern}


# --- Endpoints that need no key ------------------------------------------------------------------

_HEALTH = {
    "type": "object",
    "description": "How the service is, and each thing that it depends on.",
    "properties": {
        "status": {
            "type": "string",
            "enum": ["ok", "degraded", "unavailable"],
            "description": "`degraded`: tickets are taken, mail waits. `unavailable`: tickets "
            "cannot be stored.",
        },
        "database": {
            "type": "string",
            "enum": ["ok", "unavailable"],
            "description": "Whether it answers.",
        },
        "mail": {
            "type": "string",
            "enum": ["ok", "not configured", "failing"],
            "description": "`failing`: the provider refuses us or is out of reach. Absent while "
            "the database is away.",
        },
    },
    "required": ["status", "database"],
}
_LIVENESS = {
    "type": "object",
    "description": "That the process runs.",
    "properties": {"status": {"type": "string", "const": "ok", "description": "Always the same."}},
    "required": ["status"],
}
_METRICS = {
    "text/plain": {
        "schema": {"type": "string"},
        "examples": {
            "Tickets": {
                "value": "# HELP support_tickets_total Tickets stored, by type.\n"
                "# TYPE support_tickets_total counter\n"
                'support_tickets_total{type="billing"} 42\n'
            }
        },
    }
}


def _answer(description: str, *headers: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "headers": make_headers("X-Request-Id", *headers)} | more


def _public(operation_id: str, summary: str, description: str, **more: Any) -> dict[str, Any]:
    """A path that answers GET to everybody; `more["responses"]` are its own answers."""
    refused = _answer("This address takes `GET` and `HEAD` alone.", "Allow")
    return {
        "get": {
            "operationId": operation_id,
            "summary": summary,
            "description": description,
            "tags": ["Operations"],
            "security": [],
            "responses": more["responses"] | {"405": refused},
        }
    }


PUBLIC_PATHS = {
    "/health": _public(
        "getHealth",
        "Readiness",
        "May this process be sent requests? Point your load balancer here. Trouble with mail "
        "leaves it at `200`: tickets are still taken.",
        responses={
            "200": _answer(
                "Tickets are taken.",
                content=make_content(
                    "Health", ("All is well", {"status": "ok", "database": "ok", "mail": "ok"})
                ),
            ),
            "503": _answer(
                "Tickets cannot be stored at the moment.",
                "Retry-After",
                content=make_content(
                    "Health",
                    ("No database", {"status": "unavailable", "database": "unavailable"}),
                ),
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
                "The process runs.", content=make_content("Liveness", ("Alive", {"status": "ok"}))
            )
        },
    ),
    "/metrics": _public(
        "getMetrics",
        "Metrics",
        "For Prometheus: tickets by type, answers by status, how long they took, how much mail "
        "waits and for how long, sends by outcome. Counted over all processes.",
        responses={
            "200": _answer("Samples in Prometheus' text format.", content=_METRICS),
            "503": _answer("The database is away.", "Retry-After"),
        },
    ),
}

# --- The document --------------------------------------------------------------------------------


def _error_statuses(path: str, operation: dict[str, Any]) -> list[int]:
    """Which errors an operation under /v1/ can answer with."""
    statuses = {400, 401, 403, 405, 406, 429, 500, 503}
    if "{" in path:
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {413, 415}
    if any(row["name"] == "Idempotency-Key" for row in operation.get("parameters", [])):
        statuses.add(422)
    return sorted(statuses)


def add_what_all_share(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Complete drf-spectacular's document; its postprocessing hook, after those of the apps."""
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for answer in operation["responses"].values():
                shared = make_headers("X-Request-Id", *RATE_LIMIT_HEADERS)
                answer["headers"] = answer.get("headers", {}) | shared
            for status in _error_statuses(path, operation):
                reference = {"$ref": f"#/components/responses/{ERRORS[status].name}"}
                operation["responses"][str(status)] = reference
    result["paths"] |= PUBLIC_PATHS
    shared = make_components()
    shared["schemas"] |= result["components"]["schemas"]
    result["components"] |= shared | {
        "schemas": shared["schemas"] | {"Health": _HEALTH, "Liveness": _LIVENESS}
    }
    result["info"]["description"] = render_to_string(
        "reference/guide.md",
        {
            "max_body_kib": settings.MAX_BODY_BYTES // 1024,
            "default_per_page": DEFAULT_PER_PAGE,
            "max_per_page": MAX_PER_PAGE,
        },
    )
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    result["servers"] = [{"url": settings.SITE_URL}]
    return result


@cache
def _generate() -> str:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]  # drf-spectacular's own
    return json.dumps(generator.get_schema(request=None, public=True))  # type: ignore[no-untyped-call]  # likewise


def get_document() -> dict[str, Any]:
    """The document, made on first use; a copy, so that no reader can change it for the next."""
    document: dict[str, Any] = json.loads(_generate())
    return document
