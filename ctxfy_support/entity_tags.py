"""`ETag` on an answer that shows one thing, and 304 to whoever has it already (RFC 9110, 13).

The tag is a digest of the very bytes of the body, so it changes with whatever changes them: a
worker's mark, an agent's act, a new field. A time of the last change would know only some of it.
"""

import hashlib
from functools import partial
from http import HTTPStatus

from django.http import HttpResponse
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response

from ctxfy_support.answers import Part

ETAG: Part = {
    "description": "This very state of what the body shows; another state has another tag. Send "
    "it back in `If-None-Match`.",
    "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}"$'},
    "example": '"0f6c2d9e4b7a18350f6c2d9e4b7a1835"',
}
_DIGEST_BYTES = 16


def tag_answer(request: Request, response: Response) -> Response:
    """The answer with its `ETag`, once it is rendered; to GET and HEAD it may become a 304.

    A 304 keeps every header of the answer that it replaces, but for those of the body.
    """
    known = None
    if request.method in {"GET", "HEAD"}:
        known = request._request.META.get("HTTP_IF_NONE_MATCH")  # noqa: SLF001  (Django's own)
    response.add_post_render_callback(partial(_tag_rendered, known))
    return response


def _tag_rendered(known: str | None, response: HttpResponse) -> None:
    digest = hashlib.blake2b(response.content, digest_size=_DIGEST_BYTES).hexdigest()
    tag = response.headers["ETag"] = f'"{digest}"'
    if known is not None and _names(known, tag):
        response.status_code = HTTPStatus.NOT_MODIFIED
        response.content = b""
        del response.headers["Content-Type"]


def _names(known: str, tag: str) -> bool:
    """Whether `If-None-Match` is `*` or lists this tag, by weak comparison (RFC 9110, 8.8.3.2)."""
    tags = parse_etags(known)
    return tags == ["*"] or tag in {each.removeprefix("W/") for each in tags}
