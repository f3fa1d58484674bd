"""/openapi.json and /docs: one document, as JSON for programs and as a page for people.

Both need no key and are made once, for an address that nobody has; each answer puts the one that
it was asked for at in its place. Whoever makes up hosts and ports makes us render nothing.
"""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from html import escape

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_safe

from ctxfy_support import markdown
from ctxfy_support.answers import RATE_LIMIT_HEADERS
from ctxfy_support.document_reader import Reader
from ctxfy_support.error_answers import get_errors
from ctxfy_support.openapi import get_document, render_guide

# Stands for the address that a request came to; `.invalid` belongs to nobody (RFC 2606).
PLACEHOLDER = "https://origin.invalid"


def get_origin(request: HttpRequest) -> str:
    """Scheme, host and port as the reader sees them; raises DisallowedHost for a strange one."""
    return f"{request.scheme}://{request.get_host()}"


@cache
def _render_document() -> bytes:
    document = get_document() | {"servers": [{"url": PLACEHOLDER}]}
    return json.dumps(document, ensure_ascii=False).encode()


def render_document(origin: str) -> bytes:
    """The document as JSON, with the server that it was asked for at."""
    return _render_document().replace(PLACEHOLDER.encode(), json.dumps(origin)[1:-1].encode())


@cache
def _render_page() -> bytes:
    document = get_document()
    reader = Reader(document)
    introduction, *sections = markdown.split_sections(render_guide())
    components = document["components"]
    scheme = next(iter(components["securitySchemes"].values()))
    context = {
        "info": document["info"],
        "origin": PLACEHOLDER,
        "introduction": introduction,
        "sections": sections,
        "groups": reader.read_groups(),
        "key": {"format": scheme["bearerFormat"], "pattern": scheme["x-pattern"]},
        "errors": [
            reader.read_answer(str(status), components["responses"][error.name])
            for status, error in get_errors().items()
        ],
        "error_fields": reader.read_properties(components["schemas"]["ErrorBody"]),
        "rate_limit_headers": reader.read_parameters(
            [(name, components["headers"][name]) for name in RATE_LIMIT_HEADERS]
        ),
    }
    return render_to_string("reference/page.html", context).encode()


def render_page(origin: str) -> bytes:
    """The document as a page, with the server that it was asked for at."""
    return _render_page().replace(PLACEHOLDER.encode(), escape(origin).encode())


def make_etag(render: Callable[[str], bytes]) -> Callable[[HttpRequest], str]:
    """For `condition`: a digest of what the request would be answered with."""

    def etag(request: HttpRequest) -> str:
        return f'"{hashlib.sha256(render(get_origin(request))).hexdigest()[:32]}"'

    return etag


@require_safe
@gzip_page
@condition(etag_func=make_etag(render_document))
def openapi(request: HttpRequest) -> HttpResponse:
    """The document; there is no secret in it, so any site's page may read it."""
    return HttpResponse(
        render_document(get_origin(request)),
        content_type="application/json",
        headers={
            "Access-Control-Allow-Origin": "*",
            "Cache-Control": "no-cache",
        },
    )


@require_safe
@gzip_page
@condition(etag_func=make_etag(render_page))
def docs(request: HttpRequest) -> HttpResponse:
    """The page; it loads nothing that this service does not serve."""
    return HttpResponse(
        render_page(get_origin(request)),
        headers={
            "Cache-Control": "no-cache",
            "Referrer-Policy": "no-referrer",
        },
    )
