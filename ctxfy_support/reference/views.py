"""What the API says of itself: as a page, as Markdown, as an index, for tools and for Postman.

None needs a key. Each is made once, for an address that nobody has; each answer puts the one that
it was asked for at in its place. Whoever makes up hosts and ports makes us render nothing.
"""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from html import escape

from django.http import HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_safe

from ctxfy_support.openapi import get_document
from ctxfy_support.reference.page import make_index, make_page
from ctxfy_support.reference.postman import make_collection
from ctxfy_support.reference.text import PLACEHOLDER, get_markdown


def _make_document() -> str:
    document = get_document() | {"servers": [{"url": PLACEHOLDER}]}
    return json.dumps(document, ensure_ascii=False)


def _make_markdown() -> str:
    """With links that lead somewhere from wherever the text is read."""
    text = get_markdown().replace("](#", f"]({PLACEHOLDER}/docs#")
    return text.replace("](/", f"]({PLACEHOLDER}/")


def _quote_for_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _serve(
    make: Callable[[], str], quote: Callable[[str], str], **headers: str
) -> Callable[[HttpRequest], HttpResponse]:
    """A view of what `make` makes; `quote` fits the reader's address into it."""

    @cache
    def render() -> bytes:
        return make().encode()

    def render_for(request: HttpRequest) -> bytes:
        """Raises DisallowedHost for a strange one."""
        origin = f"{request.scheme}://{request.get_host()}"
        return render().replace(PLACEHOLDER.encode(), quote(origin).encode())

    def make_etag(request: HttpRequest) -> str:
        return f'"{hashlib.sha256(render_for(request)).hexdigest()[:32]}"'

    @require_safe
    @gzip_page
    @condition(etag_func=make_etag)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(render_for(request), headers={"Cache-Control": "no-cache", **headers})

    return view


# There is no secret in them, so that any site's page may read them.
_FOR_ANYBODY = {"Access-Control-Allow-Origin": "*"}
_JSON = {"Content-Type": "application/json", **_FOR_ANYBODY}

openapi = _serve(_make_document, _quote_for_json, **_JSON)
postman = _serve(make_collection, _quote_for_json, **_JSON)
docs = _serve(
    make_page,
    escape,
    **{"Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer"},
)
markdown = _serve(
    _make_markdown, str, **{"Content-Type": "text/markdown; charset=utf-8", **_FOR_ANYBODY}
)
index = _serve(make_index, str, **{"Content-Type": "text/plain; charset=utf-8", **_FOR_ANYBODY})
